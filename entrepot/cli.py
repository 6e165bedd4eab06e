"""The command line."""

import os
import sys
from collections.abc import Sequence

from entrepot import early

FAILED = 1
"""Exit status: it did not work."""
WRONG = 2
"""Exit status: wrong usage or configuration (argparse's own, too)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv`, by default this process's; the exit status.

    Raises SystemExit, as argparse does, for --help, --version and wrong usage.
    """
    if argv is None:
        argv = sys.argv[1:]
        early.end_in_order(argv)
    from entrepot import parser  # noqa: PLC0415 - after the above, however short it is

    arguments = parser.build().parse_args(argv)
    return _run(arguments.command, arguments)


def _run(command: str, arguments: object) -> int:
    from common.errors import BrokerUnavailable, ConfigError  # noqa: PLC0415
    from entrepot.failure import Failure  # noqa: PLC0415

    try:
        status: int = arguments.run(arguments)  # type: ignore[attr-defined]
        sys.stdout.flush()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return WRONG
    except Failure as failure:
        _complain(command, str(failure))
        return failure.status
    except BrokerUnavailable as error:
        advice = "is it running? `entrepot check` shows the address in use (queue.url)"
        _complain(command, f"the queue does not answer: {error}\n  {advice}")
    except BrokenPipeError:
        # Whoever read has gone, as `head` does. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        _complain(command, "interrupted")
    else:
        return status
    return FAILED


def _complain(command: str, text: str) -> None:
    print(f"entrepot {command}: {text}", file=sys.stderr)
