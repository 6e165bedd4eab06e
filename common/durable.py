"""Files that are there whole or not at all, also after a power cut.

Syncs cost more than all else about a small file, so none is made that is not needed: what means
nothing after a power cut is written as *fleeting*, and folders that one piece of work changes are
synced together at its end.
"""

import itertools
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TypeVar

_T = TypeVar("_T")

# Unique among all processes on all machines that share a folder.
_PREFIX = secrets.token_hex(6)
_counter = itertools.count()

# Somebody may remove an empty folder between our making it and our using it; this often in a row
# is no race any more. Removing one is faster than making it: so a few will not do.
_ATTEMPTS = 20

# The folders that are to be synced when the current piece of work is done, in order.
_PUT_OFF: ContextVar[dict[str, None] | None] = ContextVar("put_off", default=None)


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


def write_fleeting_file(
    path: str, content: bytes, *, temporary: str, below: str, makes_folder: bool = True
) -> None:
    """As `write_file`, for what means nothing after a power cut: nothing is synced.

    Folders are made as `make_folder` does with `fleeting_below`; or, if not, FileNotFoundError is
    raised where the file's is missing.
    """
    scratch = f"{temporary}/{unique_name()}"
    try:
        _write_new(scratch, content, temporary, lambda _fd: None, sync=False)
        if makes_folder:
            _rename(scratch, path, fleeting_below=below)
        else:
            os.rename(scratch, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(scratch)
        raise


def _write_new(
    path: str,
    content: bytes,
    folder: str,
    prepare: Callable[[int], object],
    *,
    sync: bool = True,
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # What lies in the temporary folder means nothing after a power cut, and neither does it.
    beside = os.path.dirname(folder)
    fd = in_folder(folder, lambda: os.open(path, flags, 0o644), fleeting_below=beside)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        prepare(fd)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def move_into_place(source: str, target: str) -> None:
    """Rename `source`, whose content is synced, to `target`, and sync the folder it is in.

    Without the folder's sync the rename itself may be lost, though others have acted on it.
    """
    _rename(source, target)
    sync_folder(os.path.dirname(target))


def _rename(source: str, target: str, *, fleeting_below: str = "") -> None:
    renamed = os.stat(source)

    def rename() -> None:
        try:
            os.rename(source, target)
        except FileNotFoundError:
            # Done, perhaps: when a file server's reply is lost, the request is sent again.
            if not _is_at(target, renamed):
                raise

    in_folder(os.path.dirname(target), rename, fleeting_below=fleeting_below)


def _is_at(path: str, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), file)
    except OSError:
        return False


def in_folder(folder: str, action: Callable[[], _T], *, fleeting_below: str = "") -> _T:
    """Do `action`, with `folder` made where it is missing; again when somebody removes it.

    `fleeting_below` as for `make_folder`. FileNotFoundError from `action` is taken for a missing
    folder, and raised when it is not that.
    """
    made: dict[str, None] = {}
    for _ in range(_ATTEMPTS):
        with suppress(FileNotFoundError):
            done = action()
            break
        with suppress(FileNotFoundError):  # removed again meanwhile, or its parent
            _make(folder, made)
    else:
        done = action()
    # Afterwards: while a disk syncs, an empty folder would be there to be removed.
    _sync_parents(made, fleeting_below)
    return done


def make_folder(folder: str, *, fleeting_below: str = "") -> None:
    """Make `folder` and its parents, durably but for those below the folder `fleeting_below`."""
    if not os.path.isdir(folder):
        made: dict[str, None] = {}
        _make(folder, made)
        _sync_parents(made, fleeting_below)


def _make(folder: str, made: dict[str, None]) -> None:
    """Without a look: a file server's client may remember a folder that another has removed."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make(os.path.dirname(folder), made)
        with suppress(FileExistsError):
            os.mkdir(folder)
    made[folder] = None


def _sync_parents(made: Iterable[str], fleeting_below: str) -> None:
    parents = [
        os.path.dirname(folder)
        for folder in made
        if not (fleeting_below and folder.startswith(f"{fleeting_below}/"))
    ]
    for parent in dict.fromkeys(parents):
        sync_folder(parent)


@contextmanager
def syncing_together() -> Iterator[None]:
    """Have the folders that are changed within synced at the end, each once.

    A file system writes its journal once for them all then, where it would for each one. Within,
    what is done is seen by everybody at once and survives the process; only after the end does it
    survive a power cut. Content is synced before its rename as ever.
    """
    if _PUT_OFF.get() is not None:
        yield
        return
    folders: dict[str, None] = {}
    token = _PUT_OFF.set(folders)
    try:
        yield
    finally:
        _PUT_OFF.reset(token)
        # After a failure too: others find the folders made, and rely on them.
        for folder in folders:
            sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Make what was created, renamed or removed in `folder` last; gone already is fine.

    Within `syncing_together`: at its end.
    """
    put_off = _PUT_OFF.get()
    if put_off is not None:
        put_off[folder] = None
        return
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
