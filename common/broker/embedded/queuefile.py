"""The file under the ledger: opened, checked, and made again when it is gone or broken."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from common import logs
from common.broker.embedded.ledger import Ledger
from common.broker.embedded.locking import locked
from common.broker.embedded.schema import prepare

log = logs.get(__name__)

# Longer than any transaction of ours takes on a disk that works at all.
_LOCK_SECONDS = 5.0

# What SQLite keeps beside the file: its write-ahead log, and the memory its users share.
_LOGS = ("-wal", "-shm")

_Inode: TypeAlias = tuple[int, int] | None

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class BrokenFileError(Exception):
    """The file was no ledger; it is put aside, and the next transaction finds a new one."""


class QueueFile:
    """One connection to the ledger; use it from one thread.

    Every transaction, reading or writing, is made under a lock of our own, so no two connections
    ever work at once, in whatever process. That is what makes WAL safe here: SQLite 3.7.0 to
    3.51.2 may corrupt a file when a checkpoint meets another connection's commit (sqlite.org,
    wal.html, section 11). WAL rather than a rollback journal because a commit then waits for no
    disk (`synchronous=NORMAL`): a killed process loses nothing, a power cut at most the last
    moments, whose clients it cut off too. And waiting for our lock is fairer and quicker than
    SQLite's own waiting.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(path.name + ".lock")
        self._files = [str(path), *(str(self._beside(suffix)) for suffix in _LOGS)]
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[_Inode, ...] = ()

    @contextmanager
    def transaction(self) -> Iterator[Ledger]:
        """The ledger, for one transaction, undone when the block raises.

        Raises BrokenFileError, sqlite3.Error or OSError.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._lock, _LOCK_SECONDS):
            try:
                with self._begun() as connection:
                    yield Ledger(connection)
            except sqlite3.DatabaseError as error:
                if not _says_broken(error):
                    raise
                self._put_aside(str(error))
                raise BrokenFileError from error

    def close(self) -> None:
        """Close the connection; the next transaction opens it again."""
        if self._connection is not None:
            # Closing the last connection writes the log back into the file.
            with suppress(OSError), locked(self._lock, _LOCK_SECONDS):
                self._disconnect()

    @contextmanager
    def _begun(self) -> Iterator[sqlite3.Connection]:
        connection = self._current()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            self._roll_back(connection)

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()

    def _current(self) -> sqlite3.Connection:
        if self._connection is not None and self._identity != self._identity_now():
            self._leave()
        if self._connection is None:
            self._connect()
        assert self._connection is not None  # noqa: S101 - what _connect is for
        return self._connection

    def _leave(self) -> None:
        """Give up a ledger that is not whole any more."""
        if self._identity[0] == self._identity_now()[0]:
            # We would go on in a log that nobody else sees, and newcomers in one that we do not.
            self._put_aside("what SQLite keeps beside it was removed")
        else:
            log.error("the queue's file was removed or replaced, opening the new one")
            self._disconnect()

    def _connect(self) -> None:
        """Open the file that is there now, which may be none.

        A write-ahead log without its file belongs to a ledger that was removed: SQLite must not
        find it beside the new one.
        """
        if not self._path.exists():
            self._remove_logs()
        connection = sqlite3.connect(
            self._path, timeout=1.0, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._identity = self._identity_now()

    def _identity_now(self) -> tuple[_Inode, ...]:
        return tuple(map(_inode, self._files))

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error), closing(self._connection):
                pass
        self._connection = None
        self._identity = ()

    def _put_aside(self, reason: str) -> None:
        log.error("the queue's file is broken, beginning a new one", error=reason)
        # Before the connection is closed: of a file that has moved SQLite neither writes the log
        # back, nor removes what has taken its log's place.
        with suppress(FileNotFoundError):
            self._path.replace(self._beside(".broken"))
        self._disconnect()
        self._remove_logs()

    def _remove_logs(self) -> None:
        for suffix in _LOGS:
            self._beside(suffix).unlink(missing_ok=True)


def _inode(path: str) -> _Inode:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _says_broken(error: sqlite3.DatabaseError) -> bool:
    """Whether it is the file's content that is at fault, not the disk or a lock."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _BROKEN:
        return True
    # A file cut short or of another make has no tables, or not ours.
    return "no such table" in str(error) or type(error) is sqlite3.DatabaseError
