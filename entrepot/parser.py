"""The parser of the whole command line: what there is to say about it is read from here too.

`--help`, the manual page (entrepot.manual) and completion (entrepot.completion) are made of it.
"""

import argparse
import textwrap

from common.version import VERSION
from entrepot.commands import COMMANDS, Command

EXAMPLES = """\
  entrepot serve                          everything on this machine, port 5000
  entrepot warm alpine:3.20               have an image cached before it is needed
  entrepot status --watch                 what it does now"""

EPILOG = (
    "CONFIG is a configuration file; else REGISTRY_CONFIGURATION_PATH names one; else"
    " Docker Hub and other public registries are cached in the home folder."
)
STATUSES = "Exit status: 0 fine, 1 failed, 2 wrong usage or configuration."


# Of what argparse does not wrap, as it would the examples with it.
_COLUMNS = 79


def build() -> argparse.ArgumentParser:
    """A parser whose result has `command`, its name, and `run`, what runs it."""
    parser = argparse.ArgumentParser(
        prog="entrepot",
        description="A pull-through cache for OCI and Docker images that a fleet shares.",
        epilog=f"examples:\n{EXAMPLES}\n\n{textwrap.fill(EPILOG, _COLUMNS)}\n{STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"entrepot {VERSION}",
        help="tell the version and exit",
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        _add(commands, command)
    return parser


def _add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", command: Command) -> None:
    examples = "\n".join(f"  {example}" for example in command.examples)
    parser = commands.add_parser(
        command.name,
        help=command.purpose,
        description=textwrap.fill(f"{command.text or command.purpose}.", _COLUMNS),
        epilog=f"examples:\n{examples}\n\n{STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    parser.set_defaults(run=command.run)
