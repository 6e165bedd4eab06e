"""The account at an upstream: written in the configuration, read from files, or told by a helper."""

import os
from base64 import b64encode
from typing import Protocol

from common import logs
from fetcher.helper import Helper
from fetcher.settings import UpstreamSettings

log = logs.get(__name__)

_LARGEST = 64 * 1024


class Credentials(Protocol):
    """Where an account comes from; thread-safe."""

    def basic(self, host: str) -> str | None:
        """The Authorization (RFC 7617) for `host`, with its port where unusual; None: anonymous."""

    def rejected(self, host: str) -> None:
        """`host` did not take what `basic` gave."""


def credentials_of(settings: UpstreamSettings) -> Credentials:
    """The account as configured: a helper replaces all else. Raises OSError, ValueError for a file."""
    if settings.helper:
        return Told(Helper(settings.shown, settings.helper, settings.helper_lifetime))
    return Written(
        _Text(settings.username, settings.usernamefile),
        _Text(settings.password, settings.passwordfile),
    )


class _Text:
    """A text that is known, or the content of a file, read again when that changes."""

    def __init__(self, text: str, path: str) -> None:
        """Raises OSError or ValueError when there is a path and it cannot be read."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._text = text
        self._is_readable = True
        if path:
            self._read()

    def get(self) -> str:
        """The text; the last that could be read when the file cannot."""
        if self._path:
            try:
                self._read()
            except (OSError, ValueError):
                if self._is_readable:
                    log.warning("a file with an account cannot be read", file=self._path)
                self._is_readable = False
            else:
                self._is_readable = True
        return self._text

    def _read(self) -> None:
        found = os.stat(self._path)
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        if mark == self._seen:
            return
        with open(self._path, encoding="utf-8") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise ValueError(f"{self._path} is too large")
        # Both in this order: another thread that sees the mark has the text too.
        self._text = text.strip("\r\n")
        self._seen = mark


class Written:
    """User and password, as texts or in files."""

    def __init__(self, username: _Text, password: _Text) -> None:
        self._username = username
        self._password = password

    def basic(self, host: str) -> str | None:
        """See Credentials; the same for every host that may be asked at all."""
        del host
        username = self._username.get()
        return basic(username, self._password.get()) if username else None

    def rejected(self, host: str) -> None:
        """See Credentials; people have to put it right."""


class Told:
    """User and password from a helper program, one pair for each host."""

    def __init__(self, helper: Helper) -> None:
        self._helper = helper

    def basic(self, host: str) -> str | None:
        """See Credentials."""
        account = self._helper.account(host)
        return basic(*account) if account else None

    def rejected(self, host: str) -> None:
        """See Credentials."""
        self._helper.forget(host)


def basic(username: str, password: str) -> str:
    """The header's value (RFC 7617, section 2.1: in UTF-8, which registries expect without asking)."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode('ascii')}"
