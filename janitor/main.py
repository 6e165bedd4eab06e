"""The janitor's process."""

import signal

from setproctitle import setproctitle

from common import logs
from common.broker.opening import open_broker
from common.config import Config
from common.debug import Probes, open_listener
from common.insight.processes import Presence
from common.metrics.metering import Metering
from common.metrics.queues import QueueWatch
from common.paths import Layout
from janitor.holdings import StorageWatch
from janitor.limit import Limits
from janitor.worker import Janitor

_TITLE = "entrepot: janitor"
_ENDING = {signal.SIGTERM, signal.SIGINT}

_log = logs.get(__name__)


def run(config: Config) -> int:
    """Work until SIGTERM or SIGINT, then drain; the exit status.

    A second signal ends the process at once.
    """
    # Blocked before any thread is there: all of them inherit it, and the signal waits for sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    logs.set_up(config.log.level, config.log.formatter, **config.log.fields)
    setproctitle(_TITLE)
    debug = open_listener(config)
    broker = open_broker(config.queue.url, name=_TITLE)
    probes = Probes(config, debug, writes=True)
    janitor = Janitor(
        config.storage.rootdirectory,
        broker,
        ttls={name: upstream.ttl for name, upstream in config.proxy.upstreams.items()},
        grace=config.janitor.grace,
        sweep_interval=config.janitor.sweepinterval,
        lease=config.fetcher.lease,
        limits=Limits(
            config.janitor.maxsize, config.janitor.minfree, config.janitor.lowwater / 100
        ),
        purging=config.maintenance.uploadpurging,
        scrub_interval=config.janitor.scrubinterval,
        scrub_rate=config.janitor.scrubrate,
    )
    if config.maintenance.readonly.enabled:
        _log.warning("read-only for maintenance: nothing is removed")
    else:
        janitor.start()
    metering = Metering(config, "janitor")
    watch, queue_watch = StorageWatch(config), QueueWatch(broker)
    metering.start(broker)
    if metering.enabled:
        queue_watch.start()
        watch.start()
    probes.start(broker, needs_broker=True, pages=metering.pages)
    presence = Presence(Layout(config.storage.rootdirectory), "janitor")
    if not config.maintenance.readonly.enabled:
        presence.begin()
    _log.info("janitor started")
    received = signal.Signals(signal.sigwait(_ENDING))
    probes.readiness.drain()
    _log.info("janitor drains", signal=received.name)
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    queue_watch.close()
    janitor.stop(config.http.draintimeout)
    presence.end()
    watch.close()
    metering.close()
    probes.stop()
    _log.info("janitor ended")
    return 0
