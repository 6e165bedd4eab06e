"""What a frontend keeps in memory: by its digest, within its bounds, and only while the file is."""

import asyncio
import os
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore, OpenBlob
from common.digest import Digest
from common.paths import Layout
from frontend.contents import LARGEST, Content, Contents


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def blobs(layout: Layout) -> FileBlobStore:
    return FileBlobStore(layout)


def put(blobs: FileBlobStore, content: bytes) -> Digest:
    digest = Digest.of(content)
    blobs.put(digest, content)
    return digest


def kept(contents: Contents, digest: Digest) -> bool:
    """Whether it is in memory already."""
    return digest in contents._kept


def test_small_content_is_kept_and_larger_content_is_given_open(
    layout: Layout, blobs: FileBlobStore
) -> None:
    contents = Contents(blobs, layout)
    small, large = put(blobs, b"s" * LARGEST), put(blobs, b"l" * (LARGEST + 1))
    found = contents.get(small)
    assert isinstance(found, Content)
    assert found.body == b"s" * LARGEST
    assert contents.get(small) is found
    opened = contents.get(large)
    assert isinstance(opened, OpenBlob)
    assert opened.size == LARGEST + 1
    assert contents.get(Digest.of(b"absent")) is None


def test_what_was_used_last_stays(layout: Layout, blobs: FileBlobStore) -> None:
    contents = Contents(blobs, layout, room=100)
    one, two, three = (put(blobs, bytes([n]) * 40) for n in range(3))
    for digest in (one, two, one, three):
        contents.get(digest)
    assert [kept(contents, digest) for digest in (one, two, three)] == [True, False, True]
    fewer = Contents(blobs, layout, most=2)
    for digest in (one, two, three):
        fewer.get(digest)
    assert [kept(fewer, digest) for digest in (one, two, three)] == [False, True, True]


def test_a_file_that_is_another_one_is_read_anew(layout: Layout, blobs: FileBlobStore) -> None:
    contents = Contents(blobs, layout)
    digest = put(blobs, b"content")
    first = contents.get(digest)
    os.unlink(layout.blob(digest))
    assert contents.get(digest) is None
    put(blobs, b"content")
    again = contents.get(digest)
    assert isinstance(again, Content)
    assert again is not first
    assert again.body == b"content"


def test_damaged_content_is_neither_kept_nor_given(layout: Layout, blobs: FileBlobStore) -> None:
    contents = Contents(blobs, layout)
    digest = put(blobs, b"content")
    Path(layout.blob(digest)).write_bytes(b"CONTENT")
    assert isinstance(contents.get(digest), OpenBlob)
    assert asyncio.run(contents.wait_for(digest, 100)) is None
    assert contents.get(digest) is None
    assert not kept(contents, digest)


def test_two_who_wait_for_the_same_take_its_room_once(layout: Layout, blobs: FileBlobStore) -> None:
    contents = Contents(blobs, layout, room=32 * LARGEST)
    digest = put(blobs, b"l" * (LARGEST + 1))

    async def wait() -> None:
        both = await asyncio.gather(*(contents.wait_for(digest, 10**6) for _ in range(2)))
        assert all(content is not None for content in both)

    asyncio.run(wait())
    assert contents._held == LARGEST + 1
    assert isinstance(contents.get(digest), Content)


def test_what_is_larger_than_asked_for_is_not_read(layout: Layout, blobs: FileBlobStore) -> None:
    contents = Contents(blobs, layout)
    digest = put(blobs, b"l" * 100)
    assert asyncio.run(contents.wait_for(digest, 99)) is None
