"""A large blob over several connections at once, its bytes told in order.

Segments follow one another without gaps. The front one is told to the reader as it arrives, those
behind it wait in memory, which is bounded for the whole process (`Ahead`), and their connections
are turns that nobody else wants (`spare`). With one connection the segments are long, read by the
reader itself, and the next is asked for before the one before has ended, so that its bytes follow
without a pause. What nobody waits for has one connection and no other, even so; it comes by
segments since somebody may come.

All parts are asked for with both ends, so no byte comes twice, and a connection is whole again
after its part. At the first sign of trouble no more is begun ahead: what has come is used, what is
missing is fetched over one connection, whose failure is the download's. The bytes that are told
are those of one stream: nothing of what is in memory outlives a crash, or needs to.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from types import TracebackType
from typing import Self

from common import logs
from common.errors import UpstreamError
from fetcher.ahead import Ahead
from fetcher.growth import Growth
from fetcher.partstream import PartStream
from fetcher.segment import Segment

log = logs.get(__name__)

# Bytes, or seconds, before the end of what was asked for, where that is all: time to ask for more.
_NEAR = 1 << 20
_NEAR_SECONDS = 0.01


class Segments:
    """A stream that begins with `first`, and goes on by segments to the end of the blob."""

    def __init__(
        self, first: PartStream, end: int, total: int, ahead: Ahead, growth: Growth, size: int
    ) -> None:
        """`first` ends at `end`; of segments that wait in memory none has more than `size` bytes."""
        self.offset = first.offset
        self.total = total
        self._first = first
        self._position = first.offset
        self._planned = end
        self._size = size
        self._ahead = ahead
        self._growth = growth
        self._segments: deque[Segment] = deque()
        self._changed = threading.Condition()
        self._busy = 1
        self._own_is_free = False
        self._in_trouble = False
        self._was_refused = False

    def chunks(self) -> Iterator[bytes]:
        """The bytes in order; raises UpstreamError as a single stream would."""
        for number, chunk in enumerate(self._first_chunks()):
            with self._changed:
                self._have_read(chunk, is_first=number == 0)
            yield chunk
        with self._changed:
            self._give_back_own()
        while self._position < self.total:
            front = self._next()
            if front.is_read_in_place:
                yield from self._read_in_place(front)
            else:
                yield self._take(front)

    def close(self) -> None:
        """Let everything go; threads notice with their next bytes, and end."""
        with self._changed:
            while self._segments:
                self._drop(self._segments[-1])
            self._changed.notify_all()
        self._first.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _first_chunks(self) -> Iterator[bytes]:
        try:
            yield from self._first.chunks()
        except UpstreamError:
            self._first.in_trouble()
            raise

    def _read_in_place(self, front: Segment) -> Iterator[bytes]:
        error: UpstreamError | None = None
        try:
            part = front.part = front.part or self._first.part(front.start, front.end)
            with part:
                for number, chunk in enumerate(part.chunks()):
                    with self._changed:
                        front.start += len(chunk)
                        self._have_read(chunk, is_first=number == 0)
                    yield chunk
        except UpstreamError as caught:
            error = caught
        finally:
            with self._changed:
                self._over(front, error)

    def _next(self) -> Segment:
        """The segment at the front, once there is something of it to be taken or read."""
        with self._changed:
            while True:
                self._extend()
                front = self._front()
                if front is not None and (front.has_chunks or front.is_to_be_read):
                    return front
                if front is not None and front.is_over:
                    self._drop(front)
                    if front.error is not None and front.is_alone:
                        raise front.error
                    continue
                self._changed.wait()

    def _take(self, front: Segment) -> bytes:
        with self._changed:
            chunk = front.take()
            self._position += len(chunk)
            self._changed.notify_all()
        return chunk

    def _front(self) -> Segment | None:
        """The segment that the next byte to be told is of, if it has been begun."""
        first = self._segments[0] if self._segments else None
        return first if first is not None and first.start == self._position else None

    def _drop(self, segment: Segment) -> None:
        self._segments.remove(segment)
        self._ahead.give_back(segment.budget)
        segment.drop()

    def _give_back_own(self) -> None:
        self._busy -= 1
        self._own_is_free = True

    def _give_back(self, spare: Callable[[], None]) -> None:
        self._busy -= 1
        spare()

    # What is begun when. All below is called with the lock held, but for the segments' threads.

    def _have_read(self, chunk: bytes, *, is_first: bool) -> None:
        """Take note of what the reader itself has read at the front."""
        if is_first:
            self._growth.joined()
        self._growth.arrived(len(chunk))
        self._position += len(chunk)
        self._extend()

    def _extend(self) -> None:
        """Begin what there should be more of."""
        wanted = self._growth.wanted(self.total - self._position)
        if self._front() is None and self._own_is_free:
            self._begin_at_front(wanted)
        if self._in_trouble:
            return
        if wanted == 1 or self._was_refused:
            self._begin_next_in_time()
        while wanted > 1 and self._busy < wanted and self._planned < self.total:
            self._was_refused = not self._begin_ahead()
            if self._was_refused:
                return

    def _begin_at_front(self, wanted: int) -> None:
        """Have the byte that is to be told next come, whatever else is full."""
        end = self._segments[0].start if self._segments else self.total
        if not self._in_trouble:
            one = wanted == 1 or self._was_refused
            end = min(
                end,
                self._position
                + (self._growth.stretch(self._size) if one else self._growth.brief(self._size)),
            )
        segment = self._own_segment(self._position, end)
        segment.is_alone = self._in_trouble
        self._segments.appendleft(segment)
        self._planned = self._segments[-1].end

    def _begin_next_in_time(self) -> None:
        """With one connection: ask for what follows when little of what comes is left."""
        if self._growth.is_single:
            return
        left, rate = self._planned - self._position, self._growth.rate
        if not rate or left > max(_NEAR, rate * _NEAR_SECONDS):
            return
        if self._busy > 1 or self._planned >= self.total:
            return
        end = min(self.total, self._planned + self._growth.stretch(self._size))
        segment = self._own_segment(self._planned, end) if self._own_is_free else None
        self._append(segment or self._spare_segment(self._planned, end))

    def _begin_ahead(self) -> bool:
        """One more segment behind the others; whether there was one to be had."""
        end = min(self.total, self._planned + self._growth.brief(self._size))
        budget = end - self._planned
        if not self._ahead.take(budget):
            return False
        segment = self._spare_segment(self._planned, end, budget)
        if segment is None and self._own_is_free:
            segment = self._own_segment(self._planned, end, budget)
        if segment is None:
            self._ahead.give_back(budget)
            return False
        segment.budget = budget
        self._append(segment)
        return True

    def _own_segment(self, start: int, end: int, capacity: int = 0) -> Segment:
        self._busy += 1
        self._own_is_free = False
        return Segment(start, end, capacity, self._give_back_own)

    def _spare_segment(self, start: int, end: int, capacity: int = 0) -> Segment | None:
        spare = self._first.spare()
        if spare is None:
            return None
        self._busy += 1
        return Segment(start, end, capacity, lambda: self._give_back(spare))

    def _append(self, segment: Segment | None) -> None:
        if segment is not None:
            self._segments.append(segment)
            self._planned = segment.end
            self._start(segment)

    # The segments' threads.

    def _start(self, segment: Segment) -> None:
        # With the context go who waits, and what the logs say of the job.
        run = copy_context().run
        work = self._ask_for if segment.is_read_in_place else self._bring
        segment.is_asked_for = True
        thread = threading.Thread(target=run, args=(work, segment), name="segment", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there are as many threads as there may be
            self._over(segment, UpstreamError("no thread is to be had for it here", status=503))

    def _ask_for(self, segment: Segment) -> None:
        try:
            part = self._first.part(segment.start, segment.end)
        except Exception as error:  # noqa: BLE001 - told to whoever would read it
            with self._changed:
                self._over(segment, error)
            return
        with self._changed:
            segment.part = part
            if segment.is_dropped:
                segment.drop()
            self._changed.notify_all()

    def _bring(self, segment: Segment) -> None:
        error: Exception | None = None
        try:
            with self._first.part(segment.start, segment.end) as part:
                for number, chunk in enumerate(part.chunks()):
                    if not self._put(segment, chunk, is_first=number == 0):
                        break
        except Exception as caught:  # noqa: BLE001 - told to whoever takes the chunks
            error = caught
        with self._changed:
            self._over(segment, error)

    def _over(self, segment: Segment, error: Exception | None) -> None:
        segment.over(error)
        if error is not None and not segment.is_dropped:
            self._trouble(error)
        self._changed.notify_all()

    def _put(self, segment: Segment, chunk: bytes, *, is_first: bool) -> bool:
        """Hand a chunk over, when there is room for it; whether more is wanted."""
        with self._changed:
            if is_first:
                self._growth.joined()
            self._growth.arrived(len(chunk))
            self._changed.wait_for(lambda: segment.is_dropped or not segment.is_full)
            if segment.is_dropped:
                return False
            segment.put(chunk)
            self._changed.notify_all()
            return True

    def _trouble(self, error: Exception) -> None:
        """Begin no more ahead, and let go what would wait for a front that waits for it."""
        if not self._in_trouble:
            log.info("going on over one connection", reason=str(error))
        self._in_trouble = True
        self._first.in_trouble()
        for segment in [one for one in self._segments if not one.fits and one is not self._front()]:
            self._drop(segment)
