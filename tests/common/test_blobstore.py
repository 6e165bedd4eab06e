"""Committed blobs."""

import os
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.errors import ContentMismatch
from common.paths import Layout

_CONTENT = b"some content of a blob" * 1000
_DIGEST = Digest.of(_CONTENT)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def blobs(layout: Layout) -> FileBlobStore:
    return FileBlobStore(layout)


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [_CONTENT, b""], ids=["bytes", "empty"])
def test_what_was_put_is_read_back(blobs: FileBlobStore, content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)
    assert blobs.open(digest) is None
    assert blobs.size(digest) is None
    assert blobs.read(digest, 10**6) is None
    blobs.put(digest, content)
    assert blobs.size(digest) == len(content)
    assert blobs.read(digest, 10**6) == content
    blob = blobs.open(digest)
    assert blob is not None
    assert blob.size == len(content)
    blob.close()


def test_content_under_another_digest_is_refused(blobs: FileBlobStore, tmp_path: Path) -> None:
    with pytest.raises(ContentMismatch):
        blobs.put(_DIGEST, _CONTENT + b"!")
    assert _files(tmp_path) == []


def test_a_committed_spool_is_the_blob_and_an_open_spool_the_open_blob(
    blobs: FileBlobStore, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.write_bytes(_CONTENT)
    with spool.open("rb") as reader:
        head = reader.read(10)
        blobs.commit(str(spool), _DIGEST)
        assert head + reader.read() == _CONTENT
    assert not spool.exists()
    assert blobs.read(_DIGEST, len(_CONTENT)) == _CONTENT


def test_a_commit_mends_a_damaged_blob(
    blobs: FileBlobStore, layout: Layout, tmp_path: Path
) -> None:
    blobs.put(_DIGEST, _CONTENT)
    Path(layout.blob(_DIGEST)).write_bytes(b"cut")
    spool = tmp_path / "spool"
    spool.write_bytes(_CONTENT)
    blobs.commit(str(spool), _DIGEST)
    assert blobs.read(_DIGEST, len(_CONTENT)) == _CONTENT


def test_putting_mends_a_cut_blob_and_leaves_a_whole_one_alone(
    blobs: FileBlobStore, layout: Layout
) -> None:
    path = Path(layout.blob(_DIGEST))
    blobs.put(_DIGEST, _CONTENT)
    inode = path.stat().st_ino
    blobs.put(_DIGEST, _CONTENT)
    assert path.stat().st_ino == inode
    path.write_bytes(_CONTENT[:5])
    blobs.put(_DIGEST, _CONTENT)
    assert path.read_bytes() == _CONTENT


def test_a_file_that_a_crash_left_empty_is_no_blob(blobs: FileBlobStore, layout: Layout) -> None:
    blobs.put(_DIGEST, _CONTENT)
    os.truncate(layout.blob(_DIGEST), 0)
    assert blobs.open(_DIGEST) is None
    assert blobs.size(_DIGEST) is None


def test_a_blob_above_the_limit_is_not_read(blobs: FileBlobStore) -> None:
    blobs.put(_DIGEST, _CONTENT)
    with pytest.raises(ContentMismatch):
        blobs.read(_DIGEST, len(_CONTENT) - 1)


def test_a_condemned_blob_is_gone_for_all_but_those_who_read_it(
    blobs: FileBlobStore, layout: Layout
) -> None:
    blobs.put(_DIGEST, _CONTENT)
    reader = blobs.open(_DIGEST)
    assert reader is not None
    condemned = blobs.condemn(_DIGEST, 1000.5)
    assert condemned is not None
    assert blobs.open(_DIGEST) is None
    assert not Path(layout.blob_folder(_DIGEST)).exists()
    os.unlink(condemned)
    assert os.pread(reader.fd, reader.size, 0) == _CONTENT
    reader.close()


def test_condemning_what_is_not_there_does_nothing(blobs: FileBlobStore) -> None:
    assert blobs.condemn(_DIGEST, 1000.0) is None
    assert list(blobs.condemned()) == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_trash_tells_what_was_condemned_and_when(blobs: FileBlobStore, algorithm: str) -> None:
    digest = Digest.of(_CONTENT, algorithm)
    blobs.put(digest, _CONTENT)
    path = blobs.condemn(digest, 1234.5678)
    (condemned,) = blobs.condemned()
    assert (condemned.path, condemned.digest) == (path, digest)
    assert condemned.since == pytest.approx(1234.568)


def test_other_files_in_the_trash_are_passed_over(blobs: FileBlobStore, layout: Layout) -> None:
    trash = Path(layout.trash)
    trash.mkdir(parents=True)
    for name in ("readme", "x.sha256." + "a" * 64, "1.sha256.short", "1.md5." + "a" * 32):
        (trash / name).touch()
    assert list(blobs.condemned()) == []


def test_a_reprieved_blob_is_back(blobs: FileBlobStore) -> None:
    blobs.put(_DIGEST, _CONTENT)
    condemned = blobs.condemn(_DIGEST, 1000.0)
    assert condemned is not None
    blobs.reprieve(condemned, _DIGEST)
    assert blobs.read(_DIGEST, len(_CONTENT)) == _CONTENT
    assert list(blobs.condemned()) == []


def test_a_reprieve_leaves_a_newer_blob_alone(blobs: FileBlobStore, layout: Layout) -> None:
    blobs.put(_DIGEST, _CONTENT)
    condemned = blobs.condemn(_DIGEST, 1000.0)
    assert condemned is not None
    blobs.put(_DIGEST, _CONTENT)
    inode = os.stat(layout.blob(_DIGEST)).st_ino
    blobs.reprieve(condemned, _DIGEST)
    assert os.stat(layout.blob(_DIGEST)).st_ino == inode


def test_of_two_reprieves_the_second_finds_nothing_to_do(blobs: FileBlobStore) -> None:
    blobs.put(_DIGEST, _CONTENT)
    condemned = blobs.condemn(_DIGEST, 1000.0)
    assert condemned is not None
    os.unlink(condemned)
    blobs.reprieve(condemned, _DIGEST)
    assert blobs.size(_DIGEST) is None
