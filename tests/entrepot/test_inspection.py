"""What an inspection finds while others make and remove what it looks at."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from common.links import Links, Reference
from common.messages import Kind
from common.reference import RepositoryName, Tag
from common.tags import StoredTag, Tags
from entrepot.inspection import Inspection
from tests.common.insight.store import Store

APP = RepositoryName("library/app")
TAG = Tag("1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def found(store: Store) -> list[str]:
    inspection = Inspection(store.layout.root, grace=60)
    return [f"{finding.subject}: {finding.problem}" for finding in inspection.findings()]


def older(path: str) -> None:
    stamp = time.time() - 3600
    os.utime(path, (stamp, stamp))


def test_a_tag_that_goes_before_it_is_read_is_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_image(APP, TAG, [b"x"])
    names = Tags.names

    def then_gone(self: Tags, repository: RepositoryName) -> list[Tag]:
        listed = names(self, repository)
        self.remove(repository, TAG)
        return listed

    monkeypatch.setattr(Tags, "names", then_gone)
    assert found(store) == []


def test_a_tag_that_goes_with_its_manifest_is_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = store.add_image(APP, TAG, [b"x"])
    read = Tags.read

    def then_gone(self: Tags, repository: RepositoryName, tag: Tag) -> StoredTag | None:
        stored = read(self, repository, tag)
        self.remove(repository, tag)
        Links(store.layout).remove(Kind.MANIFEST, repository, manifest)
        return stored

    monkeypatch.setattr(Tags, "read", then_gone)
    assert found(store) == []


def test_a_tag_that_points_nowhere_is_told_when_it_does_so_for_long(store: Store) -> None:
    store.add_image(APP, TAG, [b"x"])
    link = store.layout.tag_current(APP, TAG)
    os.unlink(link)
    assert found(store) == []
    older(os.path.dirname(link))
    older(store.layout.tag(APP, TAG))
    assert found(store) == [f"{APP}:{TAG}: dangling: it points nowhere"]


def test_a_blob_that_goes_while_its_links_are_looked_for_is_no_orphan(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.add_blob(b"x")
    older(store.layout.blob(digest))
    assert found(store) == [f"{digest}: orphan: no repository links it"]
    references = Links.references

    def first_gone(self: Links, digest: Digest) -> Iterator[tuple[Reference, float]]:
        os.unlink(store.layout.blob(digest))
        return references(self, digest)

    monkeypatch.setattr(Links, "references", first_gone)
    assert found(store) == []
