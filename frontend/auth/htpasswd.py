"""`auth.htpasswd`: a name and a password (RFC 7617), held against a file of bcrypt hashes."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

import falcon.asgi

from common import logs
from common.config.auth import Htpasswd
from frontend.auth.access import Access, CannotTell, Refused, TooManyAttempts
from frontend.auth.attempts import Attempts
from frontend.auth.challenge import basic
from frontend.auth.hashing import Crowded, Hashing
from frontend.auth.passwords import PasswordFile, Users, credentials_in
from frontend.auth.remembering import Memory
from frontend.callers import Callers

# Seconds that a finding is remembered after its last use. It cannot turn wrong, since it is
# forgotten when the file changes: this bounds only how long a hash of what was shown is kept.
_REMEMBERED = 60.0

_log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class _Finding:
    user: str
    is_right: bool


class HtpasswdScheme:
    """Knows the file, and what it found out of late."""

    def __init__(self, settings: Htpasswd, callers: Callers) -> None:
        """Read the file with the first request."""
        self._callers = callers
        self._challenge = basic(settings.realm)
        self._file = PasswordFile(settings.path)
        self._version = 0
        self._memory: Memory[_Finding] = Memory(time.monotonic)
        self._running: dict[bytes, asyncio.Task[_Finding]] = {}
        self._hashing = Hashing()
        self._attempts = Attempts()

    async def admit(self, req: falcon.asgi.Request, wanted: Iterable[Access]) -> str:  # noqa: ARG002 - users may all
        """See `Scheme`: every user may do everything that can be done here."""
        authorization = req.get_header("Authorization")
        if not authorization:
            raise Refused(self._challenge)
        users = self._users()
        key = self._memory.key(authorization)
        finding = self._memory.recall(key)
        if finding is None:
            finding = await self._find(key, authorization, users)
        else:
            self._memory.note(key, finding, time.monotonic() + _REMEMBERED)
        if not finding.is_right:
            raise Refused(self._challenge)
        return finding.user

    def _users(self) -> Users:
        users = self._file.users()
        if self._file.version != self._version:
            self._version = self._file.version
            self._memory.forget()
            # What runs is held against the file as it was: nobody who comes now is to join it.
            self._running.clear()
        if users is None:
            raise CannotTell
        return users

    async def _find(self, key: bytes, authorization: str, users: Users) -> _Finding:
        credentials = credentials_in(authorization)
        if credentials is None:
            raise Refused(self._challenge)
        # A client opens a connection per layer, each with the same password: found out once.
        running = self._running.get(key)
        if running is None:
            client = self._callers.current()
            if not self._attempts.begin(client):
                raise TooManyAttempts
            comparing = self._compare(key, *credentials, client, users, self._version)
            running = asyncio.ensure_future(comparing)
            self._running[key] = running
            running.add_done_callback(lambda task: self._forget(key, task))
        try:
            # Whoever hangs up does not end what others wait for, too.
            return await asyncio.shield(running)
        except Crowded:
            raise CannotTell from None

    def _forget(self, key: bytes, task: asyncio.Task[_Finding]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        # Looked at, in case that everybody who waited for it has hung up.
        if not task.cancelled():
            task.exception()

    async def _compare(
        self,
        key: bytes,
        user: bytes,
        password: bytes,
        client: str,
        users: Users,
        version: int,
    ) -> _Finding:
        # `version` is that of `users`: when this begins to run there may be another.
        is_right = True
        try:
            matches = await self._hashing.matches(password, users.hash_of(user))
            is_right = matches and user in users.hashes
        finally:
            self._attempts.end(client, was_right=is_right)
        if not is_right:
            # Not the name: people type their password in its place.
            _log.info("wrong name or password", client=client)
        finding = _Finding(user.decode(errors="replace"), is_right)
        if version == self._version:
            self._memory.note(key, finding, time.monotonic() + _REMEMBERED)
        return finding
