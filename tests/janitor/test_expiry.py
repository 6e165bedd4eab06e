"""What is due, and what is not."""

import os
import time
from pathlib import Path

import pytest

from common.digest import Digest
from common.links import Links
from common.messages import ExpireLink, FetchBlob, Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.source import Source
from janitor.alarms import Alarms
from janitor.armed import Armed
from janitor.expiry import Expiries, ExpiryHandler
from tests.janitor.house import DAY, TTL, House, content_of, expire_link, expire_tag
from tests.janitor.queue import RecordingDelivery

_CONTENT = content_of("layer")
_REPOSITORY = RepositoryName("app")
_TAG = Tag("v1")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize("kind", Kind)
def test_what_is_due_is_removed_with_everything_around_it(house: House, kind: Kind) -> None:
    digest = house.fill("app", _CONTENT, kind)
    house.age(TTL + 1)
    assert house.settle("app", digest, kind) is None
    assert not house.has("app", digest, kind)
    assert house.blobs.size(digest) is None
    house.age(TTL)
    house.trash.empty(house.pace())
    assert house.files() == set()


def test_what_is_not_due_stays_and_is_looked_at_when_it_may_be(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    house.age(TTL - 10)
    assert house.settle("app", digest) == pytest.approx(10, abs=5)
    assert house.has("app", digest)


def test_a_use_begins_a_new_life(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    house.age(TTL + 1)
    house.links.mark(Kind.LAYER, _REPOSITORY, digest)
    assert house.settle("app", digest) == pytest.approx(TTL, abs=5)
    assert house.blobs.read(digest, 1000) == _CONTENT


def test_an_event_a_moment_too_early_does_not_go_round_in_circles(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    path = house.layout.link(Kind.LAYER, _REPOSITORY, digest)
    now = house.claims.now()
    nearly = now - TTL + 0.5
    os.utime(path, (nearly, nearly))
    expiries = Expiries(house.links, house.tags, house.vacuum, house.lifetimes, lambda: now)
    assert expiries.settle(expire_link("app", digest)) == 1.0


def test_a_use_in_the_future_is_no_longer_life(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    house.age(-DAY)
    assert house.settle("app", digest) == TTL


def test_what_is_gone_needs_no_other_look(house: House) -> None:
    assert house.settle("app", Digest.of(b"never there")) is None
    assert house.expiries.settle(expire_tag("app", "never-there")) is None


def test_what_is_kept_for_ever_needs_no_other_look(tmp_path: Path) -> None:
    house = House(tmp_path, ttls={"": None})
    digest = house.fill("app", _CONTENT)
    house.tags.point(_REPOSITORY, _TAG, digest)
    house.age(1000 * DAY)
    assert house.settle("app", digest) is None
    assert house.expiries.settle(expire_tag("app", _TAG)) is None
    assert house.has("app", digest)
    assert house.tags.read(_REPOSITORY, _TAG) is not None


def test_each_upstreams_own_life_counts(tmp_path: Path) -> None:
    house = House(tmp_path, ttls={"": 10 * TTL, "quay.io": TTL})
    digest = house.fill("quay.io/app", _CONTENT)
    house.fill("app", _CONTENT)
    house.age(TTL + 1)
    message = ExpireLink(source=Source("quay.io", _REPOSITORY), digest=digest, kind=Kind.LAYER)
    assert house.expiries.settle(message) is None
    assert house.settle("app", digest) == pytest.approx(9 * TTL, abs=5)
    assert not house.has("quay.io/app", digest)
    assert house.blobs.read(digest, 1000) == _CONTENT


def test_a_shared_blob_goes_with_its_last_link(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    house.fill("app", _CONTENT, Kind.MANIFEST)
    house.fill("app/other", _CONTENT)
    house.age(TTL + 1)
    house.settle("app", digest)
    house.settle("app/other", digest)
    assert house.blobs.read(digest, 1000) == _CONTENT
    house.settle("app", digest, Kind.MANIFEST)
    assert house.blobs.size(digest) is None


def test_a_tag_goes_and_its_manifest_stays_for_its_own_life(house: House) -> None:
    digest = house.fill("app", _CONTENT, Kind.MANIFEST)
    house.tags.point(_REPOSITORY, _TAG, digest)
    house.age(TTL + 1)
    house.links.mark(Kind.MANIFEST, _REPOSITORY, digest)
    assert house.expiries.settle(expire_tag("app", _TAG)) is None
    assert house.tags.read(_REPOSITORY, _TAG) is None
    assert house.has("app", digest, Kind.MANIFEST)


def test_a_tag_in_use_stays(house: House) -> None:
    digest = house.fill("app", _CONTENT, Kind.MANIFEST)
    house.tags.point(_REPOSITORY, _TAG, digest)
    house.age(TTL + 1)
    house.tags.mark(_REPOSITORY, _TAG)
    assert house.expiries.settle(expire_tag("app", _TAG)) == pytest.approx(TTL, abs=5)
    assert house.tags.read(_REPOSITORY, _TAG) is not None


class _LinksUsedMeanwhile(Links):
    """A client uses the link after it was judged and before it is removed."""

    def remove(
        self,
        kind: Kind,
        repository: RepositoryName,
        digest: Digest,
        *,
        unused_since: float | None = None,
    ) -> bool:
        self.mark(kind, repository, digest)
        return super().remove(kind, repository, digest, unused_since=unused_since)


def test_a_link_used_in_the_moment_it_is_due_lives_on(tmp_path: Path) -> None:
    house = House(tmp_path, links=_LinksUsedMeanwhile(Layout(str(tmp_path))))
    digest = house.fill("app", _CONTENT)
    house.age(TTL + 1)
    assert house.settle("app", digest) == TTL
    assert house.has("app", digest)
    assert house.blobs.read(digest, 1000) == _CONTENT


def test_a_message_that_comes_back_after_a_death_finishes_the_work(house: House) -> None:
    """The janitor died after removing the link and before condemning the blob."""
    digest = house.fill("app", _CONTENT)
    house.links.remove(Kind.LAYER, _REPOSITORY, digest)
    assert house.settle("app", digest) is None
    assert house.blobs.size(digest) is None


def _handled(house: House, delivery: RecordingDelivery) -> list[str]:
    ExpiryHandler(house.expiries, Alarms(house.broker))(delivery)
    return delivery.settled


def test_a_message_is_acknowledged_once_its_work_is_done(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    house.age(TTL + 1)
    assert _handled(house, RecordingDelivery(expire_link("app", digest))) == ["ack"]
    assert house.broker.published == []
    assert not house.has("app", digest)


def test_a_message_put_off_is_queued_again_before_it_is_acknowledged(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    message = expire_link("app", digest)
    assert _handled(house, RecordingDelivery(message)) == ["ack"]
    ((published, delay),) = house.broker.published
    assert published == message
    assert delay == pytest.approx(TTL, abs=5)


def test_a_message_that_cannot_be_queued_again_is_not_acknowledged(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    house.broker.connected = False
    assert _handled(house, RecordingDelivery(expire_link("app", digest))) == ["retry 60"]
    assert house.has("app", digest)


def test_of_several_messages_of_one_key_one_is_put_off(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    handler = ExpiryHandler(house.expiries, Alarms(house.broker))
    copies = [RecordingDelivery(expire_link("app", digest)) for _ in range(5)]
    for copy in copies:
        handler(copy)
    assert [copy.settled for copy in copies] == [["ack"]] * 5
    assert len(house.broker.published) == 1


def test_a_message_that_is_due_sooner_than_the_one_on_its_way_is_put_off_too(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    handler = ExpiryHandler(house.expiries, Alarms(house.broker))
    handler(RecordingDelivery(expire_link("app", digest)))
    house.age(TTL / 2)
    handler(RecordingDelivery(expire_link("app", digest)))
    assert [round(delay, -2) for _, delay in house.broker.published] == [TTL, TTL / 2]


def test_the_message_that_was_put_off_is_put_off_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it comes a little early, by a clock that is not ours."""
    digest = house.fill("app", _CONTENT)
    handler = ExpiryHandler(house.expiries, Alarms(house.broker))
    handler(RecordingDelivery(expire_link("app", digest)))
    later = time.monotonic() + TTL * 0.95
    monkeypatch.setattr("janitor.armed.time.monotonic", lambda: later)
    handler(RecordingDelivery(expire_link("app", digest)))
    assert len(house.broker.published) == 2


def test_a_message_that_could_not_be_queued_is_not_taken_for_one_on_its_way(house: House) -> None:
    digest = house.fill("app", _CONTENT)
    handler = ExpiryHandler(house.expiries, Alarms(house.broker))
    house.broker.connected = False
    handler(RecordingDelivery(expire_link("app", digest)))
    house.broker.connected = True
    handler(RecordingDelivery(expire_link("app", digest)))
    assert len(house.broker.published) == 1


def test_no_more_messages_are_remembered_than_memory_is_to_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("janitor.armed._MOST", 2)
    armed = Armed()
    assert [armed.claim(key, TTL) for key in "abcaac"] == [True, True, True, True, False, False]
    assert len(armed._due) == 2


def test_a_message_of_another_kind_is_rejected(house: House) -> None:
    job = FetchBlob(source=Source("", _REPOSITORY), digest=Digest.of(b""))
    assert _handled(house, RecordingDelivery(job)) == ["reject not an expiry"]
