"""Evicting by hand: what goes, what stays, and that the janitor does the rest."""

from pathlib import Path

import pytest

from common.broker import Broker
from common.broker.opening import open_broker
from common.digest import Digest
from common.insight.eviction import Eviction
from common.messages import ExpireLink, Kind
from common.reference import RepositoryName, Tag
from common.source import Source
from janitor.worker import Janitor
from tests.common.insight.store import CONFIG, Store, index
from tests.janitor.queue import RecordingBroker
from tests.waiting import until

APP = RepositoryName("library/app")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "root")


@pytest.fixture
def eviction(store: Store) -> Eviction:
    return Eviction(store.layout, ["", "ghcr.io"])


def layers(*contents: bytes) -> tuple[Digest, ...]:
    return tuple(sorted(Digest.of(content) for content in contents))


def test_a_tag_goes_with_its_image_but_not_with_what_another_image_needs(
    store: Store, eviction: Eviction
) -> None:
    going = store.add_image("library/app", "1", [b"shared", b"own"])
    staying = store.add_image("library/app", "2", [b"shared", b"other"])
    plan = eviction.plan(APP, Tag("1"))
    assert (plan.tags, plan.manifests, plan.layers) == (("1",), (going,), layers(b"own"))
    eviction.carry_out(plan, None)
    assert not store.links.has(Kind.MANIFEST, APP, going)
    assert not store.links.has(Kind.LAYER, APP, Digest.of(b"own"))
    assert store.links.has(Kind.MANIFEST, APP, staying)
    for content in (b"shared", b"other", CONFIG):
        assert store.links.has(Kind.LAYER, APP, Digest.of(content))
    assert store.tags.names(APP) == ["2"]


def test_a_tag_whose_image_has_another_tag_goes_alone(store: Store, eviction: Eviction) -> None:
    digest = store.add_image("library/app", "1", [b"x"])
    store.tags.point(APP, Tag("latest"), digest)
    plan = eviction.plan(APP, Tag("latest"))
    assert (plan.tags, plan.manifests, plan.layers) == (("latest",), (), ())


def test_by_digest_an_image_goes_with_all_its_tags(store: Store, eviction: Eviction) -> None:
    digest = store.add_image("library/app", "1", [b"x"])
    store.tags.point(APP, Tag("latest"), digest)
    plan = eviction.plan(APP, digest)
    assert plan.tags == ("1", "latest")
    assert plan.layers == layers(b"x", CONFIG)


def test_an_index_goes_with_its_images_but_those_that_are_tagged_or_listed_elsewhere(
    store: Store, eviction: Eviction
) -> None:
    only, tagged, shared = (
        store.add_image("library/app", tag, [name])
        for tag, name in ((None, b"only"), ("amd", b"tagged"), (None, b"shared"))
    )
    first = index({"linux/a": only, "linux/b": tagged, "linux/c": shared})
    store.add_manifest("library/app", "1", first)
    store.add_manifest("library/app", "2", index({"linux/c": shared}))
    plan = eviction.plan(APP, Tag("1"))
    assert plan.manifests == (Digest.of(first), only)
    assert plan.layers == layers(b"only")


def test_a_whole_repository_goes_and_its_neighbours_stay(store: Store, eviction: Eviction) -> None:
    store.add_image("library/app", "1", [b"x"])
    inside = RepositoryName("library/app/inside")
    store.add_image(inside, "1", [b"x"])
    eviction.carry_out(eviction.plan(APP), None)
    assert not eviction.plan(APP)
    assert store.links.has(Kind.LAYER, inside, Digest.of(b"x"))
    assert store.tags.names(inside) == ["1"]


def test_one_layer_goes_alone(store: Store, eviction: Eviction) -> None:
    store.add_image("library/app", "1", [b"x", b"y"])
    plan = eviction.plan(APP, Digest.of(b"x"))
    assert (plan.tags, plan.manifests, plan.layers) == ((), (), layers(b"x"))


@pytest.mark.parametrize("reference", [None, Tag("2"), Digest.of(b"unknown")])
def test_of_what_is_not_there_nothing_goes(
    store: Store, eviction: Eviction, reference: Tag | Digest | None
) -> None:
    store.add_image("library/other", "1", [b"x"])
    assert not eviction.plan(APP, reference)


def test_the_janitor_is_told_of_each_link_under_the_upstreams_own_name(store: Store) -> None:
    name = RepositoryName("ghcr.io/owner/app")
    digest = store.add_image(name, "1", [b"x"])
    eviction, broker = Eviction(store.layout, ["", "ghcr.io"]), RecordingBroker()
    assert eviction.carry_out(eviction.plan(name), broker)
    source = Source("ghcr.io", RepositoryName("owner/app"))
    told = {message for message, delay in broker.published if delay == 0}
    assert ExpireLink(source=source, digest=digest, kind=Kind.MANIFEST) in told
    assert len(told) == 3


def test_without_a_queue_it_goes_all_the_same_and_that_nobody_was_told_is_said(
    store: Store, eviction: Eviction
) -> None:
    digest = store.add_image("library/app", "1", [b"x"])
    assert not eviction.carry_out(eviction.plan(APP), RecordingBroker(connected=False))
    assert not store.links.has(Kind.MANIFEST, APP, digest)


def test_a_janitor_that_runs_beside_it_removes_the_blobs_that_nothing_else_needs(
    store: Store, tmp_path: Path
) -> None:
    store.add_image("library/app", "1", [b"x", b"shared"])
    store.add_image("library/other", "1", [b"shared"])
    url = f"sqlite://{tmp_path}/queue.db"
    janitor = _janitor(store, open_broker(url, name="entrepot: janitor"))
    until(lambda: Path(store.layout.adopted).exists(), 20, "the first sweep")
    broker = open_broker(url, name="entrepot: test")
    eviction = Eviction(store.layout, [""])
    assert eviction.carry_out(eviction.plan(APP, Tag("1")), broker)
    until(lambda: store.blobs.size(Digest.of(b"x")) is None, 20, "the blob to go")
    for content in (b"shared", CONFIG):
        assert store.blobs.size(Digest.of(content)) is not None
    broker.close()
    janitor.stop(5.0)


def _janitor(store: Store, broker: Broker) -> Janitor:
    janitor = Janitor(
        store.layout.root,
        broker,
        ttls={"": 3600.0},
        grace=0.0,
        sweep_interval=3600.0,
        lease=15.0,
    )
    janitor.start()
    return janitor
