"""How things stand with upstreams, for metrics."""

from common.metrics.catalogue import (
    BREAKER,
    CONNECTIONS,
    QUOTA_LEFT,
    QUOTA_LIMIT,
    RESTING,
    upstream_label,
)
from fetcher.manners import Condition
from fetcher.quota import Allowance

_told: dict[str, Allowance] = {}


def tell(upstream: str, condition: Condition) -> None:
    """Set the gauges of one upstream."""
    label = upstream_label(upstream)
    BREAKER.of(label).set(int(condition.is_open))
    RESTING.of(label).set(round(condition.resting, 1))
    CONNECTIONS.of(label).set(condition.connections)
    allowance = condition.allowance
    if allowance is not None and allowance is not _told.get(upstream):
        # Only what is new: another process may have heard something since.
        _told[upstream] = allowance
        QUOTA_LIMIT.of(label).set(allowance.limit)
        QUOTA_LEFT.of(label).set(allowance.remaining)
