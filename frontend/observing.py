"""Seeing requests and their answers go by, for those who keep account of them.

Stands before the application only where somebody does.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Seen:
    """One request and what was answered.

    `sent` are the bytes of the body that the connection took, `seconds` the time from first to last,
    `whole` is false where the connection ended before it had taken all. `status` is 0 where nothing
    was answered.
    """

    scope: Mapping[str, Any]
    status: int = 0
    headers: Iterable[tuple[bytes, bytes]] = field(default=())
    sent: int = 0
    seconds: float = 0.0
    whole: bool = False

    def header(self, name: bytes) -> str:
        """A header of the answer, named in lower case; empty where it has none."""
        return _find(self.headers, name)

    def asked(self, name: bytes) -> str:
        """A header of the request, likewise."""
        return _find(self.scope["headers"], name)


Observer = Callable[[Seen], None]
"""Called on the loop when an answer has ended: it must not take long, nor raise."""


class Observed:
    """The ASGI application `app`, with observers."""

    def __init__(self, app: Any, observers: Sequence[Observer]) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, and tell of it."""
        seen = Seen(scope)
        began = time.perf_counter()

        async def watch(message: Any) -> None:
            try:
                await send(message)
            finally:
                # Also when it was cut short: a part of a file then says how much of it was sent.
                if message["type"] == "http.response.body":
                    seen.sent += len(message.get("body", b""))
            if message["type"] == "http.response.body":
                seen.whole = not message.get("more_body")
            elif message["type"] == "http.response.start":
                seen.status, seen.headers = message["status"], message["headers"]

        try:
            await self._app(scope, receive, watch)
        except BaseException:
            # Who has all may leave before the application has come to its end: it is cancelled then.
            seen.whole = seen.whole or str(seen.sent) == seen.header(b"content-length")
            raise
        finally:
            seen.seconds = time.perf_counter() - began
            for observe in self._observers:
                observe(seen)


def _find(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return ""
