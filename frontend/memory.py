"""What a worker remembers for some seconds, so that the same question is not asked again at once."""

import time
from collections import OrderedDict
from copy import copy

from common.errors import UpstreamError

# Enough for a fleet's mistakes; a flood of names that do not exist pushes itself out.
_MOST = 4096


class Refusals:
    """What upstreams said no to, by job key, for `seconds` each."""

    def __init__(self, seconds: float = 10.0) -> None:
        """Remember each refusal that long."""
        self._seconds = seconds
        self._until: OrderedDict[str, tuple[float, UpstreamError]] = OrderedDict()

    def note(self, key: str, error: UpstreamError) -> None:
        """Remember `error` as the answer to `key`."""
        now = time.monotonic()
        while self._until and (
            len(self._until) >= _MOST or next(iter(self._until.values()))[0] <= now
        ):
            self._until.popitem(last=False)
        # A copy: the error itself has a traceback, and with it the whole of the request it ended.
        self._until[key] = (now + self._seconds, copy(error))
        self._until.move_to_end(key)

    def raise_for(self, key: str) -> None:
        """Raise the answer remembered, if it is not too old."""
        found = self._until.get(key)
        if found is None:
            return
        if found[0] > time.monotonic():
            # A copy: raised itself it would gather the traceback of every request it ever answered.
            raise copy(found[1])
        del self._until[key]
