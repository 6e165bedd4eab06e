"""Every key of distribution's file, 2.8 and 3, and of ours; what is not used says why.

Facts: configuration/configuration.go of distribution v2.8.3 and v3.1.1. `variable` marks the Go
fields that are not called as their keys.
"""

from dataclasses import dataclass, field

from common.config import health, leaves, maintenance, notifications, upstreams
from common.config.auth import SECTION as AUTH
from common.config.auth import Auth
from common.config.health import Health
from common.config.maintenance import Maintenance
from common.config.model import (
    Catalog,
    Fetcher,
    Frontend,
    Http,
    Janitor,
    Log,
    Queue,
    Storage,
    Tags,
)
from common.config.notifications import Notifications
from common.config.shapes import (
    Anything,
    Key,
    ListOf,
    Section,
    TableOf,
    names,
    refused,
    section,
    setting,
    shaped,
    unused,
)
from common.config.tree import Items, Node, Scalar, Table, scalars


def _always(_node: Node) -> bool:
    return True


def _has_entry(node: Node) -> bool:
    """Whether something is chosen, with or without parameters."""
    return bool(node.entries) if isinstance(node, Table) else not node.is_empty


def _switched_on(node: Node) -> bool:
    return isinstance(node, Scalar) and node.text.lower() not in {"", "false", "no", "off", "n"}


def _has_enabled(node: Node) -> bool:
    """Whether a list holds an entry that is not switched off by `disabled: true`."""
    if not isinstance(node, Items):
        return not node.is_empty
    return any(not _is_disabled(item) for item in node.items)


def _is_disabled(node: Node) -> bool:
    flag = node.entries.get("disabled") if isinstance(node, Table) else None
    return flag is not None and _switched_on(flag)


def _checks_something(node: Node) -> bool:
    """Whether a rule stands below `validation.manifests`: a list, or platforms other than none."""
    return any(scalar.text.lower() not in {"", "none"} for _path, scalar in scalars(node))


def _driver() -> Key:
    return refused(
        "refused: content is stored in a folder that all processes share; write storage.filesystem"
        " with its rootdirectory",
        TableOf(Anything()),
        when=_always,
    )


@dataclass(frozen=True, slots=True)
class Drivers:
    """`storage`, of which one driver is used."""

    filesystem: Storage = field(
        default_factory=Storage,
        metadata=shaped(
            section(
                Storage,
                is_map=True,
                maxthreads=unused(
                    "the number of requests at the same time is frontend.connections"
                ),
            )
        ),
    )
    maintenance: Maintenance = field(
        default_factory=Maintenance, metadata=shaped(maintenance.SECTION)
    )


STORAGE = Section(
    {
        **section(Drivers).keys,
        **{name: _driver() for name in ("inmemory", "s3", "gcs", "azure", "oss", "swift")},
        "cache": unused("not used: descriptors are read from storage", TableOf(Anything())),
        "delete": unused("not used: what expires is always removed", TableOf(Anything())),
        "redirect": unused("not used: a folder has nowhere to redirect to", TableOf(Anything())),
        "tag": unused("not used: tags are looked up one by one", TableOf(Anything())),
    },
    model=Drivers,
    is_map=True,
    word=True,
)
"""`storage`, of which every driver but one is refused."""

_MIDDLEWARES = ListOf(names("name disabled", options=TableOf(Anything())))
_POLICY = "refused: middleware that may decide who gets what is not supported; remove it"
_MIDDLEWARE = Section(
    {
        "registry": refused(_POLICY, _MIDDLEWARES, when=_has_enabled),
        "repository": refused(_POLICY, _MIDDLEWARES, when=_has_enabled),
        "storage": unused(
            "not used: content is always sent from here", _MIDDLEWARES, when=_has_enabled
        ),
    },
    is_map=True,
)

_HTTP = section(
    Http,
    secret=unused("not used: it signs the state of uploads, and there are none"),
    http2=unused("not used: HTTP/1.1 is spoken", names("disabled")),
    h2c=Key(
        names(
            enabled=refused(
                "refused: HTTP/1.1 is spoken; let the load balancer speak it to us",
                when=_switched_on,
            )
        )
    ),
)

_LOG = section(
    Log,
    hooks=unused(
        "not used: no mail is sent; watch the log instead",
        ListOf(
            names(
                "disabled type levels",
                options=Key(
                    names("from to", smtp=names("addr username password insecure")),
                    variable="MAILOPTIONS",
                ),
            )
        ),
        when=_has_enabled,
    ),
    reportcaller=unused("not used: every line names its component", when=_switched_on),
)

_REDIS = Section(
    names(
        # 2.8 has addr and pool, 3 has the rest.
        "addr addrs clientname db protocol username password sentinelusername sentinelpassword"
        " maxretries minretrybackoff maxretrybackoff dialtimeout readtimeout writetimeout"
        " contexttimeoutenabled poolfifo poolsize pooltimeout minidleconns maxidleconns"
        " maxactiveconns connmaxidletime connmaxlifetime maxredirects readonly routebylatency"
        " routerandomly mastername disableidentity identitysuffix unstableresp3",
        pool=names("maxidle maxactive idletimeout"),
        tls=names("enabled certificate key rootcas"),
    ).keys,
    inlined="OPTIONS",
)

_VALIDATION = names(
    "disabled",
    enabled=unused("not used: manifests are validated when pushed", when=_switched_on),
    manifests=refused(
        "refused: what upstreams hold is passed on as it is; remove the rules",
        names(
            urls=names("allow deny"),
            indexes=names("platforms", platformlist=ListOf(names("architecture os"))),
        ),
        when=_checks_something,
    ),
)


@dataclass(frozen=True, slots=True)
class File:
    """A configuration file as read, section by section."""

    version: str = setting(leaves.text(), "")
    log: Log = field(default_factory=Log, metadata=shaped(_LOG))
    loglevel: str = setting(leaves.choice("error", "warn", "info", "debug"), "")
    storage: Drivers = field(default_factory=Drivers, metadata=shaped(STORAGE))
    http: Http = field(default_factory=Http, metadata=shaped(_HTTP))
    tags: Tags = field(default_factory=Tags, metadata=shaped(section(Tags)))
    catalog: Catalog = field(default_factory=Catalog, metadata=shaped(section(Catalog)))
    auth: Auth = field(default_factory=Auth, metadata=shaped(AUTH))
    proxy: upstreams.Written = field(
        default_factory=upstreams.Written, metadata=shaped(upstreams.SECTION)
    )
    health: Health = field(default_factory=Health, metadata=shaped(health.SECTION))
    notifications: Notifications = field(
        default_factory=Notifications, metadata=shaped(notifications.SECTION)
    )
    queue: Queue = field(default_factory=Queue, metadata=shaped(section(Queue)))
    frontend: Frontend = field(default_factory=Frontend, metadata=shaped(section(Frontend)))
    fetcher: Fetcher = field(default_factory=Fetcher, metadata=shaped(section(Fetcher)))
    janitor: Janitor = field(default_factory=Janitor, metadata=shaped(section(Janitor)))


SCHEMA = section(
    File,
    middleware=Key(_MIDDLEWARE),
    redis=unused("not used: nothing is kept in it", _REDIS),
    validation=Key(_VALIDATION),
    policy=refused(
        "refused: repositories of every class are passed on; remove the rules",
        names(repository=names("classes")),
    ),
    # distribution 2.8 only.
    reporting=unused(
        "not used: errors are logged",
        names(
            bugsnag=names("apikey releasestage endpoint"),
            newrelic=names("licensekey name verbose"),
        ),
    ),
    compatibility=unused(
        "not used: manifests of schema 1 are refused",
        names(
            schema1=names("enabled", signingkeyfile=Key(Anything(), variable="TRUSTKEY")),
        ),
    ),
)
"""The whole file."""
