"""The accounts of `http.debug.console.htpasswd`: a name and a password with every request."""

import threading
import time
from http import HTTPStatus

from common import logs
from entrepot.console.web import Refusal
from frontend.auth.attempts import Attempts
from frontend.auth.hashing import is_of
from frontend.auth.passwords import PasswordFile, Users, credentials_in
from frontend.auth.remembering import Memory

_log = logs.get(__name__)

_REMEMBERED = 60.0
_LOG_IN = "Log in to see the console."
_CHALLENGE = 'Basic realm="entrepot console", charset="UTF-8"'


class Accounts:
    """Knows the file, and what it found out within the last minute."""

    def __init__(self, path: str) -> None:
        """Read the file with the first request."""
        self._file = PasswordFile(path, "http.debug.console.htpasswd")
        self._memory: Memory[str] = Memory(time.monotonic)
        self._attempts = Attempts()
        self._version = 0
        self._lock = threading.Lock()
        # bcrypt lets other threads run; two at once would be two processors' work.
        self._hashing = threading.Lock()

    def name_of(self, authorization: str, peer: str) -> str:
        """Whose name and password these are; raises Refusal where nobody's."""
        if not authorization:
            raise _refused(_LOG_IN)
        with self._lock:
            users = self._users()
            version = self._version
            key = self._memory.key(authorization)
            name = self._memory.recall(key)
        if name is None:
            credentials = credentials_in(authorization)
            if credentials is None:
                raise _refused(_LOG_IN)
            name = self._compare(*credentials, peer, users)
            with self._lock:
                # Not what was found in a file that is another by now.
                if version == self._version:
                    self._memory.note(key, name, time.monotonic() + _REMEMBERED)
        return name

    def _users(self) -> Users:
        users = self._file.users()
        if self._file.version != self._version:
            self._version = self._file.version
            self._memory.forget()
        if users is None:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "The file of accounts cannot be read: see the log."
            )
        return users

    def _compare(self, user: bytes, password: bytes, peer: str, users: Users) -> str:
        with self._lock:
            if not self._attempts.begin(peer):
                raise Refusal(
                    HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong passwords: wait some seconds."
                )
        is_right = False
        try:
            with self._hashing:
                is_right = is_of(password, users.hash_of(user)) and user in users.hashes
        finally:
            with self._lock:
                self._attempts.end(peer, was_right=is_right)
        if not is_right:
            # Not the name: people type their password in its place.
            _log.info("wrong name or password at the console", client=peer)
            raise _refused("There is no such account, or its password is another.")
        return user.decode(errors="replace")


def _refused(text: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, text, **{"WWW-Authenticate": _CHALLENGE})
