"""The commands, a module for each: what it is called, what it takes, and what runs it.

What a command works with is imported when it runs: a frontend has no business with an upstream
client in its memory, and `--help` with none of it.
"""

from entrepot.commands import (
    check,
    completion,
    demo,
    evict,
    ls,
    queue,
    roles,
    status,
    verify,
    warm,
)
from entrepot.commands.command import Command

COMMANDS: tuple[Command, ...] = (
    *roles.COMMANDS,
    check.COMMAND,
    warm.COMMAND,
    status.COMMAND,
    ls.COMMAND,
    evict.COMMAND,
    queue.COMMAND,
    verify.COMMAND,
    completion.COMMAND,
    demo.COMMAND,
)
"""In the order in which they are shown."""

__all__ = ["COMMANDS", "Command"]
