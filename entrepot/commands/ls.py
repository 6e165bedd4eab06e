"""`entrepot ls`."""

import argparse

from entrepot.commands.command import Command, add_config_option, add_json, config_for_people


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "repository", metavar="REPOSITORY", nargs="?", help="show its tags and manifests"
    )
    parser.add_argument(
        "--match", metavar="TEXT", default="", help="only repositories with this in their name"
    )
    parser.add_argument(
        "--limit", metavar="N", type=int, default=1000, help="so many at most (1000)"
    )
    parser.add_argument(
        "--after", metavar="NAME", default="", help="go on behind this repository or tag"
    )
    add_json(parser)
    add_config_option(parser)


def _run(arguments: argparse.Namespace) -> int:
    from entrepot import listing  # noqa: PLC0415

    config = config_for_people(arguments)
    page = listing.Page(arguments.match, arguments.after, max(1, arguments.limit))
    if arguments.repository is None:
        return listing.repositories(config, page, as_json=arguments.json)
    return listing.repository(config, arguments.repository, page, as_json=arguments.json)


COMMAND = Command(
    "ls",
    "list what is cached: repositories, or one's tags and manifests",
    _run,
    ("entrepot ls", "entrepot ls --match nginx", "entrepot ls library/alpine"),
    _add_arguments,
    "List what is cached: repositories with their size and last use, or of one repository the tags"
    " and manifests with size, last use and when they expire",
)
