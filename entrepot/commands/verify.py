"""`entrepot verify`."""

import argparse

from entrepot.commands.command import Command, add_config, config_of_role


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--limit",
        metavar="SIZE",
        type=_size,
        default=0,
        help="read at most so many bytes a second, such as 100MB",
    )


def _size(text: str) -> int:
    from common.config import sizes  # noqa: PLC0415

    try:
        return sizes.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError("expected a size such as 100MB") from None


def _run(arguments: argparse.Namespace) -> int:
    from entrepot.verify import verify  # noqa: PLC0415

    return verify(config_of_role(arguments), limit=arguments.limit)


COMMAND = Command(
    "verify",
    "compare all that is stored with its digests; damaged blobs are put aside",
    _run,
    ("entrepot verify", "entrepot verify --limit 100MB /etc/entrepot/config.yml"),
    _add_arguments,
)
