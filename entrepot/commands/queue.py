"""`entrepot queue`."""

import argparse

from entrepot.commands.command import Command, add_config_option, add_json, config_for_people


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("list", "retry", "drop"),
        nargs="?",
        default="list",
        help="list (default): depths and dead letters; retry or drop: dead letters",
    )
    parser.add_argument("ids", metavar="ID", nargs="*", help="dead letters, as listed")
    parser.add_argument("--all", action="store_true", help="all dead letters")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask before dropping")
    parser.add_argument(
        "--limit", metavar="N", type=int, default=100, help="list so many at most (100)"
    )
    add_json(parser)
    add_config_option(parser)


def _run(arguments: argparse.Namespace) -> int:
    from entrepot import queueing  # noqa: PLC0415

    config = config_for_people(arguments)
    if arguments.action == "list":
        return queueing.show(config, max(1, arguments.limit), as_json=arguments.json)
    choice = queueing.Choice(tuple(arguments.ids), is_all=arguments.all)
    if arguments.action == "retry":
        return queueing.retry(config, choice)
    return queueing.drop(config, choice, yes=arguments.yes)


COMMAND = Command(
    "queue",
    "show what waits in the queue; look at, retry or drop dead letters",
    _run,
    ("entrepot queue", "entrepot queue retry 3f2a9c11d0e4", "entrepot queue drop --all --yes"),
    _add_arguments,
)
