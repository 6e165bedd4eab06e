"""Messages on the wire."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.digest import Digest
from common.errors import UndecodableMessage
from common.messages import (
    CheckBlob,
    Event,
    ExpireLink,
    ExpireTag,
    FetchBlob,
    FetchManifest,
    FillCommitted,
    FillDropped,
    FillFailed,
    FillStarted,
    Kind,
    ListReferrers,
    ListTags,
    Message,
    Prefetch,
    ResolveTag,
    StorageFull,
    decode_event,
    decode_message,
    encode,
)
from common.reference import RepositoryName, Tag
from common.source import Source

_DIGEST = Digest.of(b"content")
_SOURCE = Source("ghcr.io", RepositoryName("org/app"))
_TAG = Tag("latest")

_MESSAGES: list[Message] = [
    FetchBlob(source=_SOURCE, digest=_DIGEST, request_id="r1"),
    CheckBlob(source=_SOURCE, digest=_DIGEST),
    FetchManifest(source=_SOURCE, digest=Digest.of(b"", "sha512")),
    ResolveTag(source=_SOURCE, tag=_TAG, request_id="ü"),
    ListTags(source=Source("", RepositoryName("alpine"))),
    ExpireLink(source=_SOURCE, digest=_DIGEST, kind=Kind.MANIFEST),
    ExpireLink(source=_SOURCE, digest=_DIGEST, kind=Kind.LAYER),
    ExpireTag(source=_SOURCE, tag=_TAG),
    ListReferrers(source=_SOURCE, digest=_DIGEST),
    Prefetch(source=_SOURCE, digest=_DIGEST, request_id="r1"),
    ListTags(source=Source("", RepositoryName("alpine")), after=Tag("3.20")),
]
_EVENTS: list[Event] = [
    FillStarted(key="k", digest=_DIGEST),
    FillCommitted(key="k"),
    FillCommitted(key="k", digest=_DIGEST, size=2**40),
    FillFailed(key="k", status=404, code="BLOB_UNKNOWN", message="no", retryable=False),
    FillFailed(
        key="k",
        status=429,
        code="TOOMANYREQUESTS",
        message="slowly",
        retryable=True,
        retry_after=1.5,
        digest=_DIGEST,
    ),
    FillDropped(key="k", digest=_DIGEST),
    StorageFull(),
]


@pytest.mark.parametrize("message", _MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message: Message) -> None:
    assert decode_message(encode(message)) == message


@pytest.mark.parametrize("event", _EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_the_wire(event: Event) -> None:
    assert decode_event(encode(event)) == event


def test_every_kind_of_message_was_tried() -> None:
    assert {type(message) for message in _MESSAGES} == set(get_args(Message))
    assert {type(event) for event in _EVENTS} == set(get_args(Event))


def test_keys_tell_different_things_apart_and_ignore_who_asked() -> None:
    assert len({message.key for message in _MESSAGES}) == len(_MESSAGES)
    one = FetchBlob(source=_SOURCE, digest=_DIGEST, request_id="1")
    other = FetchBlob(source=_SOURCE, digest=_DIGEST, request_id="2")
    assert one.key == other.key


def _with(original: Message | Event, /, **changes: Any) -> bytes:
    wire = json.loads(encode(original))
    wire.update(changes)
    return json.dumps(wire).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"[" * 100_000,
        _with(_MESSAGES[0], v=2),
        _with(_MESSAGES[0], v="1"),
        _with(_MESSAGES[0], type="unheard-of"),
        _with(_MESSAGES[0], type=["fetch-blob"]),
        _with(_MESSAGES[0], digest="sha256:short"),
        _with(_MESSAGES[0], digest=None),
        _with(_MESSAGES[0], digest={"sha256": 1}),
        _with(_MESSAGES[0], source="ghcr.io/org/app"),
        _with(_MESSAGES[0], source={"upstream": "ghcr.io"}),
        _with(_MESSAGES[0], source={"upstream": "ghcr.io", "repository": "../../etc"}),
        _with(_MESSAGES[0], source={"upstream": "", "repository": "../../etc"}),
        _with(_MESSAGES[0], source={"upstream": "..", "repository": "a"}),
        _with(_MESSAGES[0], source={"upstream": "a/../..", "repository": "a"}),
        _with(_MESSAGES[0], source={"upstream": 7, "repository": "a"}),
        _with(_MESSAGES[0], source={"upstream": "a" * 200, "repository": "a" * 200}),
        _with(_MESSAGES[3], tag="../x"),
        _with(_MESSAGES[3], tag=None),
        _with(_MESSAGES[5], kind="blob"),
        _with(_MESSAGES[0], request_id={"a": []}),
        _with(_MESSAGES[0], request_id=None),
        encode(_EVENTS[0]),
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        decode_message(body)


@pytest.mark.parametrize(
    "body",
    [
        _with(_EVENTS[0], digest=None),
        _with(_EVENTS[1], key=None),
        _with(_EVENTS[2], size=-1),
        _with(_EVENTS[2], size=1.5),
        _with(_EVENTS[2], size=True),
        _with(_EVENTS[3], status="404"),
        _with(_EVENTS[3], status=None),
        _with(_EVENTS[3], retryable="no"),
        _with(_EVENTS[3], message=None),
        _with(_EVENTS[4], retry_after="soon"),
        _with(_EVENTS[4], retry_after=float("nan")),
    ],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(UndecodableMessage):
        decode_event(body)


def test_a_missing_field_is_refused() -> None:
    wire = json.loads(encode(_MESSAGES[0]))
    del wire["digest"]
    with pytest.raises(UndecodableMessage):
        decode_message(json.dumps(wire).encode())


def test_a_field_of_a_later_version_is_passed_over() -> None:
    assert decode_message(_with(_MESSAGES[0], novelty=1)) == _MESSAGES[0]


def test_a_message_is_no_event() -> None:
    with pytest.raises(UndecodableMessage):
        decode_event(encode(_MESSAGES[0]))


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_refused(body: bytes) -> None:
    for decode in (decode_message, decode_event):
        with pytest.raises(UndecodableMessage):
            decode(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(st.sampled_from(_MESSAGES), st.data())
def test_a_field_of_any_shape_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    wire = json.loads(encode(message))
    field = data.draw(st.sampled_from(sorted(wire)))
    wire[field] = data.draw(_JSON)
    try:
        decoded = decode_message(json.dumps(wire).encode())
    except UndecodableMessage:
        return
    assert isinstance(decoded.key, str)
    assert not {"", ".", ".."} & set(decoded.source.stored.split("/"))
