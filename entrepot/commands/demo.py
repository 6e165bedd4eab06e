"""`entrepot demo`."""

import argparse

from entrepot.commands.command import Command


def _run(_arguments: argparse.Namespace) -> int:
    from entrepot.demo import main as demo  # noqa: PLC0415

    return demo.run()


COMMAND = Command(
    "demo",
    "show a pull through the cache, with no internet (needs docker-registry and skopeo)",
    _run,
    ("entrepot demo",),
)
