"""`entrepot evict`."""

import argparse

from entrepot.commands.command import Command, add_config_option, config_for_people


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="REPOSITORY, or one image of it: REPOSITORY:TAG or REPOSITORY@DIGEST",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would go, and remove nothing"
    )
    add_config_option(parser)


def _run(arguments: argparse.Namespace) -> int:
    from entrepot import evicting  # noqa: PLC0415

    config = config_for_people(arguments)
    return evicting.run(config, arguments.target, yes=arguments.yes, dry=arguments.dry_run)


COMMAND = Command(
    "evict",
    "remove a repository or an image from the cache",
    _run,
    (
        "entrepot evict library/alpine:3.20",
        "entrepot evict --dry-run ghcr.io/owner/image",
        "entrepot evict --yes quay.io/owner/image@sha256:…",
    ),
    _add_arguments,
    "Remove a repository, or one image and what no other image of the repository needs, from the"
    " cache; the next pull fetches it anew. It may be done while everything runs",
)
