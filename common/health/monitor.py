"""Looking again and again, each on a thread of its own, and telling at once what was found last."""

import threading
import time
from collections.abc import Sequence

from common import logs
from common.health.checks import Check, Ill

_log = logs.get(__name__)

# Seconds a look may take before its silence counts as a failure: a file server that is gone
# answers neither yes nor no.
_PATIENCE = 15.0

# Seconds that what `failing` has found is good for.
_FRESH = 0.25


class Watch:
    """One check, every `interval` seconds; ill after `threshold` failures in a row (0: one)."""

    def __init__(
        self,
        name: str,
        check: Check,
        interval: float,
        threshold: int = 0,
        patience: float = _PATIENCE,
    ) -> None:
        """Nothing is looked at before `start`; one look may take `patience` seconds."""
        self.name = name
        self._check = check
        self._interval = interval
        self._patience = patience
        self._threshold = max(threshold, 1)
        self._failures = 0
        self._reason: str | None = None
        self._heard = time.monotonic()
        self._stop = threading.Event()

    def start(self) -> None:
        """Look now, and go on."""
        self._heard = time.monotonic()
        threading.Thread(target=self._run, name=f"health {self.name}", daemon=True).start()

    def stop(self) -> None:
        """Look no more; a look that hangs is left to itself."""
        self._stop.set()

    @property
    def failure(self) -> str | None:
        """What is wrong, None while all is well."""
        silent = time.monotonic() - self._heard
        if silent > self._interval + self._patience:
            return f"no answer for {silent:.0f} s"
        return self._reason if self._failures >= self._threshold else None

    def _run(self) -> None:
        while True:
            self._look()
            if self._stop.wait(self._interval):
                return

    def _look(self) -> None:
        reason = self._find()
        before = self.failure
        # The reason first: who reads in between must not find a failure without one.
        if reason is None:
            self._failures, self._reason = 0, None
        else:
            self._reason = reason
            self._failures += 1
        self._heard = time.monotonic()
        if before is None and self.failure is not None:
            _log.error("health check failed", check=self.name, reason=reason)
        elif before is not None and self.failure is None:
            _log.info("health check passed again", check=self.name)

    def _find(self) -> str | None:
        try:
            self._check()
        except Ill as ill:
            return str(ill)
        except OSError as error:
            return error.strerror or type(error).__name__
        except Exception as error:  # noqa: BLE001 - a check that broke has not passed
            _log.exception("health check broke", check=self.name)
            return type(error).__name__
        return None


class Monitor:
    """All watches of one process."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        """Nothing is looked at before `start`."""
        self.watches = watches
        self._failing = False
        self._known_until = 0.0

    def start(self) -> None:
        """Begin to look."""
        for watch in self.watches:
            watch.start()

    def stop(self) -> None:
        """Look no more."""
        for watch in self.watches:
            watch.stop()

    def failures(self) -> dict[str, str]:
        """What is wrong, by the names of the checks."""
        found = {watch.name: watch.failure for watch in self.watches}
        return {name: reason for name, reason in found.items() if reason is not None}

    @property
    def failing(self) -> bool:
        """Whether anything is wrong, a quarter of a second ago at most; cheap to ask."""
        now = time.monotonic()
        if now >= self._known_until:
            self._failing = bool(self.failures())
            self._known_until = now + _FRESH
        return self._failing
