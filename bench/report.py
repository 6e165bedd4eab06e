"""What a run leaves behind: results.json, table.md, the charts, and the page of documentation."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import chart, table
from bench.figures import Growth, Result
from bench.machine import Machine

# Where a page has the rows, and where the growth: a run that measured one leaves the other alone.
ROWS = ("<!-- figures: python -m bench --docs -->", "<!-- end of figures -->")
GROWTH = ("<!-- growth: python -m bench --docs -->", "<!-- end of growth -->")
_RESULTS_CHART, _GROWTH_CHART = "results.svg", "growth.svg"


@dataclass(frozen=True)
class Report:
    """All of a run."""

    machine: Machine
    rounds: int
    results: Sequence[Result]
    growths: Sequence[Growth]

    def write(self, folder: Path) -> None:
        """Write all files into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(self._document(), indent=1))
        (folder / "table.md").write_text(self.markdown(""))
        self._draw(folder)

    def write_docs(self, page: Path) -> None:
        """Replace what is between the marks of `page` for what was measured, and its charts, in the
        folder that bears its name. ValueError when it has no marks.
        """
        folder = page.with_suffix("")
        folder.mkdir(exist_ok=True)
        self._draw(folder)
        text = page.read_text()
        if self.results:
            text = _replaced(text, ROWS, self._rows(f"{folder.name}/"))
        if self.growths:
            text = _replaced(text, GROWTH, self._growth(f"{folder.name}/"))
        page.write_text(text)

    def markdown(self, charts: str) -> str:
        """Tables and charts; `charts` stands before the charts' names."""
        parts = [self._rows(charts)] if self.results else []
        if self.growths:
            parts.append(self._growth(charts))
        return "\n".join(parts)

    def _rows(self, charts: str) -> str:
        return _joined(
            self._circumstances(),
            table.of_results(self.results),
            f"![The first figure of each row]({charts}{_RESULTS_CHART})",
        )

    def _growth(self, charts: str) -> str:
        parts = [self._machine()]
        for growth in self.growths:
            parts += [f"### {growth.title}", table.of_growth(growth)]
        return _joined(*parts, f"![How cost grows]({charts}{_GROWTH_CHART})")

    def _circumstances(self) -> str:
        return f"{self._machine()}\n- medians of {self.rounds} rounds, everybody in turns"

    def _machine(self) -> str:
        return "\n".join(f"- {line}" for line in self.machine.lines())

    def _draw(self, folder: Path) -> None:
        if self.results:
            chart.of_results(self.results, folder / _RESULTS_CHART)
        if self.growths:
            chart.of_growth(self.growths, folder / _GROWTH_CHART)

    def _document(self) -> dict[str, Any]:
        return {
            "machine": asdict(self.machine),
            "rounds": self.rounds,
            "rows": [_row(result) for result in self.results],
            "growth": [asdict(growth) for growth in self.growths],
        }


def _joined(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _replaced(text: str, marks: tuple[str, str], content: str) -> str:
    begin, end = marks
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no place for the figures: {begin} … {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def _row(result: Result) -> dict[str, Any]:
    keys = [figure.key for figure in result.figures]
    return {
        "key": result.key,
        "title": result.title,
        "figures": [asdict(figure) for figure in result.figures],
        "aims": [{"aim": text, "reached": reached} for text, reached in result.verdicts()],
        "medians": {
            party: {key: result.median(party, key) for key in keys} for party in result.samples
        },
        "samples": result.samples,
    }
