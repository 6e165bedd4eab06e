"""Series that are there, as 0, before anything is counted: else a first failure is no increase."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from common.messages import Queue
from common.metrics import catalogue as metrics
from common.metrics.kinds import Metric

_CONTENT = ("blob", "manifest")
_QUEUES = tuple(queue.value for queue in Queue)
_CAUSES = ("absent", "denied", "limited", "timeout", "unreachable", "unasked", "wrong", "storage", "other")  # fmt: skip

# The words of each label after, where it has one, `upstream`.
_WORDS: Mapping[str, Sequence[tuple[Metric, tuple[Sequence[str], ...]]]] = {
    "frontend": (
        (metrics.HITS, (_CONTENT,)),
        (metrics.MISSES, (_CONTENT,)),
        (metrics.JOINS, (_CONTENT,)),
        (metrics.STALE, ()),
        (metrics.SENT, (_CONTENT,)),
    ),
    "fetcher": (
        (metrics.RECEIVED, (_CONTENT,)),
        (metrics.FILLS, ()),
        (metrics.FILLS_RUNNING, ()),
        (metrics.FILL_FAILURES, (_CAUSES,)),
        (metrics.ASKED, (("2xx", "3xx", "4xx", "429", "5xx", "error"),)),
        (metrics.ASKED_SECONDS, ()),
        (metrics.UNASKED, (("rest", "breaker"),)),
        (metrics.TRIES, ()),
        (metrics.CLAIMS, (("taken", "refused", "lost"),)),
        (metrics.CLAIMS_HELD, ()),
        (metrics.RETRIES, (_QUEUES,)),
        (metrics.DEAD_LETTERS, (_QUEUES,)),
        (metrics.DAMAGED, ()),
    ),
    "console": (),
    "janitor": (
        (metrics.EXPIRATIONS, (("layer", "manifest", "tag"),)),
        (metrics.EVICTIONS, (("layer", "manifest"),)),
        (metrics.EVICTED, ()),
        (metrics.RETRIES, (_QUEUES,)),
        (metrics.DEAD_LETTERS, (_QUEUES,)),
        (metrics.DAMAGED, ()),
    ),
}


def prime(role: str, upstreams: Iterable[str]) -> None:
    """Have what a process of `role` counts begin at 0, for these upstreams."""
    named = [metrics.upstream_label(upstream) for upstream in upstreams]
    for metric, words in _WORDS[role]:
        has_upstream = "upstream" in metric.definition.labels
        for labels in product(*([named] if has_upstream else []), *words):
            metric.of(*labels)  # to ask for a series makes it
