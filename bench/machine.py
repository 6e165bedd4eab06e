"""What a benchmark ran on."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PROGRAMS = {
    "docker-registry": ("docker-registry", "--version"),
    "nginx": ("nginx", "-v"),
    "wrk": ("wrk", "-v"),
    "haproxy": ("haproxy", "-v"),
}


@dataclass(frozen=True)
class Machine:
    """`load` is the one-minute average before the run: above a few tenths, others were at work."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    load: float
    programs: dict[str, str]

    def lines(self) -> list[str]:
        """In words."""
        programs = "; ".join(f"{name}: {said}" for name, said in self.programs.items())
        return [
            f"{self.cores} cores of {self.cpu}, {self.memory_gib:.0f} GiB of memory, {self.kernel}",
            f"Python {self.python}; {programs}",
            f"load before the run: {self.load:.2f}",
        ]


def look() -> Machine:
    """The machine as it is now."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=pages / 2**30,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load=os.getloadavg()[0],
        programs={name: _version(command) for name, command in _PROGRAMS.items()},
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "not installed"
    said = (done.stdout + done.stderr).strip().splitlines()
    return next((word for word in said[0].split() if any(map(str.isdigit, word))), "?")
