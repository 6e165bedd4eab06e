"""docs/metrics.md and the metrics themselves say the same."""

import re

from common.metrics.catalogue import REGISTRY
from common.metrics.priming import prime
from tests.common import metrics_table


def test_every_metric_is_documented_as_it_is() -> None:
    again = "python -m tests.common.metrics_table brings it up to date"
    assert metrics_table.written() == metrics_table.meant(), again


def test_every_word_that_a_label_begins_with_is_documented() -> None:
    for role in ("frontend", "fetcher", "janitor"):
        prime(role, [""])
    words = metrics_table.DOCUMENT.read_text().partition("## Words in labels")[2]
    for name, metric in REGISTRY.metrics.items():
        for labels in metric.series():
            fixed = dict(zip(metric.definition.labels, labels, strict=True))
            for label in fixed.keys() - {"upstream", "status", "code", "version"}:
                assert f"`{fixed[label]}`" in words, (name, label)


def test_names_follow_the_conventions() -> None:
    for name, metric in REGISTRY.metrics.items():
        assert re.fullmatch(r"[a-z_]+", name)
        assert name.endswith("_total") == (metric.definition.kind == "counter")
        assert not {"digest", "repository", "tag", "client"} & set(metric.definition.labels)
