"""Work that comes round, on a thread of its own."""

import threading
from collections.abc import Callable

from common import logs

_log = logs.get(__name__)

# Seconds until what failed is tried again.
_AFTER_FAILURE = 60.0

_SHORTEST_PAUSE = 0.05


class Periodic:
    """Calls `action` at once, then whenever the seconds it returned have passed or `hurry` is called."""

    def __init__(
        self,
        name: str,
        action: Callable[[], float],
        stop: threading.Event,
        *,
        shortest: float = _SHORTEST_PAUSE,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Run until `stop` is set, then call `on_end`; nothing runs before `start`.

        Between two calls are at least `shortest` seconds, however often it is hurried.
        """
        self._name = name
        self._action = action
        self._stop = stop
        self._shortest = shortest
        self._on_end = on_end
        self._called = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hurry(self) -> None:
        """Have the action called soon, once more if it runs; never blocks."""
        self._called.set()

    def join(self, within: float) -> None:
        """Wait up to `within` seconds for the action that runs; `stop` must be set."""
        self._called.set()
        if self._thread.ident is not None:  # it may never have been started
            self._thread.join(within)

    def _run(self) -> None:
        pause = 0.0
        # A clock that jumped may ask for no pause at all, and there may be no end to the calls:
        # never in a closed loop.
        while not self._stop.wait(self._shortest if pause else 0.0):
            self._called.clear()
            # Told to end since that look: the call that came with it was the one just cleared.
            if self._stop.is_set():
                break
            pause = max(self._try(), self._shortest)
            self._called.wait(pause)
        self._on_end()

    def _try(self) -> float:
        try:
            return self._action()
        except Exception:  # noqa: BLE001 - whatever it was, it must not end the janitor's work
            _log.exception("periodic work failed", work=self._name)
            return _AFTER_FAILURE
