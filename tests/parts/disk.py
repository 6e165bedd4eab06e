"""A disk of a few megabytes, real and all a test's own: ext4 on a loop device. Needs root."""

import errno
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import until


class Disk:
    """A file system of `size` bytes, mounted at `path`, and what can happen to it."""

    def __init__(self, image: Path, path: Path, size: int) -> None:
        assert os.geteuid() == 0, "tests of full and dying disks mount disks: run them as root"
        self.path = path
        self._image = image
        self._ballast = path / "ballast"
        path.mkdir(parents=True)
        with image.open("wb") as file:
            file.truncate(size)
        # No blocks for root alone: as which the processes run here.
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        self.mount()

    def mount(self) -> None:
        """Have it there; what it kept after an error is mended first."""
        # As many distributions mount their roots: the first error of the disk makes it read-only.
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.path))

    def unmount(self) -> None:
        """Take it away; waits for those who have files open."""
        until(lambda: _succeeds("umount", str(self.path)), 10, f"{self.path} to be unused")

    def repair(self) -> None:
        """What an operator does after an error: check it and mount it anew."""
        self.unmount()
        _succeeds("fsck.ext4", "-y", "-f", str(self._image))
        self.mount()

    @property
    def free(self) -> int:
        """Bytes that can be written."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leaving: int = 0) -> None:
        """Have somebody else write to it until only so many bytes are free."""
        with self._ballast.open("ab", buffering=0) as file:
            for piece in (1 << 16, 1 << 12, 1 << 10):
                self._write(file.fileno(), piece, leaving)

    def _write(self, fd: int, piece: int, leaving: int) -> None:
        try:
            while self.free - piece >= leaving:
                os.write(fd, b"x" * piece)
                os.fsync(fd)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def clear(self) -> None:
        """Have that one remove what they wrote."""
        self._ballast.unlink()

    def remount(self, how: str) -> None:
        """`ro` or `rw`; waits until nobody has a file open for writing."""
        options = f"remount,{how}"
        until(lambda: _succeeds("mount", "-o", options, str(self.path)), 20, options)

    def fail(self) -> None:
        """Have the kernel meet an error of the disk: it is read-only until it is repaired."""
        device = Path(_run("findmnt", "-n", "-o", "SOURCE", str(self.path)).strip()).name
        Path("/sys/fs/ext4", device, "trigger_fs_error").write_text("a test")

    def lose(self, file: Path) -> None:
        """Have the disk give back no byte of this file, nor of what lies behind it."""
        _run("sync", "-f", str(self.path))
        told = _run("filefrag", "-v", "-b1", str(file))
        starts = [
            int(start)
            for start in re.findall(r"^\s*\d+:\s+\d+\.\.\s*\d+:\s+(\d+)", told, re.MULTILINE)
        ]
        assert starts, told
        os.truncate(self._image, min(starts))
        with file.open("rb") as content:
            os.posix_fadvise(content.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def disk_at(path: Path, size: int = 24 << 20) -> Iterator[Disk]:
    """An empty disk mounted at `path`, which must not exist yet; gone afterwards."""
    image = path.with_name(f"{path.name}.ext4")
    path.parent.mkdir(parents=True, exist_ok=True)
    disk = Disk(image, path, size)
    try:
        yield disk
    finally:
        _succeeds("umount", "--lazy", str(path))
        image.unlink()


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _succeeds(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
