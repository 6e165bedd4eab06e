"""A short chaos run in each queue mode; a long one is `python -m tests.chaos`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.conductor import Conductor
from tests.chaos.disturbances import Disturbances
from tests.chaos.plan import short
from tests.chaos.queues import Broker, Embedded, QueueMode
from tests.parts.rabbit import Rabbit

SEED = 3


@pytest.fixture
def disturbances() -> Disturbances:
    return Disturbances()


@pytest.fixture
def embedded(tmp_path: Path) -> QueueMode:
    return Embedded(tmp_path / "root")


@pytest.fixture
def rabbitmq(rabbit: Rabbit, amqp_url: str, disturbances: Disturbances) -> QueueMode:
    return Broker(rabbit, amqp_url, disturbances)


@pytest.mark.parametrize("queue", ["embedded", "rabbitmq"])
def test_after_everything_has_failed_the_ledger_balances(
    queue: str,
    tmp_path: Path,
    disturbances: Disturbances,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    mode: QueueMode = request.getfixturevalue(queue)
    ledger = Conductor(short(queue, SEED), tmp_path, mode, disturbances).run()
    record_property("ledger", ledger.as_json())
    assert ledger.balances, ledger.as_text()
    # A run that did nothing would balance too.
    assert ledger.done["kills"] >= 3
    assert ledger.done["clients got"]["whole pulls"] >= 20
    assert sum(ledger.done["faults of the upstream"].values()) >= 3
