"""Fills, links, hits, deaths and expiries in any order, on one real folder."""

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from common.digest import Digest
from common.messages import Kind
from common.reference import RepositoryName, Tag
from tests.janitor.house import GRACE, TTL, House, content_of, expire_tag

_REPOSITORIES = st.sampled_from(["app", "app/inner", "other"])
_CONTENTS = st.sampled_from([content_of("one"), content_of("two"), b""])
_KINDS = st.sampled_from(Kind)
_TAGS = st.sampled_from(["latest", "v1"])
# No sum of them comes near a life's length, where the test's own time would decide.
_SPANS = st.sampled_from([53.0, GRACE + 1, 531.0, TTL + 1])


class Storage(RuleBasedStateMachine):
    """The links and tags that are there, and how long ago each was last used (seconds)."""

    def __init__(self) -> None:
        """Begin with an empty folder that was looked through."""
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="entrepot-"))
        self.house = House(self.root)
        self.links: dict[tuple[str, Kind, Digest], float] = {}
        self.tags: dict[tuple[str, str], float] = {}
        # What each tag points to, and how long ago that was confirmed.
        self.told: dict[tuple[str, str], tuple[Digest, float]] = {}

    def teardown(self) -> None:
        """Once everything has expired nothing at all is left."""
        self.house.age(TTL + 1)
        self.house.sweep().run(self.house.pace())
        self.house.age(TTL + 1)
        House(self.root, grace=0.0).sweep().run(self.house.pace())
        self.house.age(GRACE + 1)
        self.house.trash.empty(self.house.pace())
        left = self.house.files()
        shutil.rmtree(self.root)
        assert left == set()

    @rule(repository=_REPOSITORIES, content=_CONTENTS, kind=_KINDS)
    def fill(self, repository: str, content: bytes, kind: Kind) -> None:
        """A fetcher brings content, or finds it and links it."""
        digest = self.house.fill(repository, content, kind)
        self.links[repository, kind, digest] = 0.0

    @rule(repository=_REPOSITORIES, content=_CONTENTS, kind=_KINDS)
    def die_after_announcing(self, repository: str, content: bytes, kind: Kind) -> None:
        """A fetcher dies before the blob is there."""
        self.house.links.refer(kind, RepositoryName(repository), Digest.of(content))

    @rule(repository=_REPOSITORIES, content=_CONTENTS, kind=_KINDS)
    def die_before_linking(self, repository: str, content: bytes, kind: Kind) -> None:
        """A fetcher dies between the commit and the link."""
        self.house.links.refer(kind, RepositoryName(repository), Digest.of(content))
        self.house.blobs.put(Digest.of(content), content)

    @rule(content=_CONTENTS)
    def die_between_condemning_and_looking_again(self, content: bytes) -> None:
        """A janitor takes away a blob that is wanted, and dies; the next one starts."""
        self.house.blobs.condemn(Digest.of(content), self.house.claims.now())
        self.house.trash.empty(self.house.pace())

    @precondition(lambda self: self.links)
    @rule(data=st.data())
    def hit(self, data: st.DataObject) -> None:
        """A client pulls what is there."""
        repository, kind, digest = data.draw(st.sampled_from(sorted(self.links, key=str)))
        self.house.links.mark(kind, RepositoryName(repository), digest)
        self.links[repository, kind, digest] = 0.0

    @precondition(lambda self: self.links)
    @rule(data=st.data(), tag=_TAGS)
    def point(self, data: st.DataObject, tag: str) -> None:
        """A tag is resolved; pointing is a use only of a tag that is new or changed."""
        repository, _, digest = data.draw(st.sampled_from(sorted(self.links, key=str)))
        name = RepositoryName(repository)
        before = self.house.tags.read(name, Tag(tag))
        self.house.tags.point(name, Tag(tag), digest)
        self.told[repository, tag] = digest, 0.0
        if before is None or before.digest != digest:
            self.tags[repository, tag] = 0.0

    @rule(seconds=_SPANS)
    def pass_time(self, seconds: float) -> None:
        """Nobody does anything."""
        self.house.age(seconds)
        self.links = {link: unused + seconds for link, unused in self.links.items()}
        self.tags = {tag: unused + seconds for tag, unused in self.tags.items()}
        self.told = {tag: (digest, age + seconds) for tag, (digest, age) in self.told.items()}

    @precondition(lambda self: self.links)
    @rule(data=st.data())
    def expire_link(self, data: st.DataObject) -> None:
        """An event comes for a link, due or not."""
        link = data.draw(st.sampled_from(sorted(self.links, key=str)))
        repository, kind, digest = link
        wait = self.house.settle(repository, digest, kind)
        if self.links[link] > TTL:
            assert wait is None
            del self.links[link]
        else:
            assert wait is not None

    @rule(repository=_REPOSITORIES, tag=_TAGS)
    def expire_tag(self, repository: str, tag: str) -> None:
        """An event comes for a tag, due or not, there or not."""
        self.house.expiries.settle(expire_tag(repository, tag))
        if self.tags.get((repository, tag), 0.0) > TTL:
            del self.tags[repository, tag]

    @rule()
    def sweep(self) -> None:
        """Everything is looked at, the trash too."""
        self.house.sweep().run(self.house.pace())
        self.house.trash.empty(self.house.pace())
        self.links = {link: unused for link, unused in self.links.items() if unused <= TTL}
        self.tags = {tag: unused for tag, unused in self.tags.items() if self._stays(tag, unused)}

    def _stays(self, tag: tuple[str, str], unused: float) -> bool:
        digest, confirmed = self.told[tag]
        has_manifest = (tag[0], Kind.MANIFEST, digest) in self.links
        return unused <= TTL and (has_manifest or min(unused, confirmed) <= GRACE)

    @rule()
    def make_room(self) -> None:
        """The size limit is reached: what was used least recently goes, at once."""
        self.house.ranking.replace(self.house.candidates.oldest(self.house.pace()))
        self.house.trash.make_room(self.house.eviction.make_room(1))
        kept = {
            link: unused
            for link, unused in self.links.items()
            if self.house.links.has(link[1], RepositoryName(link[0]), link[2])
        }
        gone = {link: unused for link, unused in self.links.items() if link not in kept}
        assert min(gone.values(), default=TTL) >= max(kept.values(), default=0.0)
        assert 0.0 not in gone.values()
        self.links = kept
        for tag in list(self.tags):
            if (tag[0], Kind.MANIFEST, self.told[tag][0]) in gone:
                del self.tags[tag]

    @rule()
    def empty_trash(self) -> None:
        """The janitor's other round."""
        self.house.trash.empty(self.house.pace())

    @invariant()
    def every_link_is_there_with_its_data_and_its_reference(self) -> None:
        """Nothing is removed that is linked, nothing is linked that was removed."""
        for repository, kind, digest in self.links:
            assert self.house.has(repository, digest, kind)
            content = self.house.blobs.read(digest, 1000)
            assert content is not None
            assert digest.matches(content)
            path = self.house.layout.reference(kind, RepositoryName(repository), digest)
            assert os.path.exists(path)

    @invariant()
    def there_are_no_other_links_and_tags(self) -> None:
        """What has expired is gone."""
        names = {name for name, _, _ in self.links} | {name for name, _ in self.tags}
        found = {
            (name, tag) for name in names for tag in self.house.tags.names(RepositoryName(name))
        }
        assert found == set(self.tags)
        for path in self.house.files():
            if path.endswith("/link") and "/tags/" not in path:
                assert any(digest.hex in path for _, _, digest in self.links), path


def test_storage_keeps_its_promises_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # No power will be cut here; thousands of files are written.
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    run_state_machine_as_test(
        Storage, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )
