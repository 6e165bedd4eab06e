from common.digest import Digest
from common.metrics.catalogue import DEPTH, HITS, PROCESSES
from entrepot.console.figures import Figures
from entrepot.console.watch import Speeds

ONE, OTHER = Digest.of(b"1"), Digest.of(b"2")


def test_a_speed_is_known_from_the_second_look_on() -> None:
    speeds = Speeds()
    assert speeds.of({ONE: 1000}, 10.0) == {ONE: None}
    assert speeds.of({ONE: 3000, OTHER: 5}, 12.0) == {ONE: 1000.0, OTHER: None}


def test_a_speed_is_that_of_the_last_seconds() -> None:
    speeds = Speeds()
    for second in range(20):
        found = speeds.of({ONE: 100 * second if second < 10 else 1000}, float(second))
    assert found == {ONE: 0.0}


def test_a_download_that_began_anew_has_no_speed_below_nothing() -> None:
    speeds = Speeds()
    speeds.of({ONE: 5000}, 1.0)
    assert speeds.of({ONE: 100}, 2.0) == {ONE: None}
    assert speeds.of({}, 3.0) == {}
    assert speeds.of({ONE: 200}, 4.0) == {ONE: None}


def test_figures_are_looked_up_by_label() -> None:
    figures = Figures(
        {
            HITS.definition.name: {("default", "blob"): 2, ("ghcr.io", "blob"): 3, ("ghcr.io", "manifest"): 5},
            DEPTH.definition.name: {("interactive",): [7, 123.0]},
            PROCESSES.definition.name: {("frontend",): 2},
        }
    )  # fmt: skip
    assert figures.total(HITS) == 10
    assert figures.total(HITS, upstream="ghcr.io") == 8
    assert figures.total(HITS, upstream="ghcr.io", type="blob") == 3
    assert figures.one(DEPTH, queue="interactive") == 7
    assert figures.one(DEPTH, queue="expiry") is None
    assert figures.is_whole
    assert not Figures({}).is_whole
