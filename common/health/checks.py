"""Single looks at something; each takes no longer than its timeout, where it can have one.

What they find is distribution's (health/checks/checks.go), its words where they are good.
"""

import http.client
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from common.config.leaves import listen_address
from common.config.secret import Secret, WebAddress
from common.durable import unique_name
from common.webcall import call

Check = Callable[[], None]
"""Returns when all is well; raises Ill, or the OSError it met."""


class Ill(Exception):
    """Something is not as it should be; the message is for people, and holds no secret."""


def folder_answers(root: str) -> Check:
    """The storage folder is there and can be listed; a share that is not mounted is not."""

    def check() -> None:
        with os.scandir(root) as entries:
            next(entries, None)

    return check


def folder_takes_files(root: str, temporary: str) -> Check:
    """As `folder_answers`, and a file can be written in `temporary`, below it."""
    answers = folder_answers(root)

    def check() -> None:
        answers()
        os.makedirs(temporary, exist_ok=True)
        path = f"{temporary}/health.{unique_name()}"
        try:
            with open(path, "xb") as probe:
                probe.write(b"written to see whether it can be")
        finally:
            _remove(path)

    return check


def file_is_absent(path: str) -> Check:
    """There is no such file: people make one to take a registry out of rotation."""

    def check() -> None:
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        raise Ill("file exists")

    return check


def http_answers(
    address: WebAddress, status: int, headers: Mapping[str, Sequence[Secret]], timeout: float
) -> Check:
    """A HEAD request is answered with `status`; redirects are not followed."""

    def check() -> None:
        try:
            found = call("HEAD", address, headers=headers, timeout=timeout).status
        except (OSError, http.client.HTTPException) as error:
            raise Ill(f"{address}: error while checking: {_reason(error)}") from error
        if found != status:
            raise Ill(f"{address}: downstream service returned unexpected status: {found}")

    return check


def tcp_accepts(address: str, timeout: float) -> Check:
    """A connection to `host:port` can be made."""
    host, port = listen_address(address)

    def check() -> None:
        try:
            with closing(socket.create_connection((host or "localhost", port), timeout)):
                return
        except OSError as error:
            raise Ill(f"{address}: connection failed: {_reason(error)}") from error

    return check


def _remove(path: str) -> None:
    try:
        os.remove(path)
    except FileNotFoundError:
        return


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
