"""What a terminal is told besides text: nothing at all where there is none."""

import os
from typing import TextIO


class Style:
    """Colours, where `stream` is a terminal and nobody objects (no-color.org)."""

    def __init__(self, stream: TextIO) -> None:
        """Decide once."""
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._is_coloured = stream.isatty() and not plain

    def good(self, text: str) -> str:
        """Green."""
        return self._in("32", text)

    def bad(self, text: str) -> str:
        """Red."""
        return self._in("31", text)

    def doubtful(self, text: str) -> str:
        """Yellow."""
        return self._in("33", text)

    def strong(self, text: str) -> str:
        """Bold."""
        return self._in("1", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._is_coloured else text


def width(stream: TextIO) -> int:
    """Columns; 80 where that is not known."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def bar(share: float, columns: int) -> str:
    """How much of something is done, as `docker pull` shows it."""
    done = round(min(1.0, max(0.0, share)) * columns)
    arrow = "=" * max(0, done - 1) + (">" if 0 < done < columns else "=" * (done > 0))
    return f"[{arrow:<{columns}}]"
