"""Following fills: one tail per fill and process, shared by all its streams.

A tail looks at how far the spool has grown, often while it grows, and seldom at what else may
have happened: the commit, a new spool after a restart or take-over, the end of a fill that
failed. Events make it look at once. What it tells its streams:

    file, readable     the spool to read, and how many of its bytes are there
    blob               set once the fill is proven or committed: the truth
    failed             set when it will not be
"""

import asyncio
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from common import logs
from common.blobstore import BlobStore, OpenBlob
from common.claims import Claims
from common.digest import Digest
from common.fills import Epoch, Fill, Started
from common.messages import Event, FetchBlob, FillFailed
from common.paths import Layout
from frontend.desk import Desk

# How often (seconds) the spool's length is looked at: soon after it grew, less and less after. Its
# first bytes come right after the event that says so, and a client waits for them with nothing yet.
_FIRST = 0.0005
_SHORTEST = 0.002
_LONGEST = 0.05
# Up to so many streams look for themselves when they have sent all there was, and do not wait for the
# next look: of a fast upstream one client has more to gain than the looks cost, a crowd has not.
_FEW = 8
# How often the folder is looked at without an event.
_FOLDER = 0.5
# After how long without a byte and without a holder the job is published again; and after how
# long without a byte all streams are given up.
_ABANDONED = 2.0
STALLED = 90.0
# How long a tail without streams is kept for the next.
_LINGER = 5.0

_log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What tails work with."""

    layout: Layout
    blobs: BlobStore
    claims: Claims
    desk: Desk


class Tail:
    """One fill being followed."""

    def __init__(
        self, parts: Parts, job: FetchBlob, size: int, epoch: Epoch, file: OpenBlob
    ) -> None:
        """Follow the fill `job` asks for, from the open spool `file`, of `size` bytes in the end."""
        self.size = size
        self.file = file
        self.readable = 0
        self.blob: OpenBlob | None = None
        self.failed = False
        self.streams = 0
        self._parts = parts
        self._job = job
        self._epoch = epoch
        self._fill = Fill(parts.layout, job.digest)
        self._failure_heard = False
        self._is_asked_for = False
        loop = asyncio.get_running_loop()
        self._hint = asyncio.Event()
        self._news: asyncio.Future[None] = loop.create_future()
        self._grew_at = self._reminded_at = self._used_at = loop.time()

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.failed or self.blob is not None

    def keep(self) -> None:
        """Be there for a stream that is about to begin."""
        self._used_at = asyncio.get_running_loop().time()

    async def news(self) -> None:
        """Wait until more is readable or the fill has ended."""
        if not self.ended and not (self.streams <= _FEW and self._has_grown()):
            await asyncio.wait({self._news})

    async def follow(self) -> None:
        """Look, and tell, until the end or until nobody cares."""
        stop = self._parts.desk.watch(self._job.digest, self._hear)
        try:
            await self._follow()
        except OSError as error:
            _log.error("following a fill failed", digest=self._job.digest, exc_info=error)
            self.failed = True
        finally:
            stop()
            self._tell()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        pause, looked, seen = _FIRST, 0.0, self.readable
        while not self.ended and not self._is_forgotten(loop.time()):
            self._ask_for_it()
            self._look_at_spool()
            # By its streams' looks, too.
            pause = min(pause * 1.5, _LONGEST) if self.readable == seen else _SHORTEST
            seen = self.readable
            if self._hint.is_set() or loop.time() - looked > _FOLDER:
                self._hint.clear()
                looked = loop.time()
                await self._look_at_folder(looked)
            await self._rest(pause)

    def _ask_for_it(self) -> None:
        """Once there are streams: a fill that was begun ahead of clients hurries when one waits."""
        if self.streams and not self._is_asked_for:
            self._is_asked_for = True
            with suppress(OSError):
                self._fill.end_ahead()

    async def _rest(self, pause: float) -> None:
        if not self.ended:
            hint = asyncio.ensure_future(self._hint.wait())
            await asyncio.wait({hint}, timeout=pause)
            hint.cancel()

    def _hear(self, event: Event) -> None:
        # A failure of another repository's job says nothing of ours, which is run anew by then.
        self._failure_heard |= isinstance(event, FillFailed) and event.key == self._job.key
        self._hint.set()

    def _is_forgotten(self, now: float) -> bool:
        if self.streams:
            self._used_at = now
        if now - self._used_at <= _LINGER:
            return False
        self.failed = True  # for a stream that took so long to begin: it is cut, and tries again
        return True

    def _has_grown(self) -> bool:
        try:
            return self._look_at_spool()
        except OSError:  # the next look of `follow` has it, too, and ends all streams
            return False

    def _look_at_spool(self) -> bool:
        readable = min(os.fstat(self.file.fd).st_size, self.size)
        if readable <= self.readable:
            return False
        self.readable = readable
        self._grew_at = asyncio.get_running_loop().time()
        self._tell()
        return True

    async def _look_at_folder(self, now: float) -> None:
        if self._is_committed():
            return
        if self._fill.is_proven(self._epoch):
            self._finish(self.file, os.fstat(self.file.fd).st_size)
            return
        started = self._fill.started()
        if started is not None and started.epoch != self._epoch:
            self._switch(started, now)
        elif not self._parts.claims.is_held(self._fill.folder):
            await self._look_for_holder(now)
        else:
            self._failure_heard = False  # somebody else's: this fill goes on
        self.failed = self.failed or now - self._grew_at > STALLED

    def _is_committed(self) -> bool:
        blob = self._parts.blobs.open(self._job.digest)
        if blob is not None:
            self._finish(blob, blob.size)
        return blob is not None

    def _finish(self, blob: OpenBlob, size: int) -> None:
        if size == self.size:
            self.blob = blob
        else:  # not the size that was promised: what was sent cannot be made right
            self.failed = True
        self._tell()

    def _switch(self, started: Started, now: float) -> None:
        file = open_spool(started)
        if file is None:  # gone since: the next look will find what it became
            return
        self.file, self._epoch, self.readable = file, started.epoch, 0
        self._is_asked_for = False  # by whoever began anew
        self._grew_at = now
        self._look_at_spool()

    async def _look_for_holder(self, now: float) -> None:
        if self._failure_heard:
            # Who commits lets go after that, and may have done both since the blob was looked for.
            if not self._is_committed():
                self.failed = True
            self._tell()
        elif now - max(self._grew_at, self._reminded_at) > _ABANDONED:
            self._reminded_at = now
            await self._parts.desk.remind(self._job)

    def _tell(self) -> None:
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()


def open_spool(started: Started) -> OpenBlob | None:
    """The spool, open; its size is that of the whole blob to come. None when it is gone."""
    try:
        fd = os.open(started.spool, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    return OpenBlob(fd, started.size or 0)


class Tails:
    """The tails of one process."""

    def __init__(self, parts: Parts) -> None:
        """Start with none."""
        self._parts = parts
        self._tails: dict[Digest, tuple[Tail, asyncio.Task[None]]] = {}

    def find(self, job: FetchBlob) -> Tail | None:
        """The tail of the fill `job` asks for, when its bytes may be given to its repository.

        That takes that the upstream has said the repository has the blob, and how large it is. An
        empty blob is not tailed: its whole answer is its size, which nobody has verified yet.
        """
        fill = Fill(self._parts.layout, job.digest)
        if not fill.admits(job.source.stored):
            return None
        known = self._tails.get(job.digest)
        if known is not None and not known[0].ended:
            known[0].keep()
            return known[0]
        started = fill.started()
        if started is None or not started.size:
            return None
        file = open_spool(started)
        return None if file is None else self._follow(job, started, file)

    def waiting(self) -> Counter[str]:
        """How many responses follow a digest; on any thread."""
        followed = list(self._tails.items())
        return Counter({digest: tail.streams for digest, (tail, _) in followed})

    def _follow(self, job: FetchBlob, started: Started, file: OpenBlob) -> Tail:
        tail = Tail(self._parts, job, started.size or 0, started.epoch, file)
        task = asyncio.create_task(tail.follow())
        self._tails[job.digest] = (tail, task)

        def forget(_task: asyncio.Task[None]) -> None:
            if self._tails.get(job.digest, (None,))[0] is tail:
                del self._tails[job.digest]

        task.add_done_callback(forget)
        return tail
