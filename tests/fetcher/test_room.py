"""Room taken on a real disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fetcher.room import FULL, reserve
from tests.parts.disk import Disk, disk_at

MEGABYTE = 1_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with disk_at(tmp_path / "disk") as mounted:
        yield mounted


def test_room_taken_is_there_when_the_disk_is_full_and_the_length_is_untouched(disk: Disk) -> None:
    with (disk.path / "spool").open("wb", buffering=0) as spool:
        reserve(spool.fileno(), 5 * MEGABYTE)
        assert os.fstat(spool.fileno()).st_size == 0
        disk.fill()
        for _ in range(5):
            assert spool.write(b"x" * MEGABYTE) == MEGABYTE
        os.fsync(spool.fileno())
        with pytest.raises(OSError, match="No space left"):
            spool.write(b"x" * MEGABYTE)


def test_more_than_there_is_cannot_be_taken(disk: Disk) -> None:
    with (disk.path / "spool").open("wb", buffering=0) as spool:
        with pytest.raises(OSError, match="No space left") as raised:
            reserve(spool.fileno(), disk.free + MEGABYTE)
        assert raised.value.errno in FULL


@pytest.mark.parametrize("size", [0, -1])
def test_no_room_is_always_there(disk: Disk, size: int) -> None:
    with (disk.path / "spool").open("wb", buffering=0) as spool:
        reserve(spool.fileno(), size)
        assert os.fstat(spool.fileno()).st_blocks == 0


def test_a_file_system_without_reservations_is_taken_at_its_word() -> None:
    with Path("/proc/self/comm").open("wb", buffering=0) as file:
        reserve(file.fileno(), 10 * MEGABYTE)
        file.write(b"still writable")
