"""The size a blob was verified with, kept by its file."""

import os
from pathlib import Path

import pytest
import structlog

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.paths import Layout
from common.seals import Seal, Sizes, break_seal, read_seal, write_seal

CONTENT = b"a layer of some length" * 1000
DIGEST = Digest.of(CONTENT)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def blob(layout: Layout) -> Path:
    """A blob as a fetcher stores it."""
    FileBlobStore(layout).put(DIGEST, CONTENT)
    return Path(layout.blob(DIGEST))


def test_what_is_stored_is_sealed_with_its_size(layout: Layout, blob: Path, tmp_path: Path) -> None:
    seal = read_seal(str(blob))
    assert seal is not None
    assert seal.size == len(CONTENT)
    spool = tmp_path / "spool"
    spool.write_bytes(b"x" * 77)
    other = Digest.of(b"x" * 77)
    FileBlobStore(layout).commit(str(spool), other)
    of_other = read_seal(layout.blob(other))
    assert of_other is not None
    assert of_other.size == 77


@pytest.mark.parametrize("size", [0, 1, len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_blob_of_another_length_is_not_there(layout: Layout, blob: Path, size: int) -> None:
    os.truncate(blob, size)
    store = FileBlobStore(layout)
    assert store.open(DIGEST) is None
    assert store.size(DIGEST) is None
    assert store.read(DIGEST, 1 << 20) is None


def test_a_length_lost_while_running_is_noticed_too(layout: Layout, blob: Path) -> None:
    store = FileBlobStore(layout)
    assert store.size(DIGEST) == len(CONTENT)
    os.truncate(blob, 5)
    assert store.size(DIGEST) is None


def test_a_lost_length_is_told_once_for_each_blob(
    layout: Layout, blob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.blobstore._MOST_TOLD", 3)
    store = FileBlobStore(layout)
    contents = [bytes([number]) * 100 for number in range(5)]
    with structlog.testing.capture_logs() as told:
        for content in contents:
            store.put(digest := Digest.of(content), content)
            os.truncate(layout.blob(digest), 5)
            for _ in range(10):
                assert store.open(digest) is None
    assert [line["digest"] for line in told] == [Digest.of(content) for content in contents]
    assert len(store._told) <= 3


def test_what_is_stored_over_a_damaged_blob_is_there_again(layout: Layout, blob: Path) -> None:
    store = FileBlobStore(layout)
    os.truncate(blob, 5)
    assert store.size(DIGEST) is None
    store.put(DIGEST, CONTENT)
    assert store.read(DIGEST, 1 << 20) == CONTENT


def test_a_blob_without_a_seal_is_there(layout: Layout, blob: Path) -> None:
    break_seal(str(blob))
    assert read_seal(str(blob)) is None
    assert FileBlobStore(layout).size(DIGEST) == len(CONTENT)


def test_a_wrong_seal_is_not_remembered(layout: Layout, blob: Path) -> None:
    store = FileBlobStore(layout)
    write_seal(str(blob), Seal(3, 0.0))
    assert store.size(DIGEST) is None
    write_seal(str(blob), Seal(len(CONTENT), 0.0))
    assert store.size(DIGEST) == len(CONTENT)


@pytest.mark.parametrize("value", [b"", b"many", b"1", b"1 2 3", b"\xff 1"])
def test_what_is_no_seal_says_nothing(blob: Path, value: bytes) -> None:
    os.setxattr(blob, "user.entrepot.verified", value)
    assert read_seal(str(blob)) is None


def test_what_cannot_be_sealed_is_no_error(tmp_path: Path) -> None:
    assert not write_seal(str(tmp_path / "not there"), Seal(1, 0.0))
    assert Sizes().fits(DIGEST, 1, str(tmp_path / "not there"))


def test_a_manifest_that_was_changed_in_place_is_put_aside(layout: Layout, blob: Path) -> None:
    blob.write_bytes(CONTENT[:-1] + b"X")
    store = FileBlobStore(layout)
    assert store.read(DIGEST, 1 << 20) is None
    assert not blob.exists()
    aside = Path(layout.quarantine, f"sha256.{DIGEST.hex}")
    assert aside.read_bytes().endswith(b"X")


def test_a_blob_replaced_meanwhile_is_not_put_aside(layout: Layout, blob: Path) -> None:
    store = FileBlobStore(layout)
    damaged = store.open(DIGEST)
    assert damaged is not None
    blob.unlink()
    store.put(DIGEST, CONTENT)
    assert not store.quarantine(DIGEST, damaged)
    assert store.read(DIGEST, 1 << 20) == CONTENT
    damaged.close()
