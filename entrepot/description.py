"""The command line as its parser describes it, for what is generated from that."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Argument:
    """An option (with `flags`) or an argument; `metavar` is empty where an option takes no value."""

    flags: tuple[str, ...]
    metavar: str
    purpose: str
    choices: tuple[str, ...]
    is_file: bool


@dataclass(frozen=True, slots=True)
class Described:
    """A command; `text` and `examples` as `--help` shows them."""

    name: str
    purpose: str
    text: str
    usage: str
    arguments: tuple[Argument, ...]
    examples: tuple[str, ...]


def described(parser: argparse.ArgumentParser) -> list[Described]:
    """Every command, in the order in which they are shown."""
    found = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            purposes = {each.dest: each.help or "" for each in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                found.append(_command(name, purposes[name], command))
    return found


def _command(name: str, purpose: str, parser: argparse.ArgumentParser) -> Described:
    # Not argparse's own, whose form changes with Python's version.
    arguments = tuple(_arguments(parser))
    taken = [argument.metavar for argument in arguments if not argument.flags]
    usage = " ".join(["entrepot", name, "[OPTION]...", *(f"[{each}]" for each in taken)])
    return Described(
        name,
        purpose,
        " ".join((parser.description or purpose).split()),
        usage,
        arguments,
        tuple(_examples(parser.epilog or "")),
    )


def _arguments(parser: argparse.ArgumentParser) -> Iterator[Argument]:
    for action in parser._actions:  # noqa: SLF001 - as above
        metavar = action.metavar if isinstance(action.metavar, str) else action.dest
        choices = tuple(str(choice) for choice in action.choices or ())
        yield Argument(
            tuple(action.option_strings),
            "" if action.nargs == 0 else metavar,
            action.help or "",
            choices,
            metavar in {"CONFIG", "FILE"},
        )


def _examples(epilog: str) -> Iterator[str]:
    for line in epilog.splitlines():
        if line.startswith("  "):
            yield line.strip()
