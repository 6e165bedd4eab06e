"""More and more frontends and fetchers, as on several machines: HAProxy before, RabbitMQ between.

All of them share this one machine's processors, so what is seen is what sharing costs, not what
more machines would give.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import parties, wrk
from bench.effort import Effort
from bench.figures import ENTREPOT, Figure, Growth
from bench.parties import Party
from bench.row import Spent
from bench.rows.small_images import SmallImages
from bench.stage import Stage, stage
from tests.parts import rabbit_choice
from tests.parts.process import Process, free_port
from tests.parts.rabbit import Rabbit

_COUNTS = (1, 2, 3, 4)
_CONNECTIONS = 16
_HAPROXY = Path("deploy/haproxy.cfg")


@dataclass(frozen=True)
class Fleet:
    """So many of each role, every frontend with one worker."""

    frontends: int
    fetchers: int


def grow(effort: Effort, folder: Path) -> Iterator[Growth]:
    """Hits over frontends, then cold images over fetchers."""
    broker, _ = rabbit_choice.choose(folder / "rabbit")
    try:
        yield _frontends(effort, folder, broker)
        yield _fetchers(effort, folder, broker)
    finally:
        broker.close()


def _frontends(effort: Effort, folder: Path, broker: Rabbit) -> Growth:
    growth = Growth(
        "frontends",
        "a cached manifest by digest through HAProxy, over more and more frontends",
        "frontends",
        (
            Figure("rate", "requests", "/s", more_is_better=True),
            Figure("cpu", "CPU a request, frontends", "µs"),
            Figure("tail", "99th percentile", "ms", 1),
        ),
    )
    for count in effort.steps(_COUNTS):
        with _fleet(folder, broker, Fleet(count, 1)) as (running, party):
            image = running.goods.image(1024)
            running.check(party, image.by_digest, image.digest)
            spent = Spent(party)
            load = wrk.run(
                party.port, image.by_digest, seconds=effort.seconds, connections=_CONNECTIONS
            )
            figures = {
                "rate": load.rate,
                "cpu": spent.cpu() / load.requests * 1e6,
                "tail": load.tail * 1e3,
            }
            growth.points.append((count, figures))
    return growth


def _fetchers(effort: Effort, folder: Path, broker: Rabbit) -> Growth:
    row = SmallImages(effort)
    growth = Growth(
        "fetchers", f"{row.title}, over more and more fetchers", "fetchers", row.figures
    )
    for count in effort.steps(_COUNTS):
        with _fleet(folder, broker, Fleet(2, count)) as (running, party):
            # The first pull of a fleet connects everybody to everything.
            image = running.goods.image(1024)
            running.check(party, image.by_digest, image.digest)
            growth.points.append((count, row.measure(running, party)))
    return growth


@contextmanager
def _fleet(folder: Path, broker: Rabbit, fleet: Fleet) -> Iterator[tuple[Stage, Party]]:
    """A stage, and the fleet as one party whose address is HAProxy's."""
    with ExitStack() as stack:
        running = stack.enter_context(stage(folder, []))
        url = stack.enter_context(broker.fresh_vhost())
        remote = f"http://127.0.0.1:{running.parties['direct'].port}"
        processes: list[Process] = []
        stack.callback(lambda: [process.terminate() for process in processes])
        ports = [free_port() for _ in range(fleet.frontends)]
        for number, port in enumerate(ports):
            file = parties.configure(
                running.folder,
                f"frontend{number}",
                port,
                remote,
                frontend={"workers": 1},
                queue={"url": url},
            )
            # All start at once; who is late is waited for below.
            processes.append(parties.role("frontend", file, None))
        processes.extend(parties.role("fetcher", file, None) for _ in range(fleet.fetchers))
        for process, port in zip(processes, ports, strict=False):
            process.until_listening(port, 60)
        balancer = _haproxy(running.folder, ports)
        stack.callback(balancer.kill)
        port = int(balancer.log.stem)
        yield running, Party(ENTREPOT, port, tuple(processes))


def _haproxy(folder: Path, ports: list[int]) -> Process:
    """HAProxy with the ways of deploy/haproxy.cfg, but these frontends in place of those that a
    resolver would find; its log is called by its port.
    """
    if not shutil.which("haproxy"):
        raise parties.Missing("not installed: haproxy")
    port = free_port()
    ways, found, _ = _HAPROXY.read_text().partition("\nresolvers ")
    if not found:
        raise ValueError(f"{_HAPROXY} is not as it was: no section of resolvers")
    lines = [
        "frontend pulls",
        f"    bind 127.0.0.1:{port}",
        "    default_backend frontends",
        "backend frontends",
        "    balance leastconn",
        *(f"    server frontend{each} 127.0.0.1:{each}" for each in ports),
    ]
    file = folder / "haproxy.cfg"
    file.write_text("\n".join([ways, *lines, ""]))
    process = Process(["haproxy", "-db", "-f", str(file)], log=folder / f"{port}.log")
    process.until_listening(port)
    return process
