"""A configuration as the processes use it: frozen, typed, in seconds and bytes.

Each model is a section of the file; its fields are the section's keys, read by the shape given.
docs/configuration.md says the same for users.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from common.config import leaves
from common.config.auth import Auth
from common.config.health import Health
from common.config.maintenance import Maintenance
from common.config.notifications import Notifications
from common.config.secret import MASK, Secret
from common.config.shapes import (
    ListOf,
    TableOf,
    section,
    setting,
    shaped,
)
from common.config.tls import SECTION as TLS
from common.config.tls import Tls

_MINUTE = 60.0
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_KIB = 1024
_WORKERS_AT_MOST = 4

DEFAULT_TTL = 7 * _DAY
"""Seconds; distribution's (registry/proxy/proxyregistry.go)."""
DEFAULT_TAG_TTL = _MINUTE
"""Seconds."""
DEFAULT_CONNECTIONS = 16


def _workers() -> int:
    return min(len(os.sched_getaffinity(0)), _WORKERS_AT_MOST)


@dataclass(frozen=True, slots=True)
class AccessLog:
    """`log.accesslog`."""

    disabled: bool = setting(leaves.boolean(), default=True)
    """Unless false is written: a line costs as much as a small answer."""


@dataclass(frozen=True, slots=True)
class Log:
    """`log`: what is written to standard error."""

    level: str = setting(leaves.choice("error", "warn", "info", "debug"), "info")
    formatter: str = setting(leaves.choice("text", "json", "logstash"), "")
    """Empty: `text` on a terminal, `json` elsewhere."""
    fields: Mapping[str, str] = field(default_factory=dict, metadata=shaped(TableOf(leaves.text())))
    """Stand in every line."""
    accesslog: AccessLog = field(default_factory=AccessLog, metadata=shaped(section(AccessLog)))

    @property
    def accesslog_disabled(self) -> bool:
        """Requests are not logged."""
        return self.accesslog.disabled


@dataclass(frozen=True, slots=True)
class Storage:
    """`storage.filesystem`: the folder that all processes share."""

    rootdirectory: str = setting(leaves.text("a path"), "/var/lib/registry")
    """Absolute once loaded: `~/` is the home folder, a relative path starts where we were started."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """`http.debug.prometheus`: metrics, served there."""

    enabled: bool = setting(leaves.boolean(), default=False)
    path: str = setting(
        leaves.matching(re.compile(r"(/[A-Za-z0-9._~-]+)+"), "a path such as /metrics", "path"),
        "/metrics",
    )
    folder: str = setting(leaves.text("a path"), "")
    """Where processes of one machine that are started apart have their counts put together: one
    of them then answers for all. Empty: a frontend's workers have a folder of their own, in memory.
    """


@dataclass(frozen=True, slots=True)
class Console:
    """`http.debug.console`: pages for people, served there."""

    enabled: bool = setting(leaves.boolean(), default=True)
    htpasswd: str = setting(leaves.text("a path"), "")
    """A file of accounts, as `auth.htpasswd` has: who has one may look, and change things. Empty:
    all who reach the address may look, and change things where that is this machine's loopback."""
    socket: str = setting(leaves.text("a path"), "")
    """Where frontends of one machine that are started apart pass on whoever asks them for a page
    of the console, and where the console takes them. Empty: the console has `addr` to itself.
    """


@dataclass(frozen=True, slots=True)
class Debug:
    """`http.debug`: a second listener, for those who watch over a process."""

    addr: str = setting(leaves.text("host:port"), "")
    """`host:port` or `:port`; empty: there is none."""
    prometheus: Prometheus = field(default_factory=Prometheus, metadata=shaped(section(Prometheus)))
    console: Console = field(default_factory=Console, metadata=shaped(section(Console)))

    @property
    def has_console(self) -> bool:
        """Whether there is to be a console."""
        return bool(self.addr) and self.console.enabled

    @property
    def listen(self) -> tuple[str, int]:
        """Host (empty: all interfaces) and port of `addr`."""
        return leaves.listen_address(self.addr)


@dataclass(frozen=True, slots=True)
class Http:
    """`http`: how clients reach a frontend."""

    addr: str = setting(leaves.text("host:port"), ":5000")
    """`host:port`, `:port` for all interfaces, port 0 for any free one; a path where `net` is unix."""
    net: str = setting(leaves.choice("tcp", "unix"), "tcp")
    host: str = setting(leaves.http_url("https://mirror.example.com", path=False), "")
    """The address clients see, with which links begin; empty: they are relative."""
    prefix: str = setting(
        leaves.matching(re.compile(r"(/[A-Za-z0-9._~-]+)*/?"), "a path such as /mirror/", "path"),
        "",
    )
    """In front of every path: empty, or `/mirror` without a slash at the end."""
    relativeurls: bool = setting(leaves.boolean(), default=False)
    headers: Mapping[str, list[str]] = field(
        default_factory=dict, metadata=shaped(TableOf(ListOf(leaves.header_value())))
    )
    """Added to every response."""
    tls: Tls = field(default_factory=Tls, metadata=shaped(TLS))
    trustedproxies: Sequence[str] = setting(ListOf(leaves.network()), ())
    """Networks, or `unix`, whose X-Forwarded-For says who the client is."""
    draintimeout: float = setting(leaves.duration(zero=True), 30.0)
    """Seconds that running responses are given at a stop; 0 cuts them at once."""
    debug: Debug = field(default_factory=Debug, metadata=shaped(section(Debug)))

    @property
    def listen(self) -> tuple[str, int]:
        """Host (empty: all interfaces) and port of `addr`; only where `net` is tcp."""
        return leaves.listen_address(self.addr)


@dataclass(frozen=True, slots=True)
class Tags:
    """`tags`: the list of a repository's tags."""

    maxtags: int = setting(leaves.integer(0), 1000)
    """Tags at most in one answer to a request with `n`; 0 means 1000, as absent."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """`catalog`: the list of repositories."""

    maxentries: int = setting(leaves.integer(0), 1000)
    """Names in one answer at most, whatever `n` a client asks for; 0 means 1000, as absent."""


@dataclass(frozen=True, slots=True)
class Exec:
    """`exec`: a credential helper, which replaces user and password."""

    command: str = setting(leaves.text("a command"), "")
    """Run with `get`, the host on its standard input; empty: there is none."""
    lifetime: float | None = setting(leaves.lifetime(), None)
    """Seconds that what it tells is used; 0: for one request; None: for ever."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A registry whose content is cached. Held by fetchers only."""

    name: str
    """How requests choose it; empty for `proxy.remoteurl`, which answers when none is named."""
    remoteurl: str
    """Without a slash at the end."""
    namespaces: tuple[str, ...] = ()
    """What `ns` and the path prefix may call it beside its name and its host."""
    username: str = ""
    password: Secret = field(default_factory=Secret)
    usernamefile: str = ""
    passwordfile: str = ""
    """Files to read them from instead, again when they change; empty: there is none."""
    exec: Exec = field(default_factory=Exec)
    ttl: float | None = DEFAULT_TTL
    """Seconds after its last use that content is kept; None: for ever."""
    tagttl: float = DEFAULT_TAG_TTL
    """Seconds that a tag is served without asking again; 0: asked for every pull."""
    realmhosts: tuple[str, ...] = ()
    """Hosts beside the upstream's own that may be given its credentials for a token."""
    redirecthosts: tuple[str, ...] = ()
    """Hosts that a redirect may lead to even where they are at private addresses."""
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    """Patterns of the repositories that may be had, and may not: see common.rules."""
    maxconnections: int = DEFAULT_CONNECTIONS
    """Requests that one fetcher process has under way there."""
    bandwidth: int = 0
    """Bytes a second that one fetcher process receives from there; 0: no limit."""
    insecure: bool = False
    """The upstream's certificate is not verified."""
    cafile: str | None = None
    """PEM file of the authorities it is verified against; None: the system's."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """`proxy`: the upstreams, by name; at least one."""

    upstreams: Mapping[str, Upstream]


@dataclass(frozen=True, slots=True)
class Queue:
    """`queue`: where jobs and events travel. The address may hold a password: see `shown`."""

    url: str = setting(leaves.text("an address"), "")
    """`amqp://`, `amqps://`, or `sqlite:///absolute/path`, the embedded queue of one machine."""
    urlfile: str = setting(leaves.text("a path"), "")
    """A file that holds `url` instead, read once at the start."""

    @property
    def is_embedded(self) -> bool:
        """No broker but a file."""
        return self.url.startswith("sqlite:")

    @property
    def path(self) -> str:
        """The file of an embedded queue."""
        return "/" + unquote(urlsplit(self.url).path).lstrip("/")

    @property
    def shown(self) -> str:
        """The address with its password masked."""
        return re.sub(r"(//[^/@:]*):[^/]*@", rf"\1:{MASK}@", self.url)

    def __repr__(self) -> str:
        return f"Queue({self.shown!r})"


@dataclass(frozen=True, slots=True)
class Frontend:
    """`frontend`: the processes that answer clients."""

    workers: int = field(default_factory=_workers, metadata=shaped(leaves.integer(1)))
    """Processes; as many as there are processors, at most 4."""
    patience: float = setting(leaves.duration(), 25.0)
    """Seconds a client waits for the headers of content that is not here yet (containerd: 30)."""
    connections: int = setting(leaves.integer(1), 2000)
    """Clients one worker serves at the same time."""
    maxwaiters: int = setting(leaves.integer(0), 0)
    """Requests that wait in one worker for what is not here, one client's at most half of them;
    0: three quarters of `connections`."""
    missesperclient: int = setting(leaves.integer(0), 32)
    """Jobs one client address has under way in one worker for one upstream, the rest wait their turn;
    0: any number."""
    sendfile: bool = setting(leaves.boolean(), default=True)
    """Whether large bodies are sent by sendfile(2), or copied; what is encrypted always is."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """`fetcher`: the processes that download."""

    processes: int = setting(leaves.integer(1), 2)
    slots: int = setting(leaves.integer(1), 16)
    """Jobs one process works on at the same time; half of them are kept for what clients wait for."""
    prefetch: bool = setting(leaves.boolean(), default=True)
    """What an image's manifest lists is fetched when a client has been given the manifest."""
    connecttimeout: float = setting(leaves.duration(), 5.0)
    readtimeout: float = setting(leaves.duration(), 30.0)
    """Seconds without a single byte from an upstream."""
    minthroughput: int = setting(leaves.rate(), _KIB)
    """Bytes a second, over `throughputwindow`, below which a download is taken up anew; 0: any."""
    throughputwindow: float = setting(leaves.duration(), 60.0)
    lease: float = setting(leaves.duration(), 15.0)
    """Seconds without a heartbeat after which another fetcher may take over a download."""
    attempts: int = setting(leaves.integer(1), 5)
    """Tries of one job before it fails for good."""
    segments: int = setting(leaves.integer(1), 8)
    """Connections that one large blob may come by at the same time; 1: always one."""
    segmentsize: int = setting(leaves.size(), 4 * _KIB * _KIB)
    """Bytes of a blob that one request asks for, until it is known what pays; 0: all of it."""


@dataclass(frozen=True, slots=True)
class Janitor:
    """`janitor`: the process that removes what has expired."""

    grace: float = setting(leaves.duration(zero=True), 10 * _MINUTE)
    """Seconds that vacuumed content lies in the trash, for streams that still read it."""
    sweepinterval: float = setting(leaves.duration(), _DAY)
    """Seconds between two looks at everything in storage."""
    scrubinterval: float = setting(leaves.duration(zero=True), 30 * _DAY)
    """Seconds after which a blob's bytes are compared with its digest again; 0: never."""
    scrubrate: int = setting(leaves.rate(), 20_000_000)
    """Bytes a second that are read for it; 0: any number."""
    maxsize: int = setting(leaves.size(), 0)
    """Bytes that blobs and downloads under way may take up together; 0: any number."""
    minfree: int = setting(leaves.size(), 0)
    """Bytes that are to stay free on storage's file system; 0: none."""
    lowwater: int = setting(leaves.integer(1, 100), 90)
    """How far content is removed once a limit is reached, in percent of `maxsize`."""

    @property
    def is_limited(self) -> bool:
        """Whether content is removed before its time when there is too much of it."""
        return self.maxsize > 0 or self.minfree > 0


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    log: Log
    storage: Storage
    auth: Auth
    http: Http
    tags: Tags
    catalog: Catalog
    proxy: Proxy
    queue: Queue
    frontend: Frontend
    fetcher: Fetcher
    janitor: Janitor
    maintenance: Maintenance
    health: Health
    notifications: Notifications
