"""Clients that pull, abort and pull again without a pause, and judge every answer."""

import hashlib
import http.client
import random
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass

from tests.chaos.disturbances import Disturbances
from tests.chaos.goods import ABSENT, Goods, Image

# A request that takes longer hangs. Above any patience and any stop of a process.
_HUNG = 90.0
_READ = 256 * 1024
# After a failure, so that a cache that is down is not asked a thousand times a second.
_BREATH = 0.2
# Longer than an upstream's failure is remembered.
_AGAIN = 20.0


@dataclass
class Failure:
    """An answer that was not what it should have been; `cause` None: nothing permitted it."""

    what: str
    method: str
    path: str
    status: int | None
    served_by: str | None
    began: float
    """Seconds after the start of the run."""
    took: float
    cause: str | None
    body: str = ""


class Receipts:
    """What all shoppers got; for any thread."""

    def __init__(self, disturbances: Disturbances) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.wrong: list[Failure] = []
        self.bytes = 0
        self.slowest = 0.0
        self.origin = time.monotonic()
        self._disturbances = disturbances
        self._lock = threading.Lock()

    def count(self, what: str, size: int = 0) -> None:
        """Something went as it should."""
        with self._lock:
            self.counts[what] += 1
            self.bytes += size

    def time(self, seconds: float) -> None:
        """A request that was answered right took this long."""
        with self._lock:
            self.slowest = max(self.slowest, seconds)

    def note(self, failure: Failure) -> None:
        """Something did not; `cause` is found here."""
        began = failure.began
        failure.cause = self._disturbances.cause(
            failure.path,
            began,
            began + failure.took,
            failure.served_by,
            bodiless=failure.what == "refused",
        )
        failure.began = began - self.origin
        with self._lock:
            self.counts[failure.what] += 1
            if failure.what == "wrong":
                self.wrong.append(failure)
            self.failures.append(failure)

    def unexplained(self) -> list[Failure]:
        """Failures that nothing permitted; wrong answers are never permitted."""
        with self._lock:
            return [each for each in self.failures if each.cause is None or each.what == "wrong"]

    @staticmethod
    def shown(failure: Failure) -> dict[str, object]:
        """For the report."""
        return {**asdict(failure), "began": round(failure.began, 2), "took": round(failure.took, 2)}


class Refused(Exception):
    """No right answer; it has been noted."""


@dataclass
class Wanted:
    """What the right answer is."""

    path: str
    method: str = "GET"
    status: int = 200
    start: int = 0
    body: bytes | None = None
    """None: judged by whoever asked."""


class Shopper:
    """One client with one connection to the load balancer."""

    def __init__(self, goods: Goods, port: int, receipts: Receipts, seed: int) -> None:
        self._goods = goods
        self._receipts = receipts
        self._rng = random.Random(seed)
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def shop(self, stop: threading.Event) -> None:
        """Pull until told to stop."""
        while not stop.is_set():
            try:
                self._errand()
            except Refused:
                stop.wait(_BREATH)
        self.leave()

    def pull_everything(self) -> list[str]:
        """Pull every tag of every repository once; those that could not be, as texts.

        Again where an earlier failure may still be remembered; what is not is noted as always.
        """
        missing = [
            f"{repository}:{tag}"
            for repository in self._goods.repositories
            for tag in self._goods.tags(repository)
            if not self._pull_within(repository, tag, _AGAIN)
        ]
        self.leave()
        return missing

    def _pull_within(self, repository: str, tag: str, seconds: float) -> bool:
        """Whether a pull succeeded, tried again and again for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.pull(repository, tag, whole=True)
            except Refused:
                threading.Event().wait(_BREATH)
            else:
                return True
        return False

    def leave(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _errand(self) -> None:
        rng, goods = self._rng, self._goods
        # Some are asked for all the time, some so seldom that they expire in between.
        repository = rng.choices(goods.repositories, _popularity(len(goods.repositories)))[0]
        if rng.random() < 0.04:
            self._ask_for_what_is_not_there(repository)
            return
        tags = goods.tags(repository)
        tag = rng.choices(tags, _popularity(len(tags)))[0]
        self.pull(repository, tag, whole=rng.random() < 0.6)

    def pull(self, repository: str, tag: str, *, whole: bool) -> None:
        """A tag's manifest and its blobs; not `whole`: some in part, some given up in the middle.

        Raises Refused at the first answer that is not right.
        """
        image = self._manifest(repository, tag)
        blobs = list(image.blobs)
        self._rng.shuffle(blobs)
        for digest in blobs:
            self._blob(f"/v2/{repository}/blobs/{digest}", self._goods.bytes[digest], whole=whole)
        self._receipts.count("whole pulls" if whole else "pulls in parts")

    def _manifest(self, repository: str, tag: str) -> Image:
        path = f"/v2/{repository}/manifests/{tag}"
        answer = self._ask(Wanted(path))
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        image = self._goods.image(repository, tag, digest)
        if image is None or answer.digest != digest:
            self._note("wrong", answer)
            raise Refused
        self._receipts.count("manifests by tag", len(answer.body))
        return image

    def _blob(self, path: str, content: bytes, *, whole: bool) -> None:
        chance = 1.0 if whole else self._rng.random()
        if chance < 0.25:
            self._abort(path, content)
        elif chance < 0.35:
            self._ask(Wanted(path, method="HEAD", body=content))
            self._receipts.count("HEAD of blobs")
        elif chance < 0.8:
            start = self._rng.randrange(len(content))
            end = self._rng.randint(start + 1, len(content))
            self._ask(Wanted(path, status=206, start=start, body=content[start:end]))
            self._receipts.count("ranges of blobs", end - start)
        else:
            self._ask(Wanted(path, body=content))
            self._receipts.count("blobs", len(content))

    def _ask_for_what_is_not_there(self, repository: str) -> None:
        path = f"/v2/{repository}/manifests/{ABSENT}"
        foreign = self._goods.foreign(repository)
        if foreign and self._rng.random() < 0.7:
            path = f"/v2/{repository}/blobs/{self._rng.choice(foreign)}"
        self._ask(Wanted(path, status=404))
        self._receipts.count("404 where due")

    def _abort(self, path: str, content: bytes) -> None:
        asked = _Asked(Wanted(path, body=content))
        try:
            response = self._send(asked)
            if response.status == http.HTTPStatus.OK:
                # Not judged: before the end a body may be wrong, then the end does not come.
                response.read(self._rng.randrange(len(content)))
        except (OSError, http.client.HTTPException) as error:
            self._fail(asked, error)
        finally:
            self.leave()
        if asked.status != http.HTTPStatus.OK:
            self._judge(asked)
        self._receipts.count("given up in the middle")

    def _ask(self, wanted: Wanted) -> "_Asked":
        asked = _Asked(wanted)
        try:
            response = self._send(asked)
            asked.read(response)
        except (OSError, http.client.HTTPException) as error:
            self._fail(asked, error)
        self._judge(asked)
        return asked

    def _send(self, asked: "_Asked") -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_HUNG)
        wanted = asked.wanted
        headers = {}
        if wanted.status == http.HTTPStatus.PARTIAL_CONTENT and wanted.body is not None:
            headers["Range"] = f"bytes={wanted.start}-{wanted.start + len(wanted.body) - 1}"
        self._connection.request(wanted.method, wanted.path, headers=headers)
        response = self._connection.getresponse()
        asked.head(response)
        return response

    def _fail(self, asked: "_Asked", error: Exception) -> None:
        self.leave()
        asked.note = repr(error)
        self._note("hung" if isinstance(error, TimeoutError) else "cut", asked)
        raise Refused from error

    def _judge(self, asked: "_Asked") -> None:
        """Return if the answer is the right one."""
        wanted = asked.wanted
        if asked.status != wanted.status:
            refused = asked.status in (502, 503, 504)
            self._note("refused" if refused else "wrong", asked)
            raise Refused
        if asked.is_cut:
            self.leave()
            self._note("cut", asked)
            raise Refused
        if wanted.body is not None and not asked.is_right:
            self._note("wrong", asked)
            raise Refused
        self._receipts.time(time.monotonic() - asked.began)

    def _note(self, what: str, asked: "_Asked") -> None:
        self._receipts.note(
            Failure(
                what,
                asked.wanted.method,
                asked.wanted.path,
                asked.status,
                asked.served_by,
                asked.began,
                time.monotonic() - asked.began,
                None,
                asked.note or (asked.body[:300].decode(errors="replace") if asked.is_error else ""),
            )
        )


def _popularity(count: int) -> list[float]:
    return [1 / (1 + rank) ** 1.2 for rank in range(count)]


class _Asked:
    """A request under way, and as much of its answer as there is."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.began = time.monotonic()
        self.status: int | None = None
        self.served_by: str | None = None
        self.digest: str | None = None
        self.length = 0
        self.body = b""
        self.note = ""

    def head(self, response: http.client.HTTPResponse) -> None:
        """Take status and headers."""
        self.status = response.status
        self.served_by = response.getheader("X-Served-By")
        self.digest = response.getheader("Docker-Content-Digest")
        self.length = int(response.getheader("Content-Length") or 0)

    def read(self, response: http.client.HTTPResponse) -> None:
        """Take the body, to its end or to where it was cut."""
        parts = []
        try:
            while part := response.read(_READ):
                parts.append(part)
        finally:
            self.body = b"".join(parts)

    @property
    def is_error(self) -> bool:
        """Whether the body says what went wrong."""
        return self.status is not None and self.status >= http.HTTPStatus.BAD_REQUEST

    @property
    def is_cut(self) -> bool:
        """Whether less came than was announced."""
        return self.wanted.method != "HEAD" and len(self.body) != self.length

    @property
    def is_right(self) -> bool:
        """Whether what came is what the upstream has."""
        wanted = self.wanted.body
        if self.wanted.method == "HEAD":
            return wanted is not None and self.length == len(wanted)
        return self.body == wanted
