"""What all commands have in common."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.config import Config


def _nothing(_parser: argparse.ArgumentParser) -> None:
    """For a command that takes nothing."""


@dataclass(frozen=True, slots=True)
class Command:
    """One of them; `purpose` and `text` are without a full stop."""

    name: str
    purpose: str
    run: Callable[[argparse.Namespace], int]
    examples: tuple[str, ...]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _nothing
    text: str = ""


def add_config(parser: argparse.ArgumentParser) -> None:
    """The configuration as an argument, of commands that take no other."""
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="configuration file")


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """The configuration as an option, of all others."""
    parser.add_argument("--config", metavar="CONFIG", help="configuration file")


def add_json(parser: argparse.ArgumentParser) -> None:
    """For programs."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def config_of_role(arguments: argparse.Namespace) -> "Config":
    """The configuration, with the role's own log set up; raises ConfigError."""
    import os  # noqa: PLC0415

    from entrepot import configuration  # noqa: PLC0415

    loaded = configuration.read(arguments.config, os.environ)
    configuration.set_up_logs(loaded, os.environ)
    return loaded.config


def config_for_people(arguments: argparse.Namespace) -> "Config":
    """The configuration, with nothing but errors logged: a command answers in its own words."""
    import os  # noqa: PLC0415

    from common import logs  # noqa: PLC0415
    from entrepot import configuration  # noqa: PLC0415

    loaded = configuration.read(arguments.config, os.environ)
    logs.set_up("error", "text")
    return loaded.config
