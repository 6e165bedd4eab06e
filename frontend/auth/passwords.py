"""The htpasswd file: names, and what bcrypt made of their passwords."""

import base64
import binascii
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field

import bcrypt

from common import logs
from common.errors import ConfigError, ConfigProblem

# htpasswd(1) writes $2y$, others $2a$ or $2b$; a cost, a salt of 22 characters, a hash of 31.
_HASH = re.compile(rb"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
# What htpasswd(1) makes when it is not told a cost (-C).
_USUAL_COST = 5

# A file is looked at this often at most, in seconds: a user who is taken out is out after that.
_LOOK_EVERY = 1.0

_KEY = "auth.htpasswd.path"

_log = logs.get(__name__)

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Users:
    """The users of one version of the file."""

    hashes: dict[bytes, bytes] = field(repr=False)
    nobody: bytes = field(repr=False)
    """Stands for users there are none of: as costly to compare with as most, and matches nothing."""
    odd_lines: tuple[int, ...] = ()
    """Lines whose users cannot come in, since their hash is not bcrypt's."""

    def hash_of(self, user: bytes) -> bytes:
        """What the user's password is compared with, whether there is such a user or not."""
        return self.hashes.get(user, self.nobody)


class PasswordFile:
    """Reads the file when it has changed; `version` then grows."""

    def __init__(self, path: str, key: str = _KEY) -> None:
        """Nothing is read yet; `key` is the setting that names the file."""
        self.version = 0
        self._path = path
        self._key = key
        self._users: Users | None = None
        self._stamp: Stamp | None = None
        self._look_at = 0.0

    def users(self) -> Users | None:
        """The users, as of a second ago at most; None while the file cannot be read.

        A file that is gone or broken lets nobody in: it may have been taken away to that end.
        """
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            self._look()
        return self._users

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp is not None and stamp == self._stamp:
            return
        self.version += 1
        self._stamp = stamp
        try:
            self._users = read(self._path, self._key)
        except ConfigError as error:
            self._users = None
            self._stamp = None  # looked at again in a second, as it may be in the midst of a change
            _log.error("nobody can come in", because=str(error))
        else:
            _log.info("users read", users=len(self._users.hashes))
            if self._users.odd_lines:
                _log.warning("users whose hash is not bcrypt's", lines=self._users.odd_lines)


def read(path: str, key: str = _KEY) -> Users:
    """The users in a file; raises ConfigError, which quotes nothing from it."""
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise _wrong(path, key, f"expected a file made by htpasswd -B: {reason}") from None
    entries = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    entries = [(number, line) for number, line in entries if line and not line.startswith(b"#")]
    for number, line in entries:
        if b":" not in line:
            raise _wrong(f"{path}:{number}", key, "expected user:hash")
    return _users([(number, line.partition(b":")) for number, line in entries])


def credentials_in(authorization: str) -> tuple[bytes, bytes] | None:
    """Name and password in a header Authorization (RFC 7617); None where they are not."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon else None


def _users(entries: list[tuple[int, tuple[bytes, bytes, bytes]]]) -> Users:
    odd = tuple(number for number, (_, _, hashed) in entries if not _HASH.fullmatch(hashed))
    # Of several lines for one user the last one holds, as in distribution.
    hashes = {user: hashed for _, (user, _, hashed) in entries}
    hashes = {user: hashed for user, hashed in hashes.items() if _HASH.fullmatch(hashed)}
    costs = Counter(int(hashed[4:6]) for hashed in hashes.values())
    cost = costs.most_common(1)[0][0] if costs else _USUAL_COST
    return Users(hashes, bcrypt.gensalt(cost) + b"." * 31, odd)


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _wrong(source: str, key: str, expected: str) -> ConfigError:
    return ConfigError([ConfigProblem(source, key, expected)])
