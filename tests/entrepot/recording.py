"""A program: records `entrepot warm` on a terminal, against a cache with a slow upstream.

    python -m tests.entrepot.recording docs/assets

writes `warm.cast` (asciicast v2, for asciinema's player), and as pictures `warm-under-way.svg`
and `warm.svg`, the last screen.
"""

import sys
import tempfile
from pathlib import Path

from tests.parts.counting import Upstream
from tests.parts.faults import Throttle
from tests.parts.images import Layout, random_layer
from tests.parts.terminal import Screen, Session
from tests.system.cluster import cluster

_COLUMNS, _ROWS = 100, 14
_SIZES = (40_000, 2_000_000, 6_000_000, 9_000_000)
_BYTES_PER_SECOND = 700_000
_COMMAND = ["entrepot", "warm", "alpine:3.20", "nginx:1"]


def record(folder: Path, into: Path) -> None:
    """Run it once in `folder`, and write the two files."""
    layout = Layout(folder / "image")
    layout.add_image("alpine", [random_layer(3_500_000, seed=1)])
    layout.add_image("nginx", [random_layer(size, seed=size) for size in _SIZES])
    with Upstream() as upstream:
        layout.put_into(upstream.content, "alpine", "library/alpine", as_tag="3.20")
        layout.put_into(upstream.content, "nginx", "library/nginx", as_tag="1")
        upstream.fail("*/blobs/*", Throttle(_BYTES_PER_SECOND))
        roles = ("frontend", "fetcher", "janitor")
        prefetch = {"prefetch": False}  # so that the layers come as they are asked for
        with cluster(folder / "cache", upstream.url, None, *roles, fetcher=prefetch) as running:
            _record(str(running.file), into)


def _record(config: str, into: Path) -> None:
    argv = [f".venv/bin/{_COMMAND[0]}", *_COMMAND[1:]]
    environment = {"REGISTRY_CONFIGURATION_PATH": config}
    with Session(argv, columns=_COLUMNS, rows=_ROWS, env=environment) as session:
        session.events.insert(0, (0.0, f"$ {' '.join(_COMMAND)}\r\n"))
        assert session.exit_code(120) == 0, session.output()
    into.mkdir(parents=True, exist_ok=True)
    (into / "warm.cast").write_text(session.asciicast("entrepot warm"))
    (into / "warm.svg").write_text(session.screen().svg(_COLUMNS))
    (into / "warm-under-way.svg").write_text(_busiest(session).svg(_COLUMNS))


def _busiest(session: Session) -> Screen:
    """The latest screen with the most bars on it."""
    screens = [session.screen(upto) for upto in range(1, len(session.events) + 1)]
    return max(enumerate(screens), key=lambda each: (_bars(each[1]), each[0]))[1]


def _bars(screen: Screen) -> int:
    return sum("[=" in line for line in screen.lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        record(Path(temporary), Path(sys.argv[1]))
