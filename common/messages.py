"""What entrepot's processes tell each other: jobs (requests), events (facts), expiries.

A message is a small frozen dataclass. On the wire it is a JSON object with `type` and `v`.
Every field that becomes a path or a URL is validated when it is decoded, as if a client had sent
it: whoever can write to the queue must not thereby be able to write anywhere else.

Jobs have a `key`: equal keys ask for the same thing, so they are queued and run once, and the
events that answer a job carry its key. `request_id`, `traceparent` and `tracestate` say for whom it
was first asked for, and mean nothing to whoever does it.
"""

import json
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from enum import Enum
from typing import Any, ClassVar, TypeAlias

from common.digest import Digest
from common.errors import InvalidInput, UndecodableMessage
from common.reference import RepositoryName, Tag
from common.source import Source
from common.tracing.context import parse

VERSION = 1


class Queue(Enum):
    """The queues of work."""

    INTERACTIVE = "interactive"  # a client waits
    PREFETCH = "prefetch"  # nobody waits yet
    EXPIRY = "expiry"  # published with a delay, consumed by janitors


class Kind(Enum):
    """The two ways a repository links a blob (distribution keeps them in different folders)."""

    LAYER = "layer"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchBlob:
    """Have this blob linked for this repository."""

    source: Source
    digest: Digest
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    @property
    def key(self) -> str:
        """`blob:<stored repository>@<digest>`."""
        return f"blob:{self.source.stored}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBlob:
    """Ask the upstream whether this repository has this blob, and its size; fetch nothing."""

    source: Source
    digest: Digest
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    @property
    def key(self) -> str:
        """`exists:<stored repository>@<digest>`."""
        return f"exists:{self.source.stored}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchManifest:
    """Have this manifest linked for this repository."""

    source: Source
    digest: Digest
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    @property
    def key(self) -> str:
        """`manifest:<stored repository>@<digest>`."""
        return f"manifest:{self.source.stored}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveTag:
    """Have this tag point to what the upstream says now, and that manifest stored."""

    source: Source
    tag: Tag
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    @property
    def key(self) -> str:
        """`tag:<stored repository>:<tag>`."""
        return f"tag:{self.source.stored}:{self.tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTags:
    """Have the upstream's list of this repository's tags stored: all, or a stretch of a long list.

    That begins behind the tag `after`, or with the first where there is none.
    """

    source: Source
    after: Tag | None = None
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    @property
    def key(self) -> str:
        """`tags:<stored repository>`, and `:<after>` if there is one."""
        return f"tags:{self.source.stored}" + (f":{self.after}" if self.after else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReferrers:
    """Have the upstream's list of what refers to this manifest stored; no list where nothing does
    and nobody has asked for the manifest itself.
    """

    source: Source
    digest: Digest
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    @property
    def key(self) -> str:
        """`referrers:<stored repository>@<digest>`."""
        return f"referrers:{self.source.stored}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefetch:
    """Have fetched what this manifest lists, which a client has just been given; nobody waits."""

    source: Source
    digest: Digest
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    @property
    def key(self) -> str:
        """`prefetch:<stored repository>@<digest>`."""
        return f"prefetch:{self.source.stored}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireLink:
    """Look whether this link is due, and vacuum it if so."""

    source: Source
    digest: Digest
    kind: Kind
    request_id: str = ""

    @property
    def key(self) -> str:
        """`expire:<kind>:<stored repository>@<digest>`."""
        return f"expire:{self.kind.value}:{self.source.stored}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireTag:
    """Look whether this tag is due, and vacuum it if so."""

    source: Source
    tag: Tag
    request_id: str = ""

    @property
    def key(self) -> str:
        """`expire:tag:<stored repository>:<tag>`."""
        return f"expire:tag:{self.source.stored}:{self.tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillStarted:
    """Bytes of `digest` are arriving, or all have; the fill's folder in storage says where they are."""

    key: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class FillCommitted:
    """What `key` asked for is in storage (or, for an existence check, is at the upstream).

    `size` is in bytes and only told for an existence check, whose answer storage does not hold.
    `digest` is told for blobs.
    """

    key: str
    digest: Digest | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillFailed:
    """What `key` asked for cannot be had now.

    `status`, `code` and `retry_after` (seconds) are what a client should be told; `message` is
    for people and holds no secret. `digest` is told for blobs.
    """

    key: str
    status: int
    code: str
    message: str
    retryable: bool
    retry_after: float | None = None
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillDropped:
    """A prefetch of `key` came to nothing, which says nothing of `key`: who waits for it asks again."""

    key: str
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFull:
    """A fill found no room: janitors look at once for what can go."""

    key: str = "storage"
    digest: Digest | None = None


Job: TypeAlias = (
    FetchBlob | CheckBlob | FetchManifest | ResolveTag | ListTags | ListReferrers | Prefetch
)
Expiry: TypeAlias = ExpireLink | ExpireTag
Message: TypeAlias = Job | Expiry
Event: TypeAlias = FillStarted | FillCommitted | FillFailed | FillDropped | StorageFull


class _Wire:
    """Names on the wire to classes, and back."""

    messages: ClassVar[dict[str, type[Message]]] = {
        "fetch-blob": FetchBlob,
        "check-blob": CheckBlob,
        "fetch-manifest": FetchManifest,
        "resolve-tag": ResolveTag,
        "list-tags": ListTags,
        "list-referrers": ListReferrers,
        "prefetch": Prefetch,
        "expire-link": ExpireLink,
        "expire-tag": ExpireTag,
    }
    events: ClassVar[dict[str, type[Event]]] = {
        "fill-started": FillStarted,
        "fill-committed": FillCommitted,
        "fill-failed": FillFailed,
        "fill-dropped": FillDropped,
        "storage-full": StorageFull,
    }


_NAMES: dict[type[Any], str] = {
    cls: name for table in (_Wire.messages, _Wire.events) for name, cls in table.items()
}


def encode(message: Message | Event) -> bytes:
    """The message as JSON."""
    wire: dict[str, Any] = {"type": _NAMES[type(message)], "v": VERSION}
    for field in fields(message):
        wire[field.name] = _plain(getattr(message, field.name))
    return json.dumps(wire, separators=(",", ":")).encode()


def decode_message(body: bytes) -> Message:
    """The job or expiry in `body`; raises UndecodableMessage."""
    name, wire = _open(body)
    message: Message = _build(_Wire.messages.get(name), wire)
    return message


def decode_event(body: bytes) -> Event:
    """The event in `body`; raises UndecodableMessage."""
    name, wire = _open(body)
    event: Event = _build(_Wire.events.get(name), wire)
    return event


def _plain(value: Any) -> Any:
    if isinstance(value, Source):
        return {"upstream": value.upstream, "repository": value.repository}
    return value.value if isinstance(value, Kind) else value


def _open(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        wire = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = "not JSON"
        raise UndecodableMessage(msg) from error
    if not isinstance(wire, dict) or wire.get("v") != VERSION:
        msg = "not a message of a version known here"
        raise UndecodableMessage(msg)
    return str(wire.get("type")), wire


def _build(cls: type[Any] | None, wire: dict[str, Any]) -> Any:
    if cls is None:
        msg = "a type of message not known here"
        raise UndecodableMessage(msg)
    try:
        return cls(
            **{field.name: _read(field, wire) for field in fields(cls) if field.name in wire}
        )
    except (InvalidInput, TypeError, ValueError, KeyError) as error:
        msg = f"a field of {wire.get('type')} is missing or wrong"
        raise UndecodableMessage(msg) from error


def _read(field: Field[Any], wire: dict[str, Any]) -> Any:
    value = wire[field.name]
    if value is None and field.default is None:
        return None
    return _READERS[field.name](value)


def _source(wire: Any) -> Source:
    source = Source(_text(wire["upstream"]), RepositoryName(_text(wire["repository"])))
    _ = source.stored  # both names together must be valid too, before anything is made of them
    return source


def _text(wire: Any) -> str:
    if not isinstance(wire, str):
        raise TypeError(type(wire))
    return wire


def _truth(wire: Any) -> bool:
    if not isinstance(wire, bool):
        raise TypeError(type(wire))
    return wire


# Bytes of a blob, or seconds; what a file's offset can count.
_LARGEST = 2**63 - 1


def _number(wire: Any) -> int | float:
    if isinstance(wire, bool) or not isinstance(wire, int | float) or not wire >= 0:
        raise TypeError(type(wire))
    if not wire <= _LARGEST:  # also what JSON calls Infinity
        raise ValueError("no number that anything here could have")
    return wire


def _whole(wire: Any) -> int:
    if not isinstance(number := _number(wire), int):
        raise TypeError(type(wire))
    return number


def _traceparent(wire: Any) -> str:
    trace = parse(_text(wire))
    return "" if trace is None else trace.traceparent


def _status(wire: Any) -> int:
    status = _whole(wire)
    if not 400 <= status <= 599:  # noqa: PLR2004 - RFC 9110, sections 15.5 and 15.6
        raise ValueError("not the status of a failure")
    return status


_READERS: dict[str, Callable[[Any], Any]] = {
    "source": _source,
    "digest": lambda wire: Digest(_text(wire)),
    "tag": lambda wire: Tag(_text(wire)),
    "after": lambda wire: Tag(_text(wire)),
    "kind": Kind,
    "key": _text,
    "request_id": _text,
    "traceparent": _traceparent,
    "tracestate": _text,
    "status": _status,
    "code": _text,
    "message": _text,
    "retryable": _truth,
    "retry_after": _number,
    "size": _whole,
}
