"""Runs rows: everybody in turns, round after round, so that a change of the machine meets all."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.effort import Effort
from bench.figures import Result
from bench.row import Row
from bench.rows import scenes
from bench.stage import stage

Tell = Callable[[str], None]


def all_rows(effort: Effort) -> list[Row]:
    """In the order of the table."""
    return [row for scene in scenes(effort) for row in scene]


def run(
    effort: Effort, folder: Path, *, rounds: int, only: Sequence[str], tell: Tell
) -> list[Result]:
    """Measure the rows whose keys are in `only`, all if it is empty; `tell` hears how it goes."""
    results: list[Result] = []
    for scene in scenes(effort):
        rows = [row for row in scene if not only or row.key in only]
        if rows:
            results += _run_scene(rows, folder, rounds, tell)
    return results


def _run_scene(rows: Sequence[Row], folder: Path, rounds: int, tell: Tell) -> list[Result]:
    names = sorted({name for row in rows for name in row.parties})
    results = [row.result() for row in rows]
    with stage(folder, names) as running:
        for row, result in zip(rows, results, strict=True):
            tell(row.title)
            row.prepare(running)
            for turn in range(rounds):
                # Whoever comes second finds the disk and the processor as the first left them.
                order = row.parties if turn % 2 == 0 else tuple(reversed(row.parties))
                for name in order:
                    sample = row.measure(running, running.parties[name])
                    result.add(name, sample)
                    tell(f"  round {turn + 1}, {name}: {_words(sample)}")
    return results


def _words(sample: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in sample.items())
