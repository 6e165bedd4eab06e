"""The long run, as one command; figures on standard output, status 1 when something was wrong."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.security.fuzz.machine import run


def main() -> int:
    """Run, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="kept afterwards; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = run(folder, seed=options.seed, requests=options.requests, answers=options.answers)
    for name, value in vars(figures).items():
        shown = dict(sorted(value.items())) if name == "statuses" else value
        sys.stdout.write(f"{name}: {shown}\n" if name != "wrong" else "")
    for wrong in figures.wrong:
        sys.stdout.write(f"WRONG {wrong}\n")
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
