"""`entrepot completion`."""

import argparse

from entrepot.commands.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell it is for")


def _run(arguments: argparse.Namespace) -> int:
    from entrepot import completion, parser  # noqa: PLC0415

    print(completion.script(arguments.shell, parser.build()), end="")
    return 0


COMMAND = Command(
    "completion",
    "print what makes a shell complete this command line",
    _run,
    (
        "source <(entrepot completion bash)",
        'entrepot completion zsh > "${fpath[1]}/_entrepot"',
        "entrepot completion fish > ~/.config/fish/completions/entrepot.fish",
    ),
    _add_arguments,
)
