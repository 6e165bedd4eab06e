"""A download: from the upstream into a spool, taken up again until the bytes are right."""

from collections.abc import Callable

from common import logs
from common.errors import ContentMismatch, UpstreamError
from common.fills import Epoch, Fill
from common.source import Source
from fetcher import watching
from fetcher.patience import Patience
from fetcher.spool import Spools
from fetcher.upstreams import AnyUpstream

log = logs.get(__name__)

# A try that brought at least this many bytes more than any before it was worth it, and does not
# count: a large blob over a line that breaks every gigabyte. With fewer it could go on for ever.
WORTHWHILE_BYTES = 1 << 20


class Download:
    """One blob's way here, on behalf of one repository."""

    def __init__(
        self, fill: Fill, spools: Spools, upstream: AnyUpstream, source: Source, patience: Patience
    ) -> None:
        """Go on from what `spools` holds, inherited or nothing."""
        self._fill = fill
        self._spools = spools
        self._upstream = upstream
        self._source = source
        self._patience = patience
        started = fill.started()
        self._total = started.size if started is not None else None
        self._furthest = spools.current.size
        self._told: Epoch | None = None

    def run(self, on_answer: Callable[[], None], go_on: Callable[[], None]) -> None:
        """Return with the spool's bytes right; raises UpstreamError when they are not to be had.

        `on_answer` is called when bytes begin to come into a spool that is new to readers,
        `go_on` at every chunk: it raises to stop.
        """
        while True:
            try:
                return self._receive(on_answer, go_on)
            except UpstreamError as error:
                self._doubt()
                self._pause(error)
            except ContentMismatch as error:
                watching.wrong(self._source.upstream)
                # Which of the bytes were wrong, and whether the size was, nobody knows.
                self._total = None
                self._spools.start_over()
                self._pause(UpstreamError(str(error)))

    def _doubt(self) -> None:
        """Forget the size that was told by an answer which brought no byte: it may be wrong, and
        whoever tells the right one would be contradicting it for ever.
        """
        if self._total is not None and not self._spools.current.size:
            self._total = None
            self._spools.start_over()

    def _pause(self, error: UpstreamError) -> None:
        size = self._spools.current.size
        if size >= self._furthest + WORTHWHILE_BYTES:
            self._patience.renew()
        self._furthest = max(self._furthest, size)
        self._patience.pause(error)

    def _receive(self, on_answer: Callable[[], None], go_on: Callable[[], None]) -> None:
        if self._spools.current.size and self._spools.current.is_right:
            self._answer_without_bytes(on_answer)
            return
        self._continue(on_answer, go_on)
        if not self._spools.current.is_right:
            size = self._spools.current.size
            raise ContentMismatch(f"{size} bytes came that are not {self._fill.digest}")

    def _continue(self, on_answer: Callable[[], None], go_on: Callable[[], None]) -> None:
        with self._upstream.open_blob(
            self._source.repository,
            self._fill.digest,
            offset=self._spools.current.size,
            total=self._total,
        ) as stream:
            if stream.offset != self._spools.current.size:
                log.info("the upstream sends the blob from its start again")
                self._spools.start_over()
            self._answered(stream.total, on_answer)
            spool = self._spools.current
            for content in stream.chunks():
                go_on()
                spool.append(content)

    def _answer_without_bytes(self, on_answer: Callable[[], None]) -> None:
        """A predecessor died, or gave up, with everything received: only the right to it is open."""
        if not self._fill.admits(self._source.stored):
            self._upstream.head_blob(self._source.repository, self._fill.digest)
        self._answered(self._spools.current.size, on_answer)

    def _answered(self, total: int | None, on_answer: Callable[[], None]) -> None:
        """The upstream gives this blob to this repository: let those who wait for it read."""
        if self._told == self._spools.epoch:
            return
        if total is not None:
            self._total = total
        # Before the first reader is sent headers: there is no honest answer for it afterwards.
        self._spools.current.reserve(self._total or 0)
        # First who may read, then what: a reader needs both.
        self._fill.admit(self._source.stored)
        self._fill.start(self._spools.epoch, self._total)
        self._told = self._spools.epoch
        on_answer()
