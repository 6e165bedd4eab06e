"""`python -m entrepot`: how the supervisor starts the roles, whatever is on PATH."""

import sys

from entrepot.cli import main

if __name__ == "__main__":
    sys.exit(main())
