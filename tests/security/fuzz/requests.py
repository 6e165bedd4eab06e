"""Random requests: real ones, changed until little of them is left."""

import random
from dataclasses import dataclass
from itertools import pairwise

from tests.security.fuzz.canaries import CLIENT_TOKEN
from tests.security.fuzz.content import BLOB, MANIFEST, REPOSITORY, digest_of

METHODS = ["GET"] * 12 + ["HEAD"] * 4 + ["PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE",
    "CONNECT", "get", "", "G ET", "PROPFIND", "X" * 300, "\x00", "GÉT"]  # fmt: skip
BITS = ["..", "/", "//", "%2e%2e", "%2f", "%2F", "%00", "%0d%0a", "%", "%zz", "\\", "?", "#", "&", "=", ";",
    ":", "@", "_layers", "_uploads", "sha256:", "sha512:", "0" * 64, "a" * 300, "v2", "blobs",
    "manifests", "tags", "list", "referrers", "_catalog", "%c0%ae", "é", "\x7f", "~", "*", "{}",
    "ns=", "n=", "last=", "\t", " "]  # fmt: skip
VALUES = ["", "0", "-1", "1", "99999999999999999999", "bytes=0-0", "bytes=-1", "bytes=5-2",
    "bytes=0-1,3-4", "bytes=" + "1-2," * 99, "chunked", "identity", "gzip, chunked", "close",
    "keep-alive", "upgrade", "websocket", "h2c", "*", '"', 'W/"x"', "x" * 5000, "\x00", "\xff\xfe",
    "a\x0bb", "() { :;}", "100-continue", "text/html", "application/vnd.oci.image.index.v1+json",
    "../../etc/passwd", "127.0.0.1", "[::1]:99999", ",,,,", "é"]  # fmt: skip
NAMES = ["Host", "Range", "If-Range", "If-None-Match", "If-Match", "Accept", "Accept-Encoding",
    "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "X-Forwarded-For",
    "X-Forwarded-Proto", "X-Request-Id", "Authorization", "Cookie", "Content-Type", "Te", "Trailer",
    "Proxy-Connection", "HTTP2-Settings", "Sec-WebSocket-Key", "Forwarded", "X" * 200, "", "a b",
    "Content-Length ", "\x00", "é"]  # fmt: skip
# What a request announces that ends where its body, or another protocol, would begin.
ANNOUNCED = [
    ["Content-Length: 1000000"],
    ["Content-Length: 999999999999999999999999"],
    ["Transfer-Encoding: chunked"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Expect: 100-continue", "Content-Length: 5"],
    ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
    ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 7"],
]  # fmt: skip


@dataclass(frozen=True)
class Wire:
    """Bytes to send, in pieces; the methods of the requests in them, and whether it ends there.

    `due` says that an answer must come: what is asked for is nothing that takes time.
    """

    pieces: list[bytes]
    methods: list[str]
    ends: bool
    due: bool = False


class Requests:
    """An endless row of them; the same for the same seed."""

    def __init__(self, seed: int, misses: float) -> None:
        """`misses` is the share of requests for things that are asked of an upstream."""
        self._random = random.Random(seed)
        self._misses = misses
        self._seed = seed
        self._count = 0

    def next(self) -> Wire:
        """What is sent on one connection."""
        chance = self._random
        if chance.random() < self._misses:
            method, request = self._well_formed(self._missing_path())
            return Wire([request], [method], ends=False)
        if chance.random() < 0.03:
            method, request = self._announcing()
            return Wire([request], [method], ends=False, due=True)
        requests = [self._one() for _ in range(chance.choice([1] * 8 + [2, 3, 5]))]
        data = b"".join(request for _, request in requests)
        ends = chance.random() < 0.1
        if ends:
            data = data[: chance.randrange(len(data) + 1)]
        return Wire(self._split(data), [method for method, _ in requests], ends)

    def _one(self) -> tuple[str, bytes]:
        chance = self._random
        if chance.random() < 0.2:
            return self._well_formed(self._path())
        if chance.random() < 0.05:
            return "", chance.randbytes(chance.randrange(1, 300)) + b"\r\n\r\n"
        method = chance.choice(METHODS)
        path = self._path()
        for _ in range(chance.choice([0, 0, 1, 1, 2, 4])):
            path = self._changed(path, BITS)
        version = chance.choice(
            ["HTTP/1.1"] * 12 + ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "", "http/1.1"]
        )
        fields = self._fields()
        line_end = chance.choice(["\r\n"] * 20 + ["\n", "\r", "\r\n\r\n"])
        text = line_end.join([f"{method} {path} {version}", *fields]) + line_end * 2
        data = text.encode("utf-8" if chance.random() < 0.5 else "latin-1", "replace")
        for _ in range(chance.choice([0] * 6 + [1, 3])):
            data = self._flipped(data)
        return method, data + self._body()

    def _well_formed(self, path: str) -> tuple[str, bytes]:
        method = self._random.choice(["GET", "GET", "HEAD"])
        fields = ["Host: cache", "Connection: close", f"Authorization: Bearer {CLIENT_TOKEN}"]
        text = "\r\n".join([f"{method} {path} HTTP/1.1", *fields]) + "\r\n\r\n"
        return method, text.encode("latin-1", "replace")

    def _announcing(self) -> tuple[str, bytes]:
        chance = self._random
        method = chance.choice(["GET", "GET", "HEAD", "POST", "PUT", "PATCH"])
        head = [f"{method} {chance.choice(['/', '/v2/'])} HTTP/1.1", "Host: cache"]
        text = "\r\n".join([*head, *chance.choice(ANNOUNCED)]) + "\r\n\r\n"
        return method, text.encode("latin-1")

    def _fields(self) -> list[str]:
        chance = self._random
        fields = ["Host: cache", "Connection: close"][chance.random() < 0.05 :]
        for _ in range(chance.choice([0, 1, 1, 2, 3, 8])):
            colon = chance.choice([": "] * 12 + [":", " : ", "", ":\t", ":\r\n "])
            value = chance.choice([*VALUES, f"Bearer {CLIENT_TOKEN}", self._changed("x", BITS)])
            fields.append(f"{chance.choice(NAMES)}{colon}{value}")
        if chance.random() < 0.01:
            fields += [f"X-{number}: y" for number in range(150)]
        return fields

    def _body(self) -> bytes:
        chance = self._random
        if chance.random() < 0.8:
            return b""
        return chance.choice(
            [
                b"0\r\n\r\n",
                b"5\r\nhello\r\n0\r\n\r\n",
                b"ffffffffffffffff\r\n",
                b"-1\r\n",
                b"x" * 999,
            ]
        )

    def _path(self) -> str:
        chance = self._random
        name = chance.choice([REPOSITORY, REPOSITORY, "library/none", "up01/library/app"])
        blob, manifest = digest_of(BLOB), digest_of(MANIFEST)
        return chance.choice(
            [
                "/", "/v2/", "/v2/_catalog?n=5", f"/v2/{name}/tags/list?n=2&last=a",
                f"/v2/{name}/blobs/{blob}", f"/v2/{name}/manifests/v1", f"/v2/{name}/manifests/{manifest}",
                f"/v2/{name}/blobs/{blob}?ns=up01", f"/v2/{name}/referrers/{manifest}",
                f"/v2/{name}/blobs/uploads/", "/v1/search?q=x", "*", f"http://cache/v2/{name}/manifests/v1",
            ]
        )  # fmt: skip

    def _missing_path(self) -> str:
        """Something new, of one of the upstreams."""
        chance = self._random
        self._count += 1
        name = f"up{chance.randrange(40):02}/fuzz/n{self._seed}-{self._count}"
        digest = f"sha256:{chance.getrandbits(256):064x}"
        held = chance.choice([digest_of(BLOB), digest_of(MANIFEST), digest])
        return chance.choice(
            [f"/v2/{name}/manifests/v1"] * 3
            + [f"/v2/{name}/manifests/{held}", f"/v2/{name}/blobs/{held}", f"/v2/{name}/tags/list"]
            + [f"/v2/{name}/referrers/{held}"]
        )

    def _changed(self, text: str, bits: list[str]) -> str:
        chance = self._random
        where = chance.randrange(len(text) + 1)
        until = min(len(text), where + chance.choice([0, 0, 1, 5]))
        return text[:where] + chance.choice(bits) + text[until:]

    def _flipped(self, data: bytes) -> bytes:
        changed = bytearray(data)
        changed[self._random.randrange(len(changed))] = self._random.randrange(256)
        return bytes(changed)

    def _split(self, data: bytes) -> list[bytes]:
        cuts = sorted(
            self._random.randrange(len(data) + 1)
            for _ in range(self._random.choice([0, 0, 0, 1, 3]))
        )
        edges = [0, *cuts, len(data)]
        return [data[start:end] for start, end in pairwise(edges)]
