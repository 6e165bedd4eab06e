"""`entrepot check`."""

import argparse

from entrepot.commands.command import Command, add_config


def _run(arguments: argparse.Namespace) -> int:
    import os  # noqa: PLC0415

    from entrepot.check import check  # noqa: PLC0415

    return check(arguments.config, os.environ)


COMMAND = Command(
    "check",
    "say what is wrong with a configuration, and print the effective one",
    _run,
    ("entrepot check config.yml", "entrepot check config.yml > effective.yml"),
    add_config,
    "Say what is wrong or doubtful in a configuration and what might be better, on standard error,"
    " and print the effective one, passwords masked. Needs no network and changes nothing",
)
