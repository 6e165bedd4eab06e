"""A registry whose answers are right, or wrong in some random way."""

import asyncio
import gzip
import json
import random
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from tests.security.fuzz.canaries import REGISTRY_TOKEN, SIGNATURE
from tests.security.fuzz.content import BLOB, INDEX, MANIFEST, digest_of

STATUSES = ["100", "101", "103", "200", "201", "204", "206", "226", "300", "301", "302", "303", "304",
    "305", "307", "308", "400", "401", "402", "403", "404", "405", "406", "408", "409", "410", "416",
    "418", "421", "425", "429", "431", "451", "500", "501", "502", "503", "504", "507", "511", "599",
    "600", "999", "000", "-1", "20", "2000", "abc", ""]  # fmt: skip
LINES = ["HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/9.9", "ICY", "http/1.1", "HTTP", "", "\x00"]
TYPES = ["", "text/html", "application/json", "a/b; charset=\xff", "x" * 3000, "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.oci.image.index.v1+json", "multipart/byteranges; boundary=x"]  # fmt: skip
NUMBERS = [
    "0",
    "1",
    "-1",
    "+5",
    "5, 5",
    "5, 6",
    "0x10",
    "99999999999999999999",
    "1e9",
    "abc",
    " ",
    "\u0663",
]
DIGESTS = ["", "sha256:", "sha256:" + "0" * 64, "sha256:../../../evil", "sha512:" + "0" * 128, "md5:x",
    "sha256:" + "G" * 64, "x" * 9000]  # fmt: skip
DATES = ["0", "1", "-5", "999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT",
    "yesterday", "1e400", "NaN", "x" * 5000]  # fmt: skip
JSONS = [b"", b"{}", b"[]", b"null", b"0", b'"x"', b"{", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe",
    b'{"tags": null}', b'{"tags": 5}', b'{"tags": [null, 1, {}, "../../evil", "a\\u0000", "ok"]}',
    b'{"errors": []}', b'{"errors": [null]}', b'{"errors": [{"code": 1, "message": {}}]}',
    b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "\\r\\nX-Injected: 1"}]}',
    b'{"schemaVersion": 1}', b'{"schemaVersion": 2, "layers": 5, "config": []}',
    b'{"schemaVersion": 2, "layers": [null], "config": {"digest": 5}}',
    b'{"schemaVersion": 2, "mediaType": "a/b\\r\\nX-Injected: 1"}',
    b'{"schemaVersion": 2, "mediaType": 5, "manifests": [{"digest": "sha256:../evil", "size": -1}]}',
    b'{"schemaVersion": 2, "layers": [{"digest": "sha256:' + b"0" * 64 + b'", "size": 1e308, "urls": ["http://127.0.0.1/"]}]}',
    b'{"manifests": "x"}', b'{"manifests": [{"artifactType": {}, "annotations": 1}]}',
    b'{"token": ""}', b'{"token": "a\\r\\nb"}', b'{"token": 5, "expires_in": "x"}', b'{"access_token": []}',
    b'{"token": "t", "expires_in": 1e400}', b'{"token": "t", "expires_in": -1}']  # fmt: skip


@dataclass
class Draft:
    """An answer being spoilt."""

    line: str = "HTTP/1.1"
    status: str = "200"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    length: str | None = None

    def put(self, name: str, value: str) -> None:
        self.headers = [one for one in self.headers if one[0] != name] + [(name, value)]

    def data(self) -> bytes:
        length = str(len(self.body)) if self.length is None else self.length
        lines = [
            f"{self.line} {self.status} reason",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        if length != "none":
            lines.append(f"Content-Length: {length}")
        return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + self.body


class Answers:
    """Makes them; the same row for the same seed and the same row of requests."""

    def __init__(self, seed: int, port: int, attacker: int) -> None:
        self._random = random.Random(seed)
        self._home, self._attacker = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{attacker}"

    def to(self, path: str, headers: str, *, honest: bool) -> Draft:
        """One answer to a request: right in one case of five, and always when it is to be honest."""
        draft = self._right(path)
        if not honest and self._random.random() < 0.8:
            for _ in range(self._random.choice([1, 1, 2, 3])):
                self._random.choice(
                    [self._status, self._line, self._length, self._header, self._headers, self._challenge,
                     self._redirect, self._link, self._cut, self._body, self._chunked, self._echo,
                     self._unpack, self._range]
                )(draft, headers)  # fmt: skip
        return draft

    def _right(self, path: str) -> Draft:
        if "/token" in path:
            reply = {"token": REGISTRY_TOKEN, "expires_in": 60}
            return Draft(body=json.dumps(reply).encode())
        body, media_type = BLOB, "application/octet-stream"
        if "/manifests/" in path:
            body = INDEX if path.endswith("v1") and self._random.random() < 0.3 else MANIFEST
            media_type = json.loads(body)["mediaType"]
        elif "/referrers/" in path:
            body, media_type = INDEX, "application/vnd.oci.image.index.v1+json"
        elif "/tags/" in path:
            body, media_type = b'{"name": "x", "tags": ["a", "v1"]}', "application/json"
        draft = Draft(body=body, headers=[("Content-Type", media_type)])
        if "/manifests/" in path:
            draft.put("Docker-Content-Digest", digest_of(body))
        return draft

    def _status(self, draft: Draft, _: str) -> None:
        draft.status = self._random.choice(STATUSES)
        if self._random.random() < 0.3:
            draft.put("Retry-After", self._random.choice(DATES))

    def _line(self, draft: Draft, _: str) -> None:
        draft.line = self._random.choice(LINES)

    def _length(self, draft: Draft, _: str) -> None:
        draft.length = self._random.choice([*NUMBERS, "none", str(len(draft.body) + 1)])

    def _header(self, draft: Draft, _: str) -> None:
        name, values = self._random.choice(
            [("Content-Type", TYPES), ("Docker-Content-Digest", DIGESTS), ("ETag", DIGESTS),
             ("Content-Encoding", ["gzip", "br", "x", "identity"]), ("Connection", ["close", "x", ""]),
             ("RateLimit-Remaining", ["0;w=21600", "-1", "x", "9" * 99]), ("Set-Cookie", ["a=b"]),
             ("OCI-Filters-Applied", ["x", "artifactType"]), ("Retry-After", DATES), ("Trailer", ["X"])]
        )  # fmt: skip
        draft.put(name, self._random.choice(values))

    def _headers(self, draft: Draft, _: str) -> None:
        draft.headers += self._random.choice(
            [[(f"X-{number}", "y") for number in range(150)], [("X", "y" * 100_000)], [("", "")],
             [("no colon\r\nX", "y")], [("X", "a\r\n folded")], [("X", "\x00")], [("\x00", "x")],
             [("Content-Length", "5"), ("Content-Length", "6")]]
        )  # fmt: skip

    def _challenge(self, draft: Draft, _: str) -> None:
        chance = self._random
        realm = chance.choice(
            [f"{self._attacker}/token", f"{self._home}/token", "http://[::1", "ftp://x", "", "//x",
             f"http://x@127.0.0.1/{SIGNATURE}", "http://169.254.169.254/"]
        )  # fmt: skip
        draft.status = "401"
        draft.put(
            "WWW-Authenticate",
            chance.choice(
                [
                    f'Bearer realm="{realm}",service="x",scope="y"',
                    f"Bearer realm={realm}",
                    "Bearer",
                    'Basic realm="x"',
                    "Basic",
                    "Negotiate abc==",
                    ",,,",
                    "Bearer " + "a=b," * 3000,
                    f'Bearer realm="{realm}',
                    f'Basic x, Bearer realm="{realm}"',
                    "\\" * 999,
                ]
            ),
        )

    def _redirect(self, draft: Draft, _: str) -> None:
        draft.status = self._random.choice(["301", "302", "303", "307", "308"])
        draft.put(
            "Location",
            self._random.choice(
                [
                    f"{self._attacker}/blob?X-Amz-Signature={SIGNATURE}",
                    f"{self._home}/v2/x/blobs/y",
                    "/v2/loop/blobs/z",
                    "",
                    "http://169.254.169.254/latest",
                    "http://10.0.0.1/",
                    "file:///etc/passwd",
                    "http://[::1",
                    "http://127.0.0.1:99999/",
                    "gopher://x",
                    "x" * 9000,
                    "\x00",
                    "//",
                    "http:///",
                    f"http://user:word@127.0.0.1/{SIGNATURE}",
                    "http://0x7f000001/",
                    "?",
                ]
            ),
        )

    def _link(self, draft: Draft, _: str) -> None:
        draft.put(
            "Link",
            self._random.choice(
                [
                    f'<{self._attacker}/v2/x/tags/list?last=a>; rel="next"',
                    '</v2/x/tags/list>; rel="next"',
                    "<>; rel=next",
                    "<" * 9000,
                    "<a>;" * 2000,
                    "<http://[::1>; rel=next",
                    '<?last=b>; rel="next"',
                ]
            ),
        )

    def _cut(self, draft: Draft, _: str) -> None:
        draft.length = str(len(draft.body))
        draft.body = draft.body[: self._random.randrange(len(draft.body) + 1)]

    def _body(self, draft: Draft, _: str) -> None:
        chance = self._random
        draft.body = chance.choice([*JSONS, chance.randbytes(500), b" " * 5_000_000, BLOB + b"x"])

    def _chunked(self, draft: Draft, _: str) -> None:
        draft.put(
            "Transfer-Encoding", self._random.choice(["chunked", "chunked", "gzip, chunked", "x"])
        )
        draft.length = self._random.choice(["none", None])
        size = b"%x\r\n" % len(draft.body)
        draft.body = self._random.choice(
            [size + draft.body + b"\r\n0\r\n\r\n", size + draft.body, b"zz\r\n", b"-5\r\n", b"f" * 40 + b"\r\n",
             b"5;" + b"x" * 70_000 + b"\r\nhello\r\n0\r\n\r\n"]
        )  # fmt: skip

    def _echo(self, draft: Draft, headers: str) -> None:
        """Say back what was sent, credentials and all."""
        draft.status = self._random.choice(["400", "401", "403", "404", "429", "500", "503"])
        draft.body = json.dumps({"errors": [{"code": "DENIED", "message": headers}]}).encode()

    def _unpack(self, draft: Draft, _: str) -> None:
        draft.put("Content-Encoding", "gzip")
        draft.body = gzip.compress(b" " * 1_000_000)

    def _range(self, draft: Draft, _: str) -> None:
        draft.status = self._random.choice(["206", "416", "200"])
        draft.put(
            "Content-Range",
            self._random.choice(
                ["bytes 0-0/1", "bytes */5", "bytes 5-1/2", "x", "bytes 0-9/" + "9" * 30]
            ),
        )

    def delivery(self) -> str:
        """How it is put on the wire."""
        return self._random.choice(["whole"] * 10 + ["reset", "nothing", "slow", "halves", "kept"])


class Upstream:
    """The registry, and the attacker's server it points at, on a thread of their own."""

    def __init__(self, seed: int) -> None:
        self.answered = 0
        self.honest = False
        self.stolen: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._sockets = [socket.create_server(("127.0.0.1", 0), backlog=200) for _ in range(2)]
        self.port, self.attacker = (each.getsockname()[1] for each in self._sockets)
        self._answers = Answers(seed, self.port, self.attacker)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everybody."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        registry, attacker = self._sockets
        servers = [
            self._loop.run_until_complete(asyncio.start_server(self._serve, sock=registry)),
            self._loop.run_until_complete(asyncio.start_server(self._steal, sock=attacker)),
        ]
        self._loop.run_forever()
        for server in servers:
            server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._answer(
                (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"), writer
            ):
                pass
        writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow on the connection."""
        method, path = [*head.split(" ", 2), "", ""][:2]
        self.answered += 1
        draft = self._answers.to(path.partition("?")[0], head, honest=self.honest)
        if method == "HEAD" and draft.length is None:
            draft.length, draft.body = str(len(draft.body)), b""
        data = draft.data()
        delivery = "whole" if self.honest else self._answers.delivery()
        if delivery in {"reset", "nothing"}:
            data = data[: len(data) // 2] if delivery == "reset" else b""
        if delivery in {"slow", "halves"}:
            writer.write(data[: len(data) // 2])
            await writer.drain()
            await asyncio.sleep(0.05)
            data = data[len(data) // 2 :]
        writer.write(data)
        await writer.drain()
        if delivery == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return delivery == "kept"

    async def _steal(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if "authorization" in head.lower():
                self.stolen.append(head)
            body = BLOB
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()
