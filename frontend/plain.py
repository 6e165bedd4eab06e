"""Plain requests as they stand on a connection, read in one step.

What clients ask for all day comes in one piece, with the few fields that such clients send, the
same ones every time. The grammar here is narrower than gunicorn's in everything: what does not fit
it is gunicorn's to read, or to refuse, and goes there untouched (frontend.worker).
"""

import re
from functools import lru_cache

from frontend.targets import NotPlain, Target, Targets

# Bytes of a whole request. Longer ones are rare, and what is remembered stays small.
_LONGEST = 2048

_MOST_LINES = 8192
_MOST_FIELDS = 1024

# No escapes, and nothing but a path: an absolute target is frontend.heads' to take apart.
_LINE = re.compile(rb"(GET|HEAD) (/[!-$&->@-~]*)(?:\?([!-~]*))? HTTP/1\.1")

# Ends where the request ends: bytes of a body, or of a next request, are none of its fields. No
# underscores, which make one name look like another's.
_FIELDS = re.compile(rb"(?:[A-Za-z0-9-]+:[ -~]*\r\n){1,64}\r\n")

# What makes a request another one than its line says, gives it a body, has the connection do
# something else after it, or may have gunicorn refuse it; and what is not to be remembered.
_NOT_PLAIN = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-type",
        b"cookie",
        b"expect",
        b"http2-settings",
        b"if-none-match",
        b"if-range",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"range",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-protocol",
        b"x-forwarded-ssl",
    }
)


class Requests:
    """Reads requests, and remembers what they are made of."""

    def __init__(self, targets: Targets) -> None:
        """`targets` knows what they are about."""
        self._targets = targets
        self._line = lru_cache(_MOST_LINES)(self._read_line)

    def read(self, data: bytes) -> tuple[str, Target, bytes | None]:
        """The method, the target, and the Accept header of the one request that `data` is.

        Raises NotPlain where it is anything else.
        """
        if len(data) > _LONGEST:
            raise NotPlain
        line, _, fields = data.partition(b"\r\n")
        method, target = self._line(line)
        return method, target, _accept(fields)

    def _read_line(self, line: bytes) -> tuple[str, Target]:
        found = _LINE.fullmatch(line)
        if found is None:
            raise NotPlain
        method, path, query = found.groups(b"")
        return method.decode(), self._targets.of(path.decode(), query)


@lru_cache(_MOST_FIELDS)
def _accept(fields: bytes) -> bytes | None:
    """The Accept header among `fields`, which are all of a request. Raises NotPlain."""
    if not _FIELDS.fullmatch(fields):
        raise NotPlain
    found: dict[bytes, bytes] = {}
    for field in fields.splitlines()[:-1]:
        name, _, value = field.partition(b":")
        name, value = name.lower(), value.strip()
        if (name == b"connection" and value.lower() != b"keep-alive") or name in _NOT_PLAIN:
            raise NotPlain
        if name not in found:
            found[name] = value
        elif name == b"accept":
            found[name] += b"," + value
        else:
            raise NotPlain
    if b"host" not in found:
        raise NotPlain
    return found.get(b"accept")
