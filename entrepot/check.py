"""`entrepot check`: what is wrong with a configuration, what is doubtful, and what it comes to."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from common import proxies
from common.config import load, show
from common.errors import ConfigError
from entrepot.advice import advise
from entrepot.defaults import packaged
from entrepot.hints import hints
from frontend import entrance

FINE = 0
"""Exit status: the configuration can be used, warned about or not."""
UNUSABLE = 2
"""Exit status: it cannot."""

_MOUNTS = Path("/proc/self/mountinfo")


def check(path: str | None, environ: Mapping[str, str]) -> int:
    """Problems, warnings and advice to standard error, the effective configuration to standard output.

    Returns the exit status. Needs no network, and changes nothing.
    """
    try:
        loaded = load(path, environ, packaged())
        entrance.verify(loaded.config)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return UNUSABLE
    direct = [
        f"{name}: not used: upstreams are connected to directly" for name in proxies.named(environ)
    ]
    for warning in (*loaded.warnings, *direct, *advise(loaded.config, _mounts())):
        print(f"warning: {warning}", file=sys.stderr)
    file = path or environ.get("REGISTRY_CONFIGURATION_PATH")
    cores = len(os.sched_getaffinity(0))
    for hint in hints(loaded.config, environ, cores=cores, path=file):
        print(f"advice: {hint}", file=sys.stderr)
    print(show(loaded.config), end="")
    return FINE


def _mounts() -> str:
    try:
        return _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
