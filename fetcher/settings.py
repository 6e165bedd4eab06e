"""What one configured upstream needs to be talked to."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """One upstream, as configured; times are in seconds.

    `name` is the upstream's configured name (empty for the default one), used in messages.
    `remoteurl` is its base URL, without `/v2/`. User and password are texts, or in files that are
    read again when they change; no user means anonymous. `helper` is the command of a credential
    helper, which replaces both, `helper_lifetime` how long what it tells is kept (0: not at all,
    None: for ever).
    `realmhosts` are further hosts (`host` or `host:port`) that may be asked for tokens, and hence
    be sent the credentials; `redirecthosts` further hosts that a redirect may lead to though they
    are at private addresses. `insecure` accepts any certificate from the upstream's own host.
    `cafile` is a PEM file of authorities trusted beside the usual ones.
    `read_timeout` bounds the silence between two arrivals of bytes, twice of it a whole header.
    `min_throughput` (bytes a second) is the floor under which, measured over `throughput_window`,
    a transfer is given up; zero means none.
    `pool_size` is how many idle connections are kept for each host, `max_connections` how many
    requests are under way at once, `bandwidth` how many bytes a second are received, all
    connections of this process together; zero means no limit.
    `segments` is how many connections one blob may come by at the same time, in parts of
    `segment_size` bytes; one means that it is asked for as a whole.
    """

    name: str
    remoteurl: str
    username: str = ""
    password: str = field(default="", repr=False)
    usernamefile: str = ""
    passwordfile: str = ""
    helper: str = field(default="", repr=False)
    helper_lifetime: float | None = None
    realmhosts: tuple[str, ...] = ()
    redirecthosts: tuple[str, ...] = ()
    insecure: bool = False
    cafile: str | None = None
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    min_throughput: float = 10 * 1024
    throughput_window: float = 60.0
    user_agent: str = "entrepot"
    pool_size: int = 16
    max_connections: int = 16
    bandwidth: float = 0
    segments: int = 1
    segment_size: int = 4 << 20

    @property
    def shown(self) -> str:
        """How messages call this upstream."""
        return self.name or "default"
