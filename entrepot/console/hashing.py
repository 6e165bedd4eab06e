"""Blobs read again and compared with their digests, one request after the other, in the background.

The reading is the janitor's (janitor.examine), as in `entrepot verify`: what is damaged is put
aside, and the next pull fetches it anew.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from common import logs
from common.blobstore import FileBlobStore
from common.digest import Digest
from common.paths import Layout
from entrepot.verify import problem_with
from janitor.examine import Bandwidth, Examiner

_log = logs.get(__name__)

# Bytes a second: an image within seconds or minutes, and the disk is others' too.
_BANDWIDTH = 100_000_000
MOST_WAITING = 8
_MOST_KEPT = 10
_MOST_FINDINGS = 100


class _Stopped(Exception):
    """Somebody does not want to know any more."""


@dataclass(slots=True)
class Job:
    """One request; `findings` are problems in words, by digest. Sizes in bytes.

    Who `is_to_stop` may have read everything by then; who `is_stopped` has not.
    """

    number: int
    target: str
    digests: tuple[Digest, ...]
    who: str
    size: int = 0
    read: int = 0
    looked_at: int = 0
    findings: dict[Digest, str] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None
    is_to_stop: bool = False
    is_stopped: bool = False


class Hashing:
    """The jobs of one process, and the thread that does them."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        blobs = FileBlobStore(layout)
        self._examiner = Examiner(layout, blobs, Bandwidth(_BANDWIDTH, time.sleep))
        self._waiting: deque[Job] = deque()
        self._kept: deque[Job] = deque(maxlen=_MOST_KEPT)
        self._running: Job | None = None
        self._number = 0
        self._news = threading.Condition()
        threading.Thread(target=self._run, name="hashing", daemon=True).start()

    def jobs(self) -> list[Job]:
        """Those that wait, the one that runs, those that have ended: the youngest first."""
        with self._news:
            running = [self._running] if self._running else []
            return [*reversed(self._waiting), *running, *reversed(self._kept)]

    def add(self, target: str, digests: Iterable[Digest], who: str) -> bool:
        """Have these looked at; whether there was room for one more job."""
        with self._news:
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._number += 1
            self._waiting.append(Job(self._number, target, tuple(digests), who))
            self._news.notify()
        return True

    def stop(self, number: int) -> bool:
        """End a job that waits or runs; whether there was one."""
        found = [job for job in self.jobs() if job.number == number and job.ended is None]
        for job in found:
            job.is_to_stop = True
        return bool(found)

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: bool(self._waiting))
                job = self._running = self._waiting.popleft()
            try:
                self._do(job)
            except _Stopped:
                job.is_stopped = True
            except Exception:  # noqa: BLE001 - one that failed must not end those that follow
                _log.exception("blobs could not be verified", target=job.target)
                job.is_stopped = True
            job.ended = time.time()
            with self._news:
                self._running = None
                self._kept.append(job)

    def _do(self, job: Job) -> None:
        job.began = time.time()
        for digest in job.digests:
            with suppress(OSError):
                job.size += os.stat(self._layout.blob(digest)).st_size

        def step(count: int) -> None:
            job.read += count
            if job.is_to_stop:
                raise _Stopped

        for digest in job.digests:
            step(0)
            problem = problem_with(self._layout, digest, self._examiner.examine(digest, step))
            job.looked_at += 1
            if problem and len(job.findings) < _MOST_FINDINGS:
                # Replaced, not added to: pages go through them meanwhile, on other threads.
                job.findings = {**job.findings, digest: problem}
        _log.info("verified at the console", target=job.target, damaged=len(job.findings))
