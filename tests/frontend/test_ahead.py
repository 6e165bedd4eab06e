"""What fetchers are told of images that are about to be pulled."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from common.broker.embedded.broker import EmbeddedBroker
from common.digest import Digest
from common.mediatypes import DOCKER_MANIFEST, INDEXES, OCI_MANIFEST
from common.messages import Message, Prefetch, Queue
from common.reference import RepositoryName
from common.source import Source
from frontend.ahead import Ahead

APP = Source("", RepositoryName("library/app"))
OTHER = Source("", RepositoryName("library/other"))
LAYER = Digest.of(b"a layer")
BODY = f'{{"layers": [{{"digest": "{LAYER}"}}]}}'.encode()
IMAGE = Digest.of(BODY)


class Recording(EmbeddedBroker):
    """A broker that keeps what is published."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere/queue.db"))
        self.published: list[tuple[Queue, Message]] = []

    def publish(self, queue: Queue, message: Message, *, delay: float = 0.0) -> Future[None]:
        del delay
        self.published.append((queue, message))
        return Future()

    @property
    def told(self) -> list[tuple[Source, Digest]]:
        """The images told of."""
        return [
            (message.source, message.digest)
            for queue, message in self.published
            if queue is Queue.PREFETCH and isinstance(message, Prefetch)
        ]


@pytest.fixture
def broker() -> Recording:
    return Recording()


@pytest.fixture
def ahead(broker: Recording) -> Ahead:
    return Ahead(broker, enabled=True)


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_an_image_that_a_client_gets_is_told_of_once(
    ahead: Ahead, broker: Recording, media_type: str
) -> None:
    for _ in range(24):
        ahead.came(APP, IMAGE, media_type, BODY, wanted=True)
    ahead.came(OTHER, IMAGE, media_type, BODY, wanted=True)
    assert broker.told == [(APP, IMAGE), (OTHER, IMAGE)]


@pytest.mark.parametrize("media_type", [*sorted(INDEXES), "application/vnd.other+json"])
def test_an_index_and_what_is_no_image_are_not(
    ahead: Ahead, broker: Recording, media_type: str
) -> None:
    ahead.came(APP, IMAGE, media_type, BODY, wanted=True)
    assert broker.published == []


def test_what_was_looked_at_is_told_of_when_its_blobs_are_asked_for(
    ahead: Ahead, broker: Recording
) -> None:
    ahead.came(APP, IMAGE, OCI_MANIFEST, BODY, wanted=False)
    ahead.missed(APP, Digest.of(b"of another image"))
    ahead.missed(OTHER, LAYER)
    assert broker.published == []
    ahead.missed(APP, LAYER)
    ahead.missed(APP, LAYER)
    assert broker.told == [(APP, IMAGE)]


def test_so_much_is_remembered_of_what_was_looked_at(ahead: Ahead, broker: Recording) -> None:
    large = BODY + b" " * 1_000_000
    ahead.came(APP, Digest.of(large), OCI_MANIFEST, large, wanted=False)
    ahead.missed(APP, LAYER)
    ahead.came(APP, IMAGE, OCI_MANIFEST, BODY, wanted=False)
    for number in range(2000):
        other = Source("", RepositoryName(f"many/{number}"))
        ahead.came(other, IMAGE, OCI_MANIFEST, BODY, wanted=False)
    ahead.missed(APP, LAYER)
    assert broker.published == []


def test_nothing_is_told_when_it_is_switched_off(broker: Recording) -> None:
    ahead = Ahead(broker, enabled=False)
    ahead.came(APP, IMAGE, OCI_MANIFEST, BODY, wanted=True)
    ahead.came(APP, IMAGE, OCI_MANIFEST, BODY, wanted=False)
    ahead.missed(APP, LAYER)
    assert broker.published == []
