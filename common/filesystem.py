"""The file system that a storage folder is on."""

import os

# Kinds on which an open file outlives its removal, as everybody who reads it is on this machine.
# A kind that is not known here counts as shared.
_LOCAL = frozenset(
    [
        "bcachefs",
        "btrfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "jfs",
        "overlay",
        "ramfs",
        "reiserfs",
        "tmpfs",
        "xfs",
        "zfs",
    ]
)


def occupied(found: os.stat_result) -> int:
    """The bytes a file takes up: in blocks, or, where these are allocated late, in length."""
    return max(found.st_size, found.st_blocks * 512)


def free(folder: str) -> int:
    """The bytes that are free for us."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def is_local(folder: str, mounts: str = "/proc/self/mountinfo") -> bool:
    """Whether no other machine reads there; proc(5) says what `mounts` looks like."""
    path, kind, longest = os.path.realpath(folder), "", -1
    with open(mounts, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            fields = line.split()
            point = fields[4].replace("\\040", " ").rstrip("/")
            # The last of equal ones lies on top.
            if len(point) >= longest and f"{path}/".startswith(f"{point}/"):
                kind, longest = fields[fields.index("-") + 1], len(point)
    return kind in _LOCAL
