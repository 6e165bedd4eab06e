"""`entrepot status`."""

import argparse

from entrepot.commands.command import Command, add_config, add_json, config_for_people


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        type=float,
        nargs="?",
        const=2.0,
        help="show it again every 2 seconds, or as many as are given, until interrupted",
    )
    add_json(parser)


def _run(arguments: argparse.Namespace) -> int:
    from entrepot import status  # noqa: PLC0415

    config = config_for_people(arguments)
    return status.run(config, watch=arguments.watch, as_json=arguments.json)


COMMAND = Command(
    "status",
    "say what runs, how much is cached, and what is under way",
    _run,
    ("entrepot status", "entrepot status --watch", "entrepot status --json | jq .queue"),
    _add_arguments,
    "Say which processes are alive, how much is cached, what waits in the queue, which downloads"
    " are under way and which upstreams want to be left alone. Status 1 when something is missing",
)
