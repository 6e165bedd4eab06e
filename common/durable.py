"""Files that are there whole or not at all, also after a power cut."""

import itertools
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")

# Unique among all processes on all machines that share a folder.
_PREFIX = secrets.token_hex(6)
_counter = itertools.count()

# Somebody may remove an empty folder between our making it and our using it; this often in a row
# is no race any more. Making folders takes syncs, removing them none: so a few will not do.
_ATTEMPTS = 20


def unique_name() -> str:
    """A file name nobody else uses."""
    return f"{_PREFIX}.{os.getpid()}.{next(_counter)}"


def write_file(
    path: str,
    content: bytes,
    *,
    temporary: str,
    prepare: Callable[[int], object] = lambda _fd: None,
) -> None:
    """Have `path` hold `content`, atomically.

    `temporary` is a folder on the same file system. Written there, synced, renamed: a reader sees
    the old content or the new, and after a crash one of the two is there. `prepare` is called
    with the open file when it is written, before it is synced.
    """
    scratch = f"{temporary}/{unique_name()}"
    try:
        _write_new(scratch, content, temporary, prepare)
        move_into_place(scratch, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(scratch)
        raise


def _write_new(path: str, content: bytes, folder: str, prepare: Callable[[int], object]) -> None:
    os.makedirs(folder, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        prepare(fd)
        os.fsync(fd)
    finally:
        os.close(fd)


def move_into_place(source: str, target: str) -> None:
    """Rename `source`, whose content is synced, to `target`, and sync the folder it is in.

    Without the folder's sync the rename itself may be lost, though others have acted on it.
    """
    folder = os.path.dirname(target)
    in_folder(folder, lambda: os.rename(source, target))
    sync_folder(folder)


def in_folder(folder: str, action: Callable[[], _T]) -> _T:
    """Do `action` with `folder` made first; again when somebody removes it in between."""
    for _ in range(_ATTEMPTS):
        with suppress(FileNotFoundError):
            make_folder(folder)
            return action()
    make_folder(folder)
    return action()


def make_folder(folder: str) -> None:
    """Make `folder` and its parents, durably."""
    if os.path.isdir(folder):
        return
    parent = os.path.dirname(folder)
    make_folder(parent)
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:  # the parent was empty and has just been tidied away
        make_folder(parent)
        with suppress(FileExistsError):
            os.mkdir(folder)
    sync_folder(parent)


def sync_folder(folder: str) -> None:
    """Make what was created, renamed or removed in `folder` last; gone already is fine."""
    with suppress(FileNotFoundError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def remove_file(path: str) -> bool:
    """Whether `path` was there and is now gone."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove_empty_folders(folder: str, *, up_to: str) -> None:
    """Remove `folder` and its parents as far as they are empty, `up_to` itself excluded."""
    while folder.startswith(f"{up_to}/"):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:  # not empty: somebody lives here
            return
        folder = os.path.dirname(folder)
