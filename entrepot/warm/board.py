"""Several downloads shown at once: moving bars on a terminal, a line now and then elsewhere.

What is done is printed once and scrolls away; below it stand the bars of what is under way, which
are never more than there are jobs, so that they always fit.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import TextIO

from entrepot.progress import amount
from entrepot.terminal import Style, bar, width

_DRAW_EVERY = 0.1
_LINE_EVERY = 10.0
_WIDEST_BAR = 40
# Columns of a line besides its bar.
_TEXT = 56


@dataclass(slots=True)
class Task:
    """Something under way; sizes in bytes, `total` 0 where it is not known."""

    name: str
    total: int
    done: int = 0
    begun: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return max(time.monotonic() - self.begun, 1e-6)


class Board:
    """Writes to one stream; for any thread. It draws by itself, so that a stall shows as one."""

    def __init__(self, stream: TextIO, line_every: float = _LINE_EVERY) -> None:
        """Show nothing yet; `line_every` seconds a line where there is no terminal."""
        self._stream = stream
        self._style = Style(stream)
        self._is_terminal = stream.isatty()
        self._lock = threading.Lock()
        self._tasks: list[Task] = []
        self._drawn = 0
        self._line_every = line_every
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="board", daemon=True)
        self._thread.start()

    def begin(self, name: str, total: int) -> Task:
        """Something begins; it has to `end`."""
        task = Task(name, total)
        with self._lock:
            self._tasks.append(task)
            self._draw()
        return task

    def advance(self, task: Task, count: int) -> None:
        """So many more bytes of it are done; fewer where it begins again."""
        with self._lock:
            task.done += count

    def end(self, task: Task, problem: str = "") -> None:
        """It is done, or it has failed."""
        outcome = (
            self._style.bad(f"failed: {problem}")
            if problem
            else f"{self._style.good('done')}, {amount(task.done)} in {task.seconds:.1f} s"
        )
        with self._lock:
            self._tasks.remove(task)
        self.say(f"{task.name}: {outcome}")

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._write(f"{self._erasing()}{text}\n")
            self._draw()

    def clear(self) -> None:
        """Make way for what is written past us; the bars come back by themselves."""
        with self._lock:
            self._write(self._erasing())

    def close(self) -> None:
        """Leave nothing half drawn."""
        self._closed.set()
        self._thread.join()
        self.clear()

    def _run(self) -> None:
        while not self._closed.wait(_DRAW_EVERY):
            with self._lock:
                if self._is_terminal:
                    self._draw()
                else:
                    self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        for task in self._tasks:
            if now - task.told >= self._line_every:
                task.told = now
                self._write(f"{task.name}: {_share(task)}, {_rate(task)}\n")

    def _draw(self) -> None:
        if self._is_terminal and (self._tasks or self._drawn):
            erasing = self._erasing()
            columns = width(self._stream)
            self._write(erasing + "".join(f"{_line(task, columns)}\n" for task in self._tasks))
            self._drawn = len(self._tasks)

    def _erasing(self) -> str:
        """What takes the bars away that stand there now."""
        drawn, self._drawn = self._drawn, 0
        return f"\x1b[{drawn}A\r\x1b[J" if drawn else ""

    def _write(self, text: str) -> None:
        if text:
            self._stream.write(text)
            self._stream.flush()


def _line(task: Task, columns: int) -> str:
    space = min(_WIDEST_BAR, columns - _TEXT)
    shown = f" {bar(task.done / task.total, space)}" if space > 0 and task.total else ""
    return f"{task.name}:{shown} {_share(task)}, {_rate(task)}"[: columns - 1]


def _share(task: Task) -> str:
    return f"{amount(task.done)} of {amount(task.total)}" if task.total else amount(task.done)


def _rate(task: Task) -> str:
    return f"{amount(task.done / task.seconds)}/s"
