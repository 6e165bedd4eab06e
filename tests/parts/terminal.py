"""A program on a terminal of its own: what it wrote and when, and what then stands on the screen."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Self

_CONTROL = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|[\r\n]|[^\x1b\r\n]+")
_COLOURS = {"31": "#c62828", "32": "#2e7d32", "33": "#b26a00", "1": "#111"}
_FONT = 13
_CELL = 7.8
_LINE = 18


class Session:
    """Runs `argv` on a terminal of `columns` by `rows`; use it as a context."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 100,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.columns, self.rows = columns, rows
        self.events: list[tuple[float, str]] = []
        self._begun = time.monotonic()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._popen = subprocess.Popen(
            ["setsid", "--ctty", *argv],  # so that Ctrl-C is one
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait(20)
        self._reader.join(20)
        os.close(self._master)

    def output(self) -> str:
        """All it has written so far, as it was."""
        return "".join(text for _, text in list(self.events))

    def screen(self, events: int | None = None) -> "Screen":
        """What stands on the screen now, or stood there after so many events."""
        screen = Screen()
        screen.feed("".join(text for _, text in list(self.events)[:events]))
        return screen

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def exit_code(self, within: float = 60.0) -> int:
        """Once it has ended and all it wrote has been read."""
        code = self._popen.wait(within)
        self._reader.join(20)
        return code

    def asciicast(self, title: str) -> str:
        """The session as asciinema plays it (asciicast v2)."""
        head = {"version": 2, "width": self.columns, "height": self.rows, "title": title}
        lines = [head, *([round(at, 3), "o", text] for at, text in self.events)]
        return "".join(f"{json.dumps(line)}\n" for line in lines)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # the last one who had it open has ended
                return
            self.events.append((time.monotonic() - self._begun, data.decode(errors="replace")))


class Screen:
    """Lines of text; of a terminal's controls, those that our programs use."""

    def __init__(self) -> None:
        self.cells: list[list[tuple[str, str]]] = [[]]
        self._row = self._column = 0
        self._style = ""

    @property
    def lines(self) -> list[str]:
        """The text of each line, trailing blanks removed."""
        texts = ["".join(letter for letter, _ in line).rstrip() for line in self.cells]
        while texts and not texts[-1]:
            texts.pop()
        return texts

    def feed(self, text: str) -> None:
        """Write `text`; AssertionError for a control that is not known here."""
        for match in _CONTROL.finditer(text):
            if match[2]:
                self._control(match[1], match[2])
            elif match[0] == "\r":
                self._column = 0
            elif match[0] == "\n":
                self._row += 1
                self._fill_up()
            else:
                self._write(match[0])

    def _control(self, argument: str, kind: str) -> None:
        if kind == "m":
            self._style = "" if argument in ("", "0") else argument
        elif kind == "A":
            self._row = max(0, self._row - int(argument or 1))
        elif kind == "J" and argument in ("", "0"):
            del self.cells[self._row + 1 :]
            del self.cells[self._row][self._column :]
        elif kind == "J":
            self.cells = [[]]
        elif kind == "H":
            self._row = self._column = 0
        elif kind == "K":
            del self.cells[self._row][self._column :]
        else:
            raise AssertionError(f"a terminal is told {argument}{kind}")

    def _write(self, text: str) -> None:
        self._fill_up()
        line = self.cells[self._row]
        for letter in text:
            line += [(" ", "")] * (self._column - len(line))
            line[self._column : self._column + 1] = [(letter, self._style)]
            self._column += 1

    def _fill_up(self) -> None:
        while len(self.cells) <= self._row:
            self.cells.append([])

    def svg(self, columns: int) -> str:
        """A picture of it."""
        rows = len(self.lines)
        width, height = round(columns * _CELL + 24), rows * _LINE + 24
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f'<rect width="{width}" height="{height}" rx="6" fill="#fafafa" stroke="#ccc"/>',
            f'<g font-family="monospace" font-size="{_FONT}" fill="#333" xml:space="preserve">',
        ]
        for number, line in enumerate(self.cells[:rows]):
            parts.append(f'<text x="12" y="{number * _LINE + 24}">{_spans(line)}</text>')
        return "\n".join([*parts, "</g>", "</svg>", ""])


def _spans(line: list[tuple[str, str]]) -> str:
    spans: list[tuple[str, str]] = []
    for letter, style in line:
        if spans and spans[-1][1] == style:
            spans[-1] = (spans[-1][0] + letter, style)
        else:
            spans.append((letter, style))
    return "".join(
        f'<tspan fill="{_COLOURS[style]}">{escape(text)}</tspan>'
        if style in _COLOURS
        else escape(text)
        for text, style in spans
    )
