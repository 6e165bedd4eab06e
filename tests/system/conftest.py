"""Both queues, from the same code: every test of the whole runs with each."""

from collections.abc import Iterator

import pytest


@pytest.fixture(params=["embedded", "rabbitmq"])
def queue_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """None for the queue that entrepot brings itself, or the URL of a RabbitMQ."""
    if request.param == "embedded":
        yield None
    else:
        yield request.getfixturevalue("amqp_url")
