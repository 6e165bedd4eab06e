"""The fetcher process."""

import os
import signal
import socket
from contextlib import ExitStack
from threading import Event, Timer

from setproctitle import setproctitle

from common import logs, proxies, tracing
from common.broker.opening import open_broker
from common.claims import Claims
from common.config import Config
from common.config import Upstream as UpstreamConfig
from common.config.model import Fetcher as FetcherConfig
from common.debug import Probes, open_listener
from common.errors import ConfigError, ConfigProblem
from common.insight.processes import Presence
from common.messages import Queue
from common.metrics.metering import Metering
from common.metrics.queues import QueueWatch
from common.paths import Layout
from common.rules import Rules
from common.version import VERSION
from fetcher.ahead import Ahead, memory
from fetcher.allotment import Allotment
from fetcher.announcer import Announcer
from fetcher.heap import keep_chunks
from fetcher.jobs import Jobs
from fetcher.leases import Leases
from fetcher.prefetch import Room
from fetcher.rest import Rest
from fetcher.shares import Shares
from fetcher.storage import open_storage
from fetcher.upstream import Upstream, UpstreamSettings
from fetcher.upstreams import Configured, Upstreams
from fetcher.worker import Worker

log = logs.get(__name__)

TITLE = "entrepot: fetcher"

_SIGNALS = {signal.SIGTERM, signal.SIGINT}

# Of the time to drain, what is kept for fills that do not end within it to stop in good order.
_STOPPING_SHARE = 0.1
_STOPPING_AT_MOST = 2.0


def run(config: Config) -> int:
    """Fetch until SIGTERM or SIGINT, then drain; the exit status.

    A second signal ends the process at once.
    """
    # Blocked before there are threads, which inherit it, and waited for: no handler has to work
    # in whatever state it interrupts.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    logs.set_up(config.log.level, config.log.formatter, **config.log.fields)
    setproctitle(TITLE)
    if ignored := proxies.named(os.environ):
        log.warning("upstreams are connected to directly, not by a proxy", variables=ignored)
    keep_chunks()
    debug = open_listener(config)
    with ExitStack() as stack:
        _serve(config, debug, stack)
    log.info("fetcher ended")
    return 0


def _serve(config: Config, debug: socket.socket | None, stack: ExitStack) -> None:
    # Before the first job.
    logs.also(trace_id=tracing.current_id)
    tracing.set_up("fetcher")
    stack.callback(tracing.shut_down)
    stopping = Event()
    storage = open_storage(config.storage.rootdirectory)
    leases = Leases(Claims(storage.layout, config.fetcher.lease))
    stack.callback(leases.close)
    upstreams = Upstreams(_configured(config, storage.layout, stack))
    broker = open_broker(config.queue.url, name=TITLE)
    announcer = Announcer(broker, upstreams)
    jobs = Jobs(
        storage,
        leases,
        upstreams,
        announcer,
        attempts=config.fetcher.attempts,
        stopping=stopping,
        room=Room(storage.layout.root, config.janitor.maxsize, config.janitor.minfree),
        allotment=Allotment(
            config.janitor.maxsize, lambda: leases.is_held(storage.layout.limit_claim)
        ),
        # With one slot alone what nobody waits for would stand in the way of everything.
        prefetch=config.fetcher.prefetch and config.fetcher.slots > 1,
    )
    worker = Worker(jobs, storage, leases, announcer)
    probes = Probes(config, debug, writes=True)
    stack.callback(probes.stop)
    if config.maintenance.readonly.enabled:
        log.warning("read-only for maintenance: nothing is fetched")
    else:
        slots = config.fetcher.slots
        in_turn = Shares(slots, config.proxy.upstreams).among(worker.handle)
        broker.consume([Queue.INTERACTIVE, Queue.PREFETCH], slots, in_turn, reserved=slots // 2)
    metering = Metering(config, "fetcher")
    stack.callback(metering.close)
    metering.start(broker, upstreams.tell_metrics)
    queue_watch = QueueWatch(broker)
    if metering.enabled:
        queue_watch.start()
    probes.start(broker, needs_broker=True, pages=metering.pages)
    presence = Presence(storage.layout, "fetcher")
    stack.callback(presence.end)
    if not config.maintenance.readonly.enabled:
        presence.begin()
    log.info("fetcher fetches", slots=config.fetcher.slots, upstreams=len(config.proxy.upstreams))

    received = signal.sigwait(_SIGNALS)
    probes.readiness.drain()
    log.info("fetcher drains", signal=signal.Signals(received).name)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    drain = config.http.draintimeout
    timer = Timer(drain - min(_STOPPING_AT_MOST, drain * _STOPPING_SHARE), stopping.set)
    timer.daemon = True
    timer.start()
    queue_watch.close()
    broker.close(drain)
    timer.cancel()
    # Whatever still runs, in a read that brings nothing, must not commit unseen from here on.
    stopping.set()


def _configured(config: Config, layout: Layout, stack: ExitStack) -> dict[str, Configured]:
    configured: dict[str, Configured] = {}
    ahead = Ahead(memory(config.fetcher.segments, config.fetcher.segmentsize))
    for name, described in config.proxy.upstreams.items():
        upstream = _connect(described, config.fetcher, layout, ahead)
        stack.callback(upstream.close)
        rules = Rules(described.allow, described.deny)
        configured[name] = Configured(upstream, described.ttl, rules)
    return configured


def _connect(
    described: UpstreamConfig, fetcher: FetcherConfig, layout: Layout, ahead: Ahead
) -> Upstream:
    settings = _settings(described, fetcher)
    rest = Rest(settings.shown, layout.upstream(described.name), temporary=layout.temporary)
    try:
        return Upstream(settings, rest, ahead)
    except (OSError, ValueError) as error:
        name = f"proxy, upstream {described.name or 'default'}"
        expected = (
            "expected an address, and a cafile, usernamefile and passwordfile that can be read:"
            f" {error}"
        )
        raise ConfigError([ConfigProblem("configuration", name, expected)]) from error


def _settings(described: UpstreamConfig, fetcher: FetcherConfig) -> UpstreamSettings:
    return UpstreamSettings(
        name=described.name,
        remoteurl=described.remoteurl,
        username=described.username,
        password=described.password.reveal(),
        usernamefile=described.usernamefile,
        passwordfile=described.passwordfile,
        helper=described.exec.command,
        helper_lifetime=described.exec.lifetime,
        realmhosts=described.realmhosts,
        redirecthosts=described.redirecthosts,
        insecure=described.insecure,
        cafile=described.cafile,
        connect_timeout=fetcher.connecttimeout,
        read_timeout=fetcher.readtimeout,
        min_throughput=fetcher.minthroughput,
        throughput_window=fetcher.throughputwindow,
        user_agent=f"entrepot/{VERSION}",
        pool_size=min(fetcher.slots + fetcher.segments, described.maxconnections),
        max_connections=described.maxconnections,
        bandwidth=described.bandwidth,
        segments=fetcher.segments if fetcher.segmentsize else 1,
        segment_size=fetcher.segmentsize,
    )
