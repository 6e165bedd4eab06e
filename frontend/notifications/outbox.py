"""What one endpoint is still to be told, and the thread that tells it.

Nothing is lost without being counted and logged. An endpoint that fails is tried again until it
takes what it is sent; meanwhile events wait, `MOST` of them at most, and then the oldest go.
"""

import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus

from common import logs
from common.config.notifications import BACKOFF, THRESHOLD, TIMEOUT, Endpoint
from common.webcall import call
from frontend.notifications.pulls import ACTION, Told

MEDIA_TYPE = "application/vnd.docker.distribution.events.v1+json"

MOST = 10_000
# Events of one envelope. distribution sends them one by one; its format is a list.
_TOGETHER = 50
# Seconds before the first retry; doubled for each, up to `backoff`.
_FIRST_PAUSE = 0.1
# Seconds between two lines about the same trouble.
_TELL_AGAIN = 60.0

_log = logs.get(__name__)


class Outbox:
    """Of `endpoint`; begins with `start`. The counts are of events."""

    def __init__(self, endpoint: Endpoint, most: int = MOST) -> None:
        self.name = endpoint.name or endpoint.url.host
        self.delivered = 0
        self.lost = 0
        self._endpoint = endpoint
        self._timeout = endpoint.timeout or TIMEOUT
        self._threshold = endpoint.threshold or THRESHOLD
        self._backoff = endpoint.backoff or BACKOFF
        self._ignored = {*endpoint.ignoredmediatypes, *endpoint.ignore.mediatypes}
        self._ignores_all = ACTION in endpoint.ignore.actions
        self._most = most
        self._waiting: deque[Told] = deque()
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._failures = 0
        self._lost_told = 0
        self._told_at = -_TELL_AGAIN
        self._thread = threading.Thread(
            target=self._run, name=f"notifications {self.name}", daemon=True
        )

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def put(self, told: Told) -> None:
        """Have it told, soon; never waits for the endpoint."""
        if self._ignores_all or told.pull.media_type in self._ignored:
            return
        with self._changed:
            self._waiting.append(told)
            if len(self._waiting) > self._most:
                self._waiting.popleft()
                self.lost += 1
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many events are still to be told."""
        return len(self._waiting)

    def close(self, within: float) -> None:
        """Tell what waits, for `within` seconds at most; what is left then is lost, and logged."""
        with self._changed:
            self._deadline = time.monotonic() + within
            self._changed.notify()
        self._thread.join(within)
        with self._changed:
            self.lost += len(self._waiting)
            self._waiting.clear()
        self._tell_losses()

    def _run(self) -> None:
        while batch := self._next():
            try:
                if self._deliver(batch):
                    self._take_out(batch)
                    self.delivered += len(batch)
                elif not self._pause():
                    return
            except Exception:  # noqa: BLE001 - what cannot be told must not keep the rest from it
                _log.exception("notifications broke", endpoint=self.name)
                self._take_out(batch)
                with self._changed:
                    self.lost += len(batch)
            self._tell_losses()

    def _next(self) -> Sequence[Told]:
        """What to tell next, which stays in line until it is told; nothing at the end."""
        with self._changed:
            while not self._waiting:
                if self._deadline is not None:
                    return ()
                self._changed.wait()
            return [self._waiting[index] for index in range(min(_TOGETHER, len(self._waiting)))]

    def _take_out(self, batch: Sequence[Told]) -> None:
        with self._changed:
            # Some of it may have gone already, when more came than there is room for; that was
            # told all the same.
            for told in batch:
                if self._waiting and self._waiting[0] is told:
                    self._waiting.popleft()
                else:
                    self.lost -= 1

    def _pause(self) -> bool:
        """Wait until it is worth trying again; False when there is no more time to."""
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures - 1, 20), self._backoff)
        if self._failures >= self._threshold:
            pause = self._backoff
        until = time.monotonic() + pause
        with self._changed:
            while (left := until - time.monotonic()) > 0:
                if self._deadline is not None:
                    # Once more, and soon: there may be little time.
                    left = min(left, _FIRST_PAUSE, self._deadline - time.monotonic())
                    if left <= 0:
                        return False
                    until = min(until, time.monotonic() + left)
                self._changed.wait(left)
            return self._deadline is None or time.monotonic() < self._deadline

    def _deliver(self, batch: Sequence[Told]) -> bool:
        try:
            body = json.dumps({"events": [told.event() for told in batch]}).encode()
            reply = call(
                "POST",
                self._endpoint.url,
                headers=self._endpoint.headers,
                timeout=self._timeout,
                body=body,
                content_type=MEDIA_TYPE,
            )
        except (OSError, http.client.HTTPException) as error:
            self._failed(getattr(error, "strerror", None) or str(error) or type(error).__name__)
            return False
        if not HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            self._failed(f"answered {reply.status}")
            return False
        if self._failures:
            _log.info("notifications are taken again", endpoint=self.name, waiting=self.waiting)
            self._failures, self._told_at = 0, -_TELL_AGAIN
        return True

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if self._is_time_to_tell():
            _log.warning(
                "notifications are not taken",
                endpoint=self.name,
                reason=reason,
                failures=self._failures,
                waiting=self.waiting,
            )

    def _is_time_to_tell(self) -> bool:
        now = time.monotonic()
        if now - self._told_at < _TELL_AGAIN:
            return False
        self._told_at = now
        return True

    def _tell_losses(self) -> None:
        if self.lost > self._lost_told and (self._deadline is not None or self._losses_due()):
            self._lost_told = self.lost
            _log.error("notifications lost", endpoint=self.name, lost=self.lost)

    def _losses_due(self) -> bool:
        """Whether enough has been lost since it was said last: one, then twice as many."""
        return self.lost >= 2 * self._lost_told
