"""What a run leaves behind: results.json, table.md, the charts, and the page of documentation."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import chart, table
from bench.figures import Growth, Result
from bench.machine import Machine

BEGIN = "<!-- figures: python -m bench --docs -->"
END = "<!-- end of figures -->"
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
        """Replace what is between the two marks of `page`, and its charts, in the folder that bears
        its name. ValueError when it has no marks.
        """
        text = page.read_text()
        before, found, rest = text.partition(BEGIN)
        _, ended, after = rest.partition(END)
        if not found or not ended:
            raise ValueError(f"{page} has no place for the figures: {BEGIN} … {END}")
        folder = page.with_suffix("")
        folder.mkdir(exist_ok=True)
        self._draw(folder)
        page.write_text(f"{before}{BEGIN}\n{self.markdown(f'{folder.name}/')}\n{END}{after}")

    def markdown(self, charts: str) -> str:
        """Tables and charts; `charts` stands before the charts' names."""
        parts = ["\n".join(f"- {line}" for line in self._circumstances())]
        if self.results:
            parts.append(table.of_results(self.results))
            parts.append(f"![The first figure of each row]({charts}{_RESULTS_CHART})")
        for growth in self.growths:
            parts += [f"### {growth.title}", table.of_growth(growth)]
        if self.growths:
            parts.append(f"![How cost grows]({charts}{_GROWTH_CHART})")
        return "\n\n".join(part.strip() for part in parts) + "\n"

    def _circumstances(self) -> list[str]:
        return [*self.machine.lines(), f"medians of {self.rounds} rounds, everybody in turns"]

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
