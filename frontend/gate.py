"""While a health check fails, nothing is served: distribution's health.Handler."""

from collections.abc import Callable
from typing import Any, TypeAlias

from common.health import Monitor
from frontend.errors import body_of

_BODY = body_of(
    "UNAVAILABLE", "service unavailable", "health check failed: please see /debug/health"
)
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_BODY)).encode()),
    (b"docker-distribution-api-version", b"registry/2.0"),
    (b"retry-after", b"5"),
]


# Lane.at_once.
AtOnce: TypeAlias = Callable[[bytes], tuple[bytes, bytes] | None]


class Gate:
    """The ASGI application `app` while all is well, and 503 while it is not."""

    def __init__(self, app: Any, health: Monitor) -> None:
        self._app = app
        self._health = health
        at_once: AtOnce | None = getattr(app, "at_once", None)
        self.at_once = None if at_once is None else self._unless_failing(at_once)
        """Lane.at_once, for as long as all is well; None where `app` has none."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        if not self._health.failing:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 503, "headers": _HEADERS})
        body = b"" if scope["method"] == "HEAD" else _BODY
        await send({"type": "http.response.body", "body": body})

    def _unless_failing(self, at_once: AtOnce) -> AtOnce:
        def answer(data: bytes) -> tuple[bytes, bytes] | None:
            return None if self._health.failing else at_once(data)

        return answer
