"""How far a long command has come: a bar on a terminal, a line now and then elsewhere."""

import time
from typing import TextIO

_WIDTH = 30
_BAR_EVERY = 0.2
_LINE_EVERY = 10.0
_THOUSAND = 1000


class Progress:
    """Of `total` bytes; written to `stream`, which is best not the one the results go to."""

    def __init__(self, total: int, stream: TextIO) -> None:
        """Show nothing before the first bytes."""
        self._total = total
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._done = 0
        self._begun = self._shown = time.monotonic()

    def advance(self, count: int) -> None:
        """So many more bytes are done."""
        self._done += count
        now = time.monotonic()
        if now - self._shown >= (_BAR_EVERY if self._is_terminal else _LINE_EVERY):
            self._shown = now
            self._show(now - self._begun)

    def clear(self) -> None:
        """Make way for other output on the same terminal."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _show(self, seconds: float) -> None:
        share = min(1.0, self._done / self._total) if self._total else 1.0
        rate = self._done / seconds if seconds > 0 else 0.0
        left = max(0, self._total - self._done) / rate if rate else 0.0
        text = f"{share:4.0%} of {amount(self._total)}, {amount(rate)}/s, {left:.0f} s left"
        if self._is_terminal:
            bar = "#" * round(share * _WIDTH)
            self._stream.write(f"\r\x1b[K[{bar:.<{_WIDTH}}] {text}")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()


def amount(count: float) -> str:
    """A number of bytes for people: `1.5 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < _THOUSAND:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _THOUSAND
    return f"{count:.1f} TB"
