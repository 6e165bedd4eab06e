"""The frontend's processes: gunicorn's master and its workers."""

import asyncio
import math
import os
import socket
from collections.abc import Callable
from typing import Any

import gunicorn.util
import setproctitle
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from common import logs
from common.blobstore import FileBlobStore
from common.broker import Broker
from common.broker.opening import open_broker
from common.claims import Claims
from common.config import Config
from common.config.withholding import without_credentials
from common.debug import open_listener
from common.filesystem import is_local
from common.links import Links, mark_interval
from common.metrics.folders import counted_together
from common.paths import Layout
from common.referrers import ReferrerLists
from common.rules import Rules
from common.tags import TagLists, Tags
from frontend import entrance
from frontend.ahead import Ahead
from frontend.app import create_app
from frontend.auth.opening import open_scheme
from frontend.callers import SCOPE, Callers
from frontend.contents import Contents
from frontend.desk import Desk
from frontend.limits import Limits
from frontend.memory import Refusals
from frontend.naming import naming
from frontend.operations import Operations
from frontend.readonly import ReadOnlyDesk, ReadOnlyTails
from frontend.services import Services, Terms
from frontend.tails import Parts, Tails
from frontend.tls import ServerTls
from frontend.worker import ENDING_SECONDS, Master

TITLE = "entrepot: frontend"

_log = logs.get(__name__)


def build_services(config: Config, broker: Broker) -> Services:
    """What the resources of one worker work with."""
    layout = Layout(config.storage.rootdirectory)
    upstreams = config.proxy.upstreams
    blobs, claims = FileBlobStore(layout), Claims(layout, config.fetcher.lease)
    readonly = config.maintenance.readonly.enabled
    desk = (ReadOnlyDesk if readonly else Desk)(broker, _limits(config))
    tails = (ReadOnlyTails if readonly else Tails)(Parts(layout, blobs, claims, desk))
    return Services(
        naming=naming(
            {name: upstream.remoteurl for name, upstream in upstreams.items()},
            {name: Rules(upstream.allow, upstream.deny) for name, upstream in upstreams.items()},
            {name: upstream.namespaces for name, upstream in upstreams.items()},
        ),
        terms={
            name: Terms(
                tagttl=upstream.tagttl,
                # Marking a use is writing, too.
                mark_interval=math.inf
                if readonly
                else mark_interval(
                    upstream.ttl,
                    is_limited=config.janitor.is_limited,
                    is_local=is_local(layout.root),
                ),
            )
            for name, upstream in upstreams.items()
        },
        layout=layout,
        blobs=blobs,
        contents=Contents(blobs, layout),
        links=Links(layout),
        tags=Tags(layout),
        tag_lists=TagLists(layout),
        referrer_lists=ReferrerLists(layout),
        claims=claims,
        broker=broker,
        desk=desk,
        ahead=Ahead(broker, enabled=config.fetcher.prefetch and not readonly),
        tails=tails,
        refusals=Refusals(),
    )


def _limits(config: Config) -> Limits:
    frontend = config.frontend
    return Limits(
        Callers(config.http.trustedproxies),
        # Of the connections, a quarter is always left for hits.
        places=frontend.maxwaiters or max(1, frontend.connections * 3 // 4),
        jobs_per_client=frontend.missesperclient,
    )


async def _no_body() -> dict[str, Any]:
    """The ASGI receive of every request. Nobody here reads a body, so none has to have come."""
    return {"type": "http.request", "body": b"", "more_body": False}


class _Application:
    """The ASGI application, made when its worker's loop runs: broker and desk belong to that process."""

    def __init__(self, config: Config, tls: ServerTls | None, debug: socket.socket | None) -> None:
        self._config = config
        self._tls = tls
        self._debug = debug
        self._operations: Operations | None = None
        self._services: Services | None = None
        self._app: Any = None
        self.at_once: Callable[[bytes], tuple[bytes, bytes] | None] | None = None
        """Lane.at_once, where nobody is to see requests go by (frontend.worker)."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            SCOPE.set(scope)
            await self._app(scope, _no_body, send)

    async def _live(self, receive: Any, send: Any) -> None:
        """The ASGI lifespan protocol: build at startup, close at shutdown."""
        await receive()
        services = self._start()
        renewal = None if self._tls is None else asyncio.create_task(self._tls.stay_current())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if renewal is not None:
            renewal.cancel()
        if self._operations is not None:
            await asyncio.to_thread(self._operations.close)
        services.claims.close()
        await asyncio.to_thread(services.broker.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> Services:
        config = self._config
        services = build_services(config, open_broker(config.queue.url, name=TITLE))
        services.desk.open()
        self._operations = Operations(config, services, self._debug)
        app = create_app(
            services,
            patience=config.frontend.patience,
            maxtags=config.tags.maxtags,
            maxentries=config.catalog.maxentries,
            prefix=config.http.prefix,
            address="" if config.http.relativeurls else config.http.host,
            scheme=open_scheme(config),
            headers=[
                (name, value) for name, values in config.http.headers.items() for value in values
            ],
        )
        self._app = self._operations.around(app)
        self.at_once = getattr(self._app, "at_once", None)
        self._operations.start()
        return services

    def drain(self) -> None:
        """Called when the worker has been told to end, before it waits for what runs."""
        if self._operations is not None:
            self._operations.drain()


class _Logger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's log, through ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(self, config: Config, debug: socket.socket | None) -> None:
        self._config = config
        self._debug = debug
        # Before any worker is there: each would fail on its own, and be replaced for ever.
        self._tls = ServerTls(config.http.tls) if config.http.tls.certificate else None
        super().__init__()

    def load_config(self) -> None:
        for name, value in settings(self._config, self._tls).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return _Application(self._config, self._tls, self._debug)

    def run(self) -> None:
        Master(self).run()


def settings(config: Config, tls: ServerTls | None = None) -> dict[str, Any]:
    """gunicorn's settings for `config`."""
    return {
        **_encryption(config, tls),
        "bind": [_bind(config)],
        "worker_class": "frontend.worker.Worker",
        "workers": config.frontend.workers,
        "worker_connections": config.frontend.connections,
        # Newcomers that the kernel holds; by itself (net.core.somaxconn) it holds no more.
        "backlog": 4096,
        # gunicorn takes whatever is set for no.
        "sendfile": None if config.frontend.sendfile else False,
        # What the master waits before it kills; a worker has let go of its clients by then.
        "graceful_timeout": max(1, round(config.http.draintimeout)) + ENDING_SECONDS,
        # Clients open a connection per layer and come back within an image's pull.
        "keepalive": 15,
        # Seconds without a heartbeat of the loop: far more than any pause we know of.
        "timeout": 60,
        "asgi_disconnect_grace_period": 0,
        # By itself gunicorn takes a start that failed for an application that needs none, and serves it.
        "asgi_lifespan": "on",
        # Bearer tokens grow with their claims.
        "limit_request_field_size": 32768,
        "limit_request_line": 8190,
        "logger_class": _Logger,
        "loglevel": {"warn": "warning"}.get(config.log.level, config.log.level),
        "control_socket_disable": True,
    }


def _encryption(config: Config, tls: ServerTls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    return {
        # What makes gunicorn ask for a context at all; it is not from these that it is made.
        "certfile": config.http.tls.certificate,
        "keyfile": config.http.tls.key,
        "ssl_context": lambda _settings, _default: tls.context,
    }


def _bind(config: Config) -> str:
    if config.http.net == "unix":
        return f"unix:{config.http.addr}"
    host, port = config.http.listen
    if not host:  # all interfaces, IPv6's too where there is one, as distribution does
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def run(config: Config) -> int:
    """Serve until SIGTERM; the exit status. Raises ConfigError where a file cannot be used."""
    config = without_credentials(config)
    entrance.verify(config)
    # Ours for all of gunicorn's processes; it would name them after itself.
    gunicorn.util._setproctitle = lambda _title: None  # noqa: SLF001 - it offers no setting
    setproctitle.setproctitle(TITLE)
    os.makedirs(Layout(config.storage.rootdirectory).temporary, exist_ok=True)
    debug = open_listener(config)
    with counted_together(config) as config:
        try:
            _Gunicorn(config, debug).run()
        except SystemExit as exit_:
            return exit_.code if isinstance(exit_.code, int) else 1
    return 0
