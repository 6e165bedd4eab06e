"""wrk, the load generator that Debian has."""

import re
import subprocess
from dataclasses import dataclass

from common import mediatypes

_REQUESTS = re.compile(r"(\d+) requests in ([\d.]+)(ms|s|m)")
_PERCENTILES = ("50", "99")
_LATENCY = re.compile(rf"^\s+({'|'.join(_PERCENTILES)})%\s+([\d.]+)(us|ms|s|m) *$", re.MULTILINE)
_FAILED = re.compile(r"^\s*(Non-2xx.*|Socket errors:.*)$", re.MULTILINE)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_MOST_THREADS = 2
_LONGEST_SECONDS = 60.0
# docker-registry has no OCI manifest for a client that does not say it takes one.
_ACCEPT = f"Accept: {mediatypes.OCI_MANIFEST}, */*"


@dataclass(frozen=True)
class Load:
    """What came of it. Latencies in seconds."""

    requests: int
    seconds: float
    median: float
    tail: float
    """The 99th percentile."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def run(port: int, path: str, *, seconds: float, connections: int = 16) -> Load:
    """Ask again and again for `path` over so many connections, for longer when not one answer comes
    in that time. RuntimeError at any failure.
    """
    threads = min(_MOST_THREADS, connections)
    # It takes whole units only.
    duration = f"{max(1, round(seconds))}s"
    url = f"http://127.0.0.1:{port}{path}"
    done = subprocess.run(
        [
            "wrk",
            f"-t{threads}",
            f"-c{connections}",
            f"-d{duration}",
            "--latency",
            # A machine that stands still for a while is slow, not wrong.
            "--timeout",
            "20s",
            "-H",
            _ACCEPT,
            url,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    counted = _REQUESTS.search(done.stdout)
    failed = _FAILED.search(done.stdout)
    latency = {
        percent: float(value) * _SECONDS[unit]
        for percent, value, unit in _LATENCY.findall(done.stdout)
    }
    if done.returncode or counted is None or failed or len(latency) < len(_PERCENTILES):
        raise RuntimeError(f"{url}: {done.stdout}{done.stderr}")
    if counted[1] == "0" and seconds < _LONGEST_SECONDS:
        return run(port, path, seconds=4 * max(1, seconds), connections=connections)
    return Load(
        requests=int(counted[1]),
        seconds=float(counted[2]) * _SECONDS[counted[3]],
        median=latency["50"],
        tail=latency["99"],
    )
