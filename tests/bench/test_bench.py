"""The benchmark runs: each row and each kind of growth, small and short. Its figures mean nothing
here; that they are there, and the contents right, is what is shown.
"""

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import growth, table
from bench.__main__ import main
from bench.effort import QUICK
from bench.engine import all_rows
from bench.figures import ENTREPOT, NGINX, REGISTRY, Aim, Figure, Growth, Result
from bench.machine import Machine, look
from bench.report import GROWTH, ROWS, Report
from bench.row import Row
from bench.rows import scenes
from bench.rows.hits import DigestHit

SCENES = scenes(QUICK)


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark adds to it."""
    monkeypatch.setenv("PATH", os.environ["PATH"])


@pytest.mark.parametrize("rows", SCENES, ids=lambda rows: rows[0].key)
def test_rows_give_all_their_figures_for_everybody(rows: Sequence[Row], tmp_path: Path) -> None:
    keys = [row.key for row in rows]
    assert main(["--quick", "--rows", *keys, "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    assert [row["key"] for row in found["rows"]] == keys
    for row, result in zip(rows, found["rows"], strict=True):
        assert set(result["medians"]) == set(row.parties)
        for medians in result["medians"].values():
            assert set(medians) == {figure.key for figure in row.figures}
            assert all(math.isfinite(value) and value >= 0 for value in medians.values())
            assert medians[row.figures[0].key] > 0
    assert rows[-1].title.split()[0] in (tmp_path / "results.svg").read_text()


@pytest.mark.parametrize("kind", growth.KINDS)
def test_growth_gives_all_its_figures(kind: str, tmp_path: Path) -> None:
    assert main(["--quick", "--growth", kind, "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "results.json").read_text())["growth"]
    assert found
    for grown in found:
        assert len(grown["points"]) == 2
        for _, values in grown["points"]:
            assert set(values) == {figure["key"] for figure in grown["figures"]}
    assert found[-1]["along"] in (tmp_path / "growth.svg").read_text()


def test_all_rows_have_keys_of_their_own() -> None:
    keys = [row.key for row in all_rows(QUICK)]
    assert len(set(keys)) == len(keys) >= 12


def test_an_unknown_row_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "nonsense", "--out", str(tmp_path)]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_a_missing_program_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "wrk" else name)
    assert main(["--quick", "--out", str(tmp_path)]) == 1
    assert "not installed: wrk" in capsys.readouterr().err


RATE = Figure("rate", "requests", "/s", more_is_better=True)
COST = Figure("cost", "CPU", "s", 1)


@pytest.fixture
def result() -> Result:
    aim = Aim("twice", lambda of: of(ENTREPOT, "rate") >= 2 * of(REGISTRY, "rate"))
    dear = Aim("free", lambda of: of(ENTREPOT, "cost") == 0)
    made = Result("row", "some work", (RATE, COST), (aim, dear))
    for rate in (1000, 5000, 3000):
        made.add(ENTREPOT, {"rate": rate, "cost": 0.5})
        made.add(REGISTRY, {"rate": rate / 2})
    made.add(NGINX, {"rate": 12_000, "cost": 0.25})
    return made


def test_the_table_has_medians_and_ratios(result: Result) -> None:
    head, _, rate, cost = table.of_results([result]).splitlines()
    assert head.count("|") == rate.count("|") == cost.count("|")
    assert cells(rate) == [
        "some work", "requests, /s", "3,000", "1,500", "12,000", "",
        "2.00", "0.25", "", "twice: reached; free: missed",
    ]  # fmt: skip
    assert cells(cost) == ["", "CPU, s", "0.5", "", "0.2", "", "", "2.00", "", ""]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_an_aim_that_is_missed_is_said(result: Result) -> None:
    for _ in range(4):
        result.add(REGISTRY, {"rate": 9000})
    assert result.verdicts() == [("twice", False), ("free", False)]
    assert "twice: missed" in table.of_results([result])


def test_small_hits_are_compared_with_this_run_and_with_what_was_measured_before() -> None:
    made = DigestHit(QUICK).result()
    made.add(ENTREPOT, {"rate": 10_000, "cpu": 100})
    made.add(REGISTRY, {"rate": 4_000})
    texts, reached = zip(*made.verdicts(), strict=True)
    assert reached == (True, False, True)
    assert "docker-registry 2.8" in texts[0]
    assert "13,340/s" in texts[1]
    assert "110" in texts[2]


def test_an_aim_without_its_figures_is_an_error(result: Result) -> None:
    result.samples.pop(REGISTRY)
    with pytest.raises(KeyError, match=REGISTRY):
        result.verdicts()


def test_the_page_has_its_figures_replaced_and_nothing_else(result: Result, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(_marked("before", "old", "between", "old", "after"))
    grown = Growth("g", "growing", "clients", (RATE,), [(1, {"rate": 1}), (100, {"rate": 2})])
    report = Report(machine(), 3, [result], [grown])
    for _ in range(2):
        report.write_docs(page)
        text = page.read_text()
        assert text.startswith(f"before\n{ROWS[0]}\n")
        assert f"{ROWS[1]}\nbetween\n{GROWTH[0]}" in text
        assert text.endswith(f"{GROWTH[1]}\nafter\n")
        assert "old" not in text
        assert text.count("some work") == 1
        pictures = re.findall(r"\]\((.*?\.svg)\)", text)
        assert len(pictures) == 2
        for picture in pictures:
            assert (tmp_path / picture).stat().st_size < 200_000


def test_what_was_not_measured_stays_as_it_was(result: Result, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(_marked("", "rows of before", "", "growth of before", ""))
    grown = Growth("g", "growing", "clients", (RATE,), [(1, {"rate": 1}), (100, {"rate": 2})])
    Report(machine(), 1, [result], []).write_docs(page)
    assert "rows of before" not in page.read_text()
    assert "growth of before" in page.read_text()
    page.write_text(_marked("", "rows of before", "", "growth of before", ""))
    Report(machine(), 1, [], [grown]).write_docs(page)
    assert "rows of before" in page.read_text()
    assert "growth of before" not in page.read_text()


def _marked(before: str, rows: str, between: str, growth: str, after: str) -> str:
    lines = [before, ROWS[0], rows, ROWS[1], between, GROWTH[0], growth, GROWTH[1], after]
    return "\n".join(lines) + "\n"


def test_a_page_without_marks_is_left_alone(result: Result, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n")
    with pytest.raises(ValueError, match="no place"):
        Report(machine(), 1, [result], []).write_docs(page)
    assert page.read_text() == "text\n"


def machine() -> Machine:
    return Machine("a processor", 2, 4.0, "Linux", "3.11", 0.1, {"nginx": "1"})


def test_the_machine_is_described() -> None:
    found = look()
    assert found.cores >= 1
    assert found.memory_gib > 0
    assert all(found.programs[name] for name in (REGISTRY, NGINX, "wrk"))
