"""`entrepot serve`, `frontend`, `fetcher`, `janitor`, `console`: the processes."""

import argparse

from entrepot.commands.command import Command, add_config, config_of_role


def _serve(arguments: argparse.Namespace) -> int:
    from entrepot import serve  # noqa: PLC0415

    return serve.run(config_of_role(arguments), arguments.config)


def _frontend(arguments: argparse.Namespace) -> int:
    config = config_of_role(arguments)
    from frontend import main as role  # noqa: PLC0415

    return role.run(config)


def _fetcher(arguments: argparse.Namespace) -> int:
    config = config_of_role(arguments)
    from fetcher import main as role  # noqa: PLC0415

    return role.run(config)


def _janitor(arguments: argparse.Namespace) -> int:
    config = config_of_role(arguments)
    from janitor import main as role  # noqa: PLC0415

    return role.run(config)


def _console(arguments: argparse.Namespace) -> int:
    config = config_of_role(arguments)
    from entrepot.console import main as role  # noqa: PLC0415

    return role.run(config)


COMMANDS = (
    Command(
        "serve",
        "run everything on this machine",
        _serve,
        ("entrepot serve", "entrepot serve /etc/entrepot/config.yml"),
        add_config,
        "Run everything on this machine: frontends, fetchers and a janitor under one supervisor,"
        " which starts again what dies. SIGTERM lets running pulls end first",
    ),
    Command(
        "frontend",
        "run a frontend: answers clients",
        _frontend,
        ("entrepot frontend /etc/entrepot/config.yml",),
        add_config,
    ),
    Command(
        "fetcher",
        "run a fetcher: downloads from the upstreams",
        _fetcher,
        ("entrepot fetcher /etc/entrepot/config.yml",),
        add_config,
    ),
    Command(
        "janitor",
        "run a janitor: removes what has expired",
        _janitor,
        ("entrepot janitor /etc/entrepot/config.yml",),
        add_config,
    ),
    Command(
        "console",
        "run the console: pages for people at http.debug.addr",
        _console,
        ("entrepot console /etc/entrepot/config.yml",),
        add_config,
        "Run the console: pages that show what is under way and what is cached, at http.debug.addr."
        " `serve` runs it too, where that is set",
    ),
)
