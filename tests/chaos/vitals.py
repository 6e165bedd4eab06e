"""Memory and open files of the processes that live through the whole run."""

import os
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass

from tests.chaos.fleet import Member

_KIB = 1024


@dataclass(frozen=True)
class Sample:
    """A member's processes together, at a moment of the monotonic clock."""

    at: float
    rss: int
    files: int
    processes: int


class Vitals:
    """Samples of all spared members."""

    def __init__(self, members: list[Member]) -> None:
        self._members = [each for each in members if each.is_spared]
        self.samples: dict[str, list[Sample]] = {each.name: [] for each in self._members}

    @property
    def begun(self) -> bool:
        """Whether anything has been sampled."""
        return any(self.samples.values())

    def sample(self) -> None:
        """Look at all of them."""
        for member in self._members:
            with suppress(OSError):
                self.samples[member.name].append(_look(member.pids()))

    def growth(self, name: str) -> tuple[int, int]:
        """Bytes of memory: the median of the run's second quarter, and of its last."""
        samples = self.samples[name]
        quarter = max(1, len(samples) // 4)
        early = statistics.median(each.rss for each in samples[quarter : 2 * quarter])
        return int(early), int(statistics.median(each.rss for each in samples[-quarter:]))

    def files(self, name: str) -> tuple[int, int, int]:
        """Open files: the median of the run's second quarter, the most, and the last count."""
        samples = self.samples[name]
        quarter = max(1, len(samples) // 4)
        early = statistics.median(each.files for each in samples[quarter : 2 * quarter])
        return int(early), max(each.files for each in samples), samples[-1].files

    def course(self, name: str, points: int = 30) -> list[tuple[int, int, int]]:
        """Seconds since the first sample, megabytes, open files: every so often."""
        samples = self.samples[name]
        step = max(1, len(samples) // points)
        return [
            (int(each.at - samples[0].at), each.rss // 1_000_000, each.files)
            for each in samples[::step]
        ]


def _look(pids: list[int]) -> Sample:
    rss = files = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as status:
            # Of one that has ended, and is not waited for yet, there is no such line.
            line = next((each for each in status if each.startswith("VmRSS")), "VmRSS: 0 kB")
        rss += int(line.split()[1]) * _KIB
        files += len(os.listdir(f"/proc/{pid}/fd"))
    return Sample(time.monotonic(), rss, files, len(pids))
