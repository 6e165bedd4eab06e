"""The command line."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata

from common.config import Config, sizes
from common.errors import ConfigError
from entrepot import configuration

FAILED = 1
"""Exit status: it did not work."""
WRONG = 2
"""Exit status: wrong usage or configuration (argparse's own, too)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv`, by default this process's; the exit status.

    Raises SystemExit, as argparse does, for --help, --version and wrong usage.
    """
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return WRONG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="entrepot",
        description="A pull-through cache for OCI and Docker images that a fleet shares.",
        epilog="CONFIG is a configuration file; else REGISTRY_CONFIGURATION_PATH names one; else"
        " Docker Hub and other public registries are cached in the home folder."
        " Exit status: 0 fine, 1 failed, 2 wrong usage or configuration.",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (run, purpose) in _WITH_CONFIG.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose}.")
        command.add_argument("config", metavar="CONFIG", nargs="?", help="configuration file")
        command.set_defaults(run=run)
    verify = commands.choices["verify"]
    verify.add_argument(
        "--limit",
        metavar="SIZE",
        type=_size,
        default=0,
        help="read at most so many bytes a second, such as 100MB",
    )
    demo = commands.add_parser("demo", help=_DEMO, description=f"{_DEMO}.")
    demo.set_defaults(run=_demo)
    return parser


def _version() -> str:
    return f"entrepot {metadata.version('entrepot')}"


# Each command imports what it runs when it runs it, once the configuration has been read: a
# frontend has no business with an upstream client in its memory, and `--help` with none of it.


def _serve(arguments: argparse.Namespace) -> int:
    from entrepot import serve  # noqa: PLC0415

    return serve.run(_config(arguments), arguments.config)


def _frontend(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    from frontend import main as role  # noqa: PLC0415

    return role.run(config)


def _fetcher(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    from fetcher import main as role  # noqa: PLC0415

    return role.run(config)


def _janitor(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    from janitor import main as role  # noqa: PLC0415

    return role.run(config)


def _check(arguments: argparse.Namespace) -> int:
    from entrepot.check import check  # noqa: PLC0415

    return check(arguments.config, os.environ)


def _verify(arguments: argparse.Namespace) -> int:
    from entrepot.verify import verify  # noqa: PLC0415

    return verify(_config(arguments), limit=arguments.limit)


def _size(text: str) -> int:
    try:
        return sizes.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError("expected a size such as 100MB") from None


def _demo(_arguments: argparse.Namespace) -> int:
    from entrepot.demo import main as demo  # noqa: PLC0415

    return demo.run()


def _config(arguments: argparse.Namespace) -> Config:
    loaded = configuration.read(arguments.config, os.environ)
    configuration.set_up_logs(loaded, os.environ)
    return loaded.config


_WITH_CONFIG: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "serve": (_serve, "run everything on this machine"),
    "frontend": (_frontend, "run a frontend: answers clients"),
    "fetcher": (_fetcher, "run a fetcher: downloads from the upstreams"),
    "janitor": (_janitor, "run a janitor: removes what has expired"),
    "check": (_check, "say what is wrong with a configuration, and print the effective one"),
    "verify": (_verify, "compare all that is stored with its digests; damaged blobs are put aside"),
}
_DEMO = "show a pull through the cache, with no internet (needs docker-registry and skopeo)"
