"""The gate that health checks close, before what is answered at once."""

from typing import Any

from common.health import Monitor
from frontend.gate import Gate

ANSWER = (b"Content-Length: 2\r\n", b"{}")


class Health(Monitor):
    """As ill as the test wants it."""

    def __init__(self) -> None:
        super().__init__(())
        self.is_ill = False

    @property
    def failing(self) -> bool:
        return self.is_ill


class Application:
    """Knows an answer at once."""

    def at_once(self, data: bytes) -> tuple[bytes, bytes] | None:
        return ANSWER if data == b"known" else None


async def _application(_scope: Any, _receive: Any, _send: Any) -> None:
    """One that never does."""


def test_while_all_is_well_what_is_known_is_answered_at_once() -> None:
    health = Health()
    at_once = Gate(Application(), health).at_once
    assert at_once is not None
    assert at_once(b"known") == ANSWER
    assert at_once(b"other") is None
    health.is_ill = True
    assert at_once(b"known") is None
    health.is_ill = False
    assert at_once(b"known") == ANSWER


def test_an_application_that_never_does_stands_behind_a_gate_that_never_does() -> None:
    assert Gate(_application, Health()).at_once is None
