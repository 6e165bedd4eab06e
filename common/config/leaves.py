"""The kinds of value a setting may have, and how each is read from text and shown again."""

import re
from ipaddress import ip_network
from urllib.parse import SplitResult, urlsplit

from common import rules
from common.config import durations, sizes
from common.config.secret import Secret, WebAddress
from common.config.shapes import Leaf

_TRUE = {"true", "yes", "on", "y"}
_FALSE = {"false", "no", "off", "n"}
# With `_`, which names of containers may have though DNS host names may not.
_LABEL = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HIGHEST_PORT = 65_535


def text(expected: str = "text") -> Leaf:
    """Any text, as written."""
    kind = re.sub(r"^an? | such as .*", "", expected)
    return Leaf(str, f"expected {expected}", kind=kind)


def secret() -> Leaf:
    """Text that is never shown again."""
    return Leaf(Secret, "expected text", show=str)


def matching(pattern: re.Pattern[str], expected: str, kind: str = "text") -> Leaf:
    """Text that `pattern` matches wholly."""

    def read(written: str) -> str:
        return _require(written, pattern.fullmatch(written) is not None)

    return Leaf(read, f"expected {expected}", kind=kind)


def choice(*words: str) -> Leaf:
    """One of `words`, in any case."""

    def read(written: str) -> str:
        return _require(written.lower(), written.lower() in words)

    kind = " ".join(f"`{word}`" for word in words)
    return Leaf(read, f"expected one of {', '.join(words)}", kind=kind)


def boolean() -> Leaf:
    """Yes or no, in the words of YAML 1.1."""

    def read(written: str) -> bool:
        _require(written, written.lower() in _TRUE | _FALSE)
        return written.lower() in _TRUE

    return Leaf(read, "expected true or false", kind="`true` `false`")


def integer(minimum: int, maximum: int | None = None) -> Leaf:
    """A whole number within bounds."""

    def read(written: str) -> int:
        number = int(written) if re.fullmatch(r"[+-]?[0-9]+", written) else None
        if number is None or number < minimum or (maximum is not None and number > maximum):
            raise ValueError
        return number

    bounds = f"{minimum} or more" if maximum is None else f"from {minimum} to {maximum}"
    return Leaf(read, f"expected a whole number, {bounds}", kind="number")


def duration(*, zero: bool = False) -> Leaf:
    """A Go duration in seconds; more than zero, or also zero."""

    def read(written: str) -> float:
        nanoseconds = durations.parse(written)
        _require(written, nanoseconds >= 0 if zero else nanoseconds > 0)
        return nanoseconds / durations.NANOSECONDS

    bound = "0 or more" if zero else "more than 0"
    expected = f"expected a duration such as 90s or 1h30m, {bound}"
    return Leaf(read, expected, show_seconds, _too_short, "duration")


def lifetime() -> Leaf:
    """A Go duration in seconds of which zero and less mean never, shown and read as 0."""

    def read(written: str) -> float:
        return max(durations.parse(written), 0) / durations.NANOSECONDS

    expected = "expected a duration such as 168h, or 0 for never"
    return Leaf(read, expected, show_seconds, _too_short, "duration")


def size(kind: str = "size") -> Leaf:
    """A size in bytes."""
    return Leaf(sizes.parse, "expected a size such as 500GB or 10GiB", sizes.write, kind=kind)


def rate() -> Leaf:
    """Bytes a second, written as a size."""
    return size("size a second")


def http_url(example: str, *, path: bool) -> Leaf:
    """An http or https address without credentials, query or trailing slash."""

    def read(written: str) -> str:
        parts = _split(written)
        _require(written, parts.scheme in {"http", "https"} and _is_host(parts))
        _require(written, not (parts.query or parts.fragment or "@" in parts.netloc))
        address = parts.path.rstrip("/")
        _require(written, path or not address)
        return f"{parts.scheme}://{parts.netloc}{address}"

    expected = f"expected an address such as {example}, without credentials"
    return Leaf(read, expected, kind="address")


def web_address(example: str) -> Leaf:
    """An http or https address, with whatever it needs; shown without its secrets."""

    def read(written: str) -> WebAddress:
        parts = _split(written)
        _require(written, parts.scheme in {"http", "https"} and _is_host(parts))
        _require(written, written.isascii() and written.isprintable() and " " not in written)
        return WebAddress(written.partition("#")[0])

    return Leaf(read, f"expected an address such as {example}", show=str, kind="address")


def host() -> Leaf:
    """A host name, with or without a port."""

    def read(written: str) -> str:
        name = written.lower()
        return _require(name, _is_host(_split(f"//{name}")) and not re.search(r"[/@?#]", name))

    return Leaf(read, "expected a host name such as auth.docker.io", kind="host")


def network() -> Leaf:
    """An address or network of addresses as `ipaddress` writes it, or `unix`."""

    def read(written: str) -> str:
        return written if written == "unix" else str(ip_network(written, strict=False))

    expected = "expected a network such as 10.0.0.0/8, an address, or unix"
    return Leaf(read, expected, kind="network")


def header_name(written: str) -> bool:
    """Whether this may be the name of a header (RFC 9110, section 5.1)."""
    return _HEADER_NAME.fullmatch(written) is not None


def header_value() -> Leaf:
    """What may stand in a header (RFC 9110, section 5.5): printable, in one line."""
    return matching(re.compile(r"[\t\x20-\x7e\x80-\xff]*"), "a header's value, in one line")


def secret_header_value() -> Leaf:
    """As `header_value`, and never shown: it may well be a password or a token."""
    plain = header_value()
    return Leaf(lambda written: Secret(plain.read(written)), plain.expected, show=str)


def repository_pattern() -> Leaf:
    """A pattern of repository names."""

    def read(written: str) -> str:
        return _require(written, rules.is_pattern(written))

    expected = "expected a repository's name, with * and ** for what may differ in it"
    return Leaf(read, expected, kind="pattern")


def is_listen_address(written: str) -> bool:
    """Whether `listen_address` can read this."""
    try:
        listen_address(written)
    except ValueError:
        return False
    return True


def listen_address(written: str) -> tuple[str, int]:
    """Host and port of `host:port`, `[::1]:5000` or `:5000` (all interfaces); raises ValueError."""
    parts = _split(f"//{written}")
    _, colon, port = written.rpartition(":")
    _require(written, parts.netloc == written and "@" not in written and colon != "")
    _require(written, port.isascii() and port.isdecimal() and int(port) <= _HIGHEST_PORT)
    return parts.hostname or "", int(port)


def show_seconds(seconds: float) -> str:
    """Seconds as a Go duration."""
    return durations.write(round(seconds * durations.NANOSECONDS))


def _too_short(written: str) -> str | None:
    if durations.is_bare(written) and 0 < durations.parse(written) < durations.NANOSECONDS:
        return "a bare number counts nanoseconds; write the unit, such as 60s"
    return None


def _split(written: str) -> SplitResult:
    parts = urlsplit(written)
    _require(written, parts.port is None or parts.port <= _HIGHEST_PORT)
    return parts


def _is_host(parts: SplitResult) -> bool:
    name = parts.hostname or ""
    return "[" in parts.netloc or _HOST.fullmatch(name) is not None


def _require(value: str, holds: bool) -> str:
    if not holds:
        raise ValueError
    return value
