from common.metrics.catalogue import HITS, MISSES, RECEIVED, SENT
from common.metrics.kinds import Snapshot
from entrepot.console.chart import Line, chart
from entrepot.console.history import HOURS, INTERVAL, Counts, History
from entrepot.console.traffic import card_of, percent

NOON = 1_000_000_000.0 // 3600 * 3600


def snapshot(hits: float, misses: float, sent: float = 0, received: float = 0) -> Snapshot:
    return {
        HITS.definition.name: {("default", "blob"): hits},
        MISSES.definition.name: {("default", "blob"): misses},
        SENT.definition.name: {("blob",): sent, ("manifest",): 1},
        RECEIVED.definition.name: {("default", "blob"): received},
    }


def history() -> History:
    return History(dict)


def test_what_came_between_two_samples_is_what_counts() -> None:
    kept = history()
    kept.take(NOON, snapshot(1000, 1000))
    kept.take(NOON + 10, snapshot(1009, 1001, 500, 100))
    kept.take(NOON + 20, snapshot(1018, 1002, 700, 100))
    total = kept.total(1, NOON + 20)
    assert total == Counts(hits=18, misses=2, sent=700, received=100)
    assert total.ratio == 0.9


def test_a_machine_that_was_started_anew_does_not_count_backwards() -> None:
    kept = history()
    kept.take(NOON, snapshot(1000, 0))
    kept.take(NOON + 10, snapshot(3, 1))
    kept.take(NOON + 20, snapshot(5, 1))
    assert kept.total(1, NOON + 20) == Counts(hits=2, misses=1)


def test_stretches_are_told_apart_from_those_that_nobody_looked_at() -> None:
    kept = history()
    for minute in (0, 10, 20, 30):
        kept.take(NOON + minute * 60, snapshot(minute, 0))
    stretches = kept.stretches(1, 6, NOON + 1800)
    assert [each.counts and each.counts.hits for each in stretches] == [
        None, None, None, 10, 10, 10,
    ]  # fmt: skip
    assert stretches[-1].began == NOON + 1800


def test_a_day_of_samples_is_all_that_is_kept() -> None:
    kept = history()
    number = round(max(HOURS) * 3600 / INTERVAL)
    for sample in range(number + 100):
        kept.take(NOON + sample * INTERVAL, snapshot(sample, 0))
    assert len(kept._samples) == number


def test_nearly_all_is_not_told_as_all() -> None:
    told = [percent(ratio) for ratio in (None, 0.0, 0.5, 0.99999, 1.0)]
    assert told == ["-", "0.0%", "50.0%", "99.9%", "100%"]


def test_a_chart_has_a_line_for_each_piece_that_is_known() -> None:
    kept = history()
    for minute in (0, 1, 2, 10, 11):
        kept.take(NOON + minute * 60, snapshot(minute, 1))
    stretches = kept.stretches(1, 60, NOON + 660)
    lines = [Line("hits", lambda each: each.counts.hits if each.counts else None)]
    drawn = chart("Hits", stretches, lines, top=10.0, told=lambda each: f"{each.counts}")
    assert drawn.count('class="line hits"') == 2
    assert drawn.count("<title>") == 4


def test_without_a_sample_there_are_charts_all_the_same() -> None:
    drawn = card_of(history(), 6)
    assert drawn.count("<svg") == 2
    assert "- of 0 requests cost no upstream" in drawn


def test_a_stretch_that_is_not_over_is_as_high_as_those_before() -> None:
    kept = history()
    for sample in range(13):
        kept.take(NOON + sample * 10, snapshot(0, 0, sent=sample * 1000))
    stretches = kept.stretches(1, 60, NOON + 120)
    rates = [each.counts.sent / each.seconds for each in stretches if each.counts]
    assert rates == [100.0, 100.0, 100.0]
    assert [each.seconds for each in stretches[-3:]] == [50, 60, 10]
