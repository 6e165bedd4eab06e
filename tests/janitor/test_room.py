"""Room made for a fill that found none."""

import os
import threading
from pathlib import Path

import pytest

from common.broker.embedded.broker import EmbeddedBroker
from common.digest import Digest
from common.fills import Epoch, Fill
from common.messages import FillCommitted, StorageFull
from common.reference import RepositoryName
from janitor.room import Room
from tests.janitor.house import House
from tests.waiting import until


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def received(house: House, content: bytes) -> Fill:
    """A download under way, of which a part is there."""
    fill = Fill(house.layout, Digest.of(content))
    fill.admit(RepositoryName("library/app"))
    Path(fill.spool(Epoch(1, 1))).write_bytes(content[:3])
    return fill


def test_what_nobody_is_served_from_goes_at_once_and_the_rest_stays(house: House) -> None:
    used, damaged, unlinked = house.fill("app", b"1"), house.fill("app", b"2"), Digest.of(b"3")
    house.blobs.put(unlinked, b"3")
    house.blobs.condemn(unlinked, house.claims.now())
    broken = house.blobs.open(damaged)
    assert broken is not None
    assert house.blobs.quarantine(damaged, broken)
    broken.close()
    abandoned, running = received(house, b"abandoned"), received(house, b"running")
    claim = house.claims.acquire(running.folder)
    assert claim is not None
    room = Room(house.layout, house.claims, house.trash)
    stop = threading.Event()
    broker = EmbeddedBroker(house.root / "queue" / "queue.sqlite")
    making = room.attach(broker, stop)
    making.start()

    broker.emit(FillCommitted(key="k"))
    broker.emit(StorageFull())

    until(lambda: not os.listdir(house.layout.trash), 10, "the trash to be empty")
    until(lambda: not abandoned.exists(), 10, "the abandoned download to go")
    assert os.listdir(house.layout.quarantine) == []
    assert running.spools() == [Epoch(1, 1)]
    assert house.blobs.size(used) == 1
    claim.release()
    stop.set()
    making.join(10)
    broker.close()


def test_nothing_goes_before_somebody_asks(house: House) -> None:
    digest = Digest.of(b"3")
    house.blobs.put(digest, b"3")
    house.blobs.condemn(digest, house.claims.now())
    assert Room(house.layout, house.claims, house.trash)() > 60
    assert len(os.listdir(house.layout.trash)) == 1
