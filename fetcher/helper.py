"""Credential helpers: a program that tells an account, by docker-credential-helpers' protocol.

`<command> get` reads a host from its standard input and writes JSON with `Username` and `Secret`
(docker-credential-helpers, credentials/credentials.go). As in distribution
(registry/proxy/proxyauth_exec.go) an account is kept for `lifetime`, and one that is not to be had
means anonymous; unlike there each host has its own, and one that was not taken is asked for anew.
"""

import json
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from common import logs

log = logs.get(__name__)

TIMEOUT = 30.0
"""Seconds; helpers of clouds ask the network."""

# Seconds until a helper that failed, or whose account was not taken, is run again.
AGAIN = 10.0

_LARGEST = 64 * 1024

Account = tuple[str, str]


class HelperFailed(Exception):
    """No account; the text says why and holds nothing of the program's output."""


@dataclass(frozen=True, slots=True)
class _Known:
    account: Account | None
    since: float
    until: float


class Helper:
    """One upstream's helper; thread-safe, one run at a time."""

    def __init__(
        self,
        shown: str,
        command: str,
        lifetime: float | None,
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lifetime` in seconds; 0: run for every request; None: once."""
        self._shown = shown
        self._argv = [*_words(command), "get"]
        self._lifetime = float("inf") if lifetime is None else lifetime
        self._timeout = timeout
        self._clock = clock
        # Held while it runs: whoever wants the same waits for the answer.
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def account(self, host: str) -> Account | None:
        """User and secret for `host`; None for none, which is logged."""
        with self._lock:
            known = self._known.get(host)
            if known is None or self._clock() >= known.until:
                known = self._known[host] = self._ask(host)
            return known.account

    def forget(self, host: str) -> None:
        """The account was not taken: have it told anew, if it was not just now."""
        with self._lock:
            known = self._known.get(host)
            if known is not None and self._clock() >= known.since + AGAIN:
                del self._known[host]

    def _ask(self, host: str) -> _Known:
        account, keep = None, AGAIN
        try:
            account = _account_in(_output_of(self._argv, host, self._timeout))
            keep = self._lifetime
        except HelperFailed as error:
            log.warning(
                "the credential helper gave no account: anonymous",
                upstream=self._shown,
                host=host,
                reason=str(error),
            )
        now = self._clock()
        return _Known(account, now, now + keep)


def _words(command: str) -> list[str]:
    # distribution runs the whole text as one program; only where that is none is it taken apart.
    return [command] if os.path.isfile(command) else shlex.split(command)


def _account_in(output: bytes) -> Account | None:
    try:
        told: Any = json.loads(output)
        username, secret = told["Username"], told["Secret"]
    except (ValueError, LookupError, TypeError, RecursionError):
        # The output itself may hold a secret.
        raise HelperFailed("its output is not what a credential helper writes") from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise HelperFailed("its Username or Secret is no text")
    return (username, secret) if username or secret else None


def _output_of(argv: list[str], host: str, timeout: float) -> bytes:
    # A session of its own, so that what it started itself can be ended with it. Its standard
    # error is not ours to show: who knows what is in it.
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise HelperFailed(f"it cannot be run: {error}") from None
    with process:
        deadline = time.monotonic() + timeout
        try:
            output = _talk(process, host, deadline)
            status = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise HelperFailed(f"it took longer than {timeout:g} seconds") from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    if status:
        raise HelperFailed(f"it ended with status {status}")
    return output


def _talk(process: "subprocess.Popen[bytes]", host: str, deadline: float) -> bytes:
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise HelperFailed("it has no input or output")
    with suppress(BrokenPipeError):
        stdin.write(host.encode())
        stdin.flush()
    with suppress(BrokenPipeError):
        stdin.close()
    return _read(stdout, deadline, process)


def _read(stdout: IO[bytes], deadline: float, process: "subprocess.Popen[bytes]") -> bytes:
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while len(output) <= _LARGEST:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise subprocess.TimeoutExpired(process.args, 0)
            part = os.read(stdout.fileno(), _LARGEST)
            if not part:
                return bytes(output)
            output += part
    raise HelperFailed(f"it wrote more than {_LARGEST} bytes")
