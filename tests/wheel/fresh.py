"""An environment that has nothing but a wheel and what the wheel says that it needs.

Nothing is fetched: what it needs is linked, file by file, from the environment that runs the
tests. So what the wheel does not declare is missing here, as it would be for a user.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class Fresh:
    """A virtual environment in `folder`, with `wheel` installed."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self._folder = folder
        _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        self.pip("install", "--quiet", "--no-index", "--no-deps", str(wheel))
        self.packages = next(folder.glob("lib/python3*/site-packages"))
        (installed,) = self.packages.glob("entrepot-*.dist-info")
        for needed in _needed(PathDistribution(installed), set(), {"entrepot"}):
            _link(needed, self.packages)

    def program(self, name: str) -> str:
        """The path of a program in it."""
        return str(self._folder / "bin" / name)

    def pip(self, *arguments: str) -> str:
        """What this environment's pip says when it works on the fresh one."""
        python = self.program("python")
        return _run(sys.executable, "-m", "pip", "--isolated", "--python", python, *arguments)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _needed(distribution: Distribution, extras: set[str], seen: set[str]) -> Iterator[Distribution]:
    for text in distribution.requires or []:
        requirement = Requirement(text)
        asked = [{"extra": extra} for extra in extras or {""}]
        marker = requirement.marker
        if marker is not None and not any(marker.evaluate(each) for each in asked):
            continue
        name = canonicalize_name(requirement.name)
        if name not in seen:
            seen.add(name)
            found = Distribution.from_name(requirement.name)
            yield found
            yield from _needed(found, requirement.extras, seen)


def _link(distribution: Distribution, into: Path) -> None:
    """Its packages and modules, and what tells of it; not its programs, which are above them."""
    tops = {Path(str(file)).parts[0] for file in distribution.files or []}
    for top in sorted(tops - {"..", "__pycache__"}):
        there = into / top
        if not there.exists():
            there.symlink_to(Path(str(distribution.locate_file(top))))
