"""A short way for plain hits: the application's own answers, for a fraction of its work.

A request that asks for a manifest or a small blob, in the way that clients do, and finds all of it
here, is answered without Falcon's making a request and a response of it; and where nobody is to see
it go by, without gunicorn's making one (`Lane.at_once`). All others are handed on untouched: what
is not here, not fresh, large, partial or conditional, and every error. So the lane need not know
what those are answered; it only has to be sure of what it answers itself, and
tests/frontend/test_lane.py holds the two against each other. What it has looked up for them goes
along (frontend.found).

What is looked up at every request, in storage, is what the application looks up: that the
repository's link is there (it is marked as used), that the blob's file is there and whole, where
the tag points and whether that is fresh. What is not done again: taking names apart
(frontend.targets), reading content and comparing it with its digest (frontend.contents), and
writing headers.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import falcon.asgi

from common.blobstore import OpenBlob
from common.digest import Digest
from common.links import is_fresh, is_older
from common.mediatypes import INDEXES, SCHEMA_1
from common.messages import Kind
from common.reference import Tag
from common.tags import StoredTag
from frontend import counting, headers, negotiation
from frontend.contents import LARGEST, Content
from frontend.found import KEY, Found
from frontend.plain import Requests
from frontend.services import Services, Terms
from frontend.targets import NotPlain, Target, Targets

_Headers = list[tuple[bytes, bytes]]
_Content = Content | OpenBlob | None

_METHODS = frozenset({"GET", "HEAD"})

# What makes a request another one than its method and path say, or gives it a body.
_UNUSUAL = frozenset(
    {
        b"content-length",
        b"expect",
        b"if-none-match",
        b"if-range",
        b"range",
        b"transfer-encoding",
    }
)

# Headers that Falcon keeps apart, or that stand in different places for different requests.
_NOT_PREPARED = frozenset({"set-cookie", "oci-namespace"})

# Headers that the connection writes itself, or goes by when it does.
_CONNECTIONS = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
_VALUE = re.compile(r"[\t -~\x80-\xff]*")


def can_carry(always: Sequence[tuple[str, str]]) -> bool:
    """Whether answers with these headers can be prepared."""
    return all(name.lower() not in _NOT_PREPARED for name, _value in always)


def _can_be_written(always: Sequence[tuple[str, str]]) -> bool:
    """Whether they may go out as they are, unseen by gunicorn, which would refuse some."""
    return all(
        name.lower() not in _CONNECTIONS and _VALUE.fullmatch(value) for name, value in always
    )


class Lane:
    """The ASGI application `app`, which is asked only where the short way ends."""

    def __init__(
        self, app: Any, services: Services, targets: Targets, always: Sequence[tuple[str, str]]
    ) -> None:
        """`always` are the headers of every answer; see `can_carry`."""
        self.app = app
        self._services = services
        self._targets = targets
        self._requests = Requests(targets)
        self._always = always
        self._writes = _can_be_written(always)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        answer = self._answer(scope)
        if answer is None:
            await self.app(scope, receive, send)
            return
        said, body = answer
        await send({"type": "http.response.start", "status": 200, "headers": said})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, scope: Any) -> tuple[_Headers, bytes] | None:
        """Headers and body; None: not this way, and nothing was counted or marked."""
        method = scope["method"]
        # What is escaped may be a slash, which the application refuses (frontend.router).
        if method not in _METHODS or b"%" in scope["raw_path"]:
            return None
        accept = None
        for name, value in scope["headers"]:
            if name in _UNUSUAL:
                return None
            if name == b"accept":
                accept = value if accept is None else accept + b"," + value
        try:
            target = self._targets.of(scope["path"], scope["query_string"])
            tag, used, content = self._look_up(target, self._services.contents.get)
        except (NotPlain, OSError):
            return None
        if used is not None and isinstance(content, Content):
            body = self._take(target, method, accept, tag, used, content)
            if body is not None:
                return self._said(target, content, method), body
        scope[KEY] = Found(tag, used, content)
        return None

    def at_once(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Header fields, as they are written, and body of the answer to `data`, which came on a
        connection; the status is 200.

        None: it is no plain request for what is in memory, and nothing was counted or marked.
        """
        contents = self._services.contents
        if not self._writes:
            return None
        try:
            method, target, accept = self._requests.read(data)
            reference = target.reference
            # Else it is looked for on the other way, and once is enough.
            if isinstance(reference, Digest) and reference not in contents:
                return None
            tag, used, content = self._look_up(target, contents.kept)
        except (NotPlain, OSError):
            return None
        # What is large is written without a copy, which is not done here.
        if used is None or not isinstance(content, Content) or len(content.body) > LARGEST:
            return None
        body = self._take(target, method, accept, tag, used, content)
        return None if body is None else (self._fields(target, content, method), body)

    def _take(
        self,
        target: Target,
        method: str,
        accept: bytes | None,
        tag: StoredTag | None,
        used: float,
        content: Content,
    ) -> bytes | None:
        """The body, which then is marked as used and counts as sent; None: it is not served so."""
        terms = self._services.terms[target.source.upstream]
        if target.kind is Kind.MANIFEST and not _is_plain(content, tag, terms, accept):
            return None
        if is_older(used, terms.mark_interval):
            self._services.links.mark(target.kind, target.stored, content.digest)
        if tag is not None and is_older(tag.used, terms.mark_interval):
            self._services.tags.mark(target.stored, Tag(target.reference))
        return _counted(target, content, method)

    def _look_up(
        self, target: Target, get: Callable[[Digest], _Content]
    ) -> tuple[StoredTag | None, float | None, _Content]:
        """What there is of it in storage; see Found."""
        reference, services, tag = target.reference, self._services, None
        if not isinstance(reference, Digest):
            tag = services.tags.read(target.stored, reference)
            if tag is None:
                return None, None, None
            reference = tag.digest
        used = services.links.last_use(target.kind, target.stored, reference)
        return tag, used, None if used is None else get(reference)

    def _fields(self, target: Target, content: Content, method: str) -> bytes:
        """The answer's headers as they are written."""
        fields = content.fields.get((target.kind, method))
        if fields is None:
            said = self._write(target.kind, content, method)
            fields = b"".join(b"%b: %b\r\n" % header for header in said)
            content.fields[target.kind, method] = fields
        if target.namespace:
            return b"oci-namespace: %b\r\n%b" % (target.namespace, fields)
        return fields

    def _said(self, target: Target, content: Content, method: str) -> _Headers:
        """The answer's headers."""
        said = content.headers.get((target.kind, method))
        if said is None:
            said = self._write(target.kind, content, method)
            content.headers[target.kind, method] = said
        if target.namespace:
            return [(b"oci-namespace", target.namespace), *said]
        return said

    def _write(self, kind: Kind, content: Content, method: str) -> _Headers:
        """Headers in the order in which the application comes to write them."""
        resp = falcon.asgi.Response()
        if kind is Kind.LAYER:
            headers.describe_blob(resp, content.digest)
        else:
            headers.describe(resp, content.digest, content.media_type)
        if kind is Kind.LAYER or method == "HEAD":
            resp.content_length = len(content.body)
        for name, value in self._always:
            resp.append_header(name, value)
        resp.content_length = len(content.body)
        return [(name.encode(), value.encode("latin-1")) for name, value in resp.headers.items()]


def _is_plain(manifest: Content, tag: StoredTag | None, terms: Terms, accept: bytes | None) -> bool:
    """Whether it is served as it is, rather than asked for anew, refused, or an image in an index's
    place.
    """
    media_type = manifest.media_type
    if media_type in SCHEMA_1:
        return False
    if tag is None:
        return True
    if not is_fresh(tag.confirmed, terms.tagttl):
        return False
    if accept is None or media_type not in INDEXES:
        return True
    return negotiation.image_instead(manifest.body, media_type, accept.decode("latin-1")) is None


def _counted(target: Target, content: Content, method: str) -> bytes:
    """The body, which then counts as sent, and the request as a hit."""
    body = b"" if method == "HEAD" else content.body
    if target.kind is Kind.LAYER:
        counting.BLOB_HITS[target.source.upstream].value += 1
        counting.BLOB_BYTES.value += len(body)
    else:
        counting.MANIFEST_HITS[target.source.upstream].value += 1
        counting.MANIFEST_BYTES.value += len(body)
    return body
