"""Who in this process wants to hear of events."""

from collections.abc import Callable
from functools import partial

from common import logs
from common.errors import UndecodableMessage
from common.messages import Event, decode_event

log = logs.get(__name__)


class Listeners:
    """Passes events and gaps on; what a listener raises is logged and stops nobody."""

    def __init__(self) -> None:
        self._all: list[tuple[Callable[[Event], None], Callable[[], None]]] = []

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._all)

    def add(self, listener: Callable[[Event], None], on_gap: Callable[[], None]) -> None:
        """Tell these too, from now on."""
        self._all.append((listener, on_gap))

    def tell(self, body: bytes) -> None:
        """Decode an event and pass it on; one that nobody understands is dropped and logged."""
        try:
            event = decode_event(body)
        except UndecodableMessage as error:
            log.warning("undecodable event dropped", why=str(error))
            return
        for listener, _ in list(self._all):
            _call(partial(listener, event))

    def tell_gap(self) -> None:
        """Say that events may have been missed."""
        for _, on_gap in list(self._all):
            _call(on_gap)


def _call(function: Callable[[], None]) -> None:
    try:
        function()
    except Exception:
        log.exception("a listener raised")
