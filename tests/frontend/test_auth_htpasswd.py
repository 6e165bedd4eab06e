"""Names and passwords: who comes in, what it costs, and what a flood of wrong ones does."""

import asyncio
import base64
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest
from falcon.testing import create_asgi_req

from common.config.auth import Htpasswd
from common.digest import Digest
from common.errors import ConfigError
from frontend.auth import passwords
from frontend.auth.access import Refused
from frontend.auth.attempts import Attempts
from frontend.auth.htpasswd import HtpasswdScheme
from frontend.auth.passwords import read
from frontend.auth.remembering import Memory
from frontend.callers import Callers
from tests.frontend.authenticating import htpasswd, write
from tests.frontend.stage import Answer, Stage, stage
from tests.parts.credentials import basic
from tests.waiting import until

USERS = {"alice": "wonderland", "bob": "x" * 80, "né": "für"}
ABSENT = Digest.of(b"absent")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("htpasswd")


@pytest.fixture(scope="module")
def front(folder: Path) -> Iterator[Stage]:
    file = htpasswd(folder / "htpasswd", USERS)
    auth = {"htpasswd": {"realm": 'the "mirror"', "path": file}}
    with stage(folder / "root", auth=auth) as opened:
        yield opened


def ask(front: Stage, path: str, user: str, password: str, method: str = "GET") -> Answer:
    return front.ask(path, method, {"Authorization": basic(user, password)})


def test_a_user_comes_in_and_gets_what_is_here(front: Stage) -> None:
    digest = front.store_blob("library/app", b"content")
    for user, password in USERS.items():
        assert ask(front, "/v2/", user, password).status == 200
        assert ask(front, f"/v2/library/app/blobs/{digest}", user, password).body == b"content"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/",
        "/v2",
        "/v2/library/app/manifests/latest",
        f"/v2/library/app/blobs/{ABSENT}",
        "/v2/library/app/blobs/nonsense",
        "/v2/UPPER/blobs/nonsense",
        "/v2/a%0d%0ab/blobs/nonsense",
        "/v2/library/app/tags/list?n=nonsense",
        "/v2/library/app/manifests/latest?ns=evil.example",
        "/v2/library/app/blobs/uploads/",
    ],
)
def test_who_shows_nothing_learns_nothing(front: Stage, path: str, method: str) -> None:
    here = front.store_blob("library/app", b"content")
    refused = front.ask(path, method)
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == 'Basic realm="the \\"mirror\\""'
    known = front.ask(f"/v2/library/app/blobs/{here}", method)
    assert known.body == refused.body
    untold = {"date", "x-request-id"}
    assert {k: v for k, v in known.headers.items() if k not in untold} == {
        k: v for k, v in refused.headers.items() if k not in untold
    }
    if method != "HEAD":
        assert json.loads(refused.body)["errors"][0]["code"] == "UNAUTHORIZED"


def test_the_root_answers_to_anybody(front: Stage) -> None:
    assert front.ask("/").status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        basic("alice", "Wonderland"),
        basic("alice", ""),
        basic("carol", "wonderland"),
        basic("", ""),
        basic("alice", "wonder\0land"),
        "Basic",
        "Basic %%%",
        "Basic " + base64.b64encode(b"alice").decode(),
        "Bearer " + base64.b64encode(b"alice:wonderland").decode(),
        "Basic " + "A" * 20_000,
        "Basic \xff\xfe",
    ],
)
def test_what_is_wrong_is_401(folder: Path, front: Stage, authorization: str) -> None:
    # The flood's guard must not answer in the password check's place: each its own failures.
    refill(front)
    assert front.ask("/v2/", headers={"Authorization": authorization}).status == 401


def refill(front: Stage) -> None:
    """Wait until a wrong attempt is looked at."""
    fresh = iter(range(10_000))
    until(
        lambda: ask(front, "/v2/", f"nobody{next(fresh)}", str(time.time_ns())).status == 401,
        within=20,
        what="an attempt to be looked at",
    )


def test_a_new_file_holds_within_seconds(tmp_path: Path) -> None:
    file = htpasswd(tmp_path / "htpasswd", {"alice": "old", "bob": "stays"})
    with stage(tmp_path / "root", auth={"htpasswd": {"realm": "r", "path": file}}) as front:
        assert ask(front, "/v2/", "alice", "old").status == 200
        assert ask(front, "/v2/", "bob", "stays").status == 200
        htpasswd(tmp_path / "htpasswd", {"bob": "stays"})
        until(lambda: ask(front, "/v2/", "alice", "old").status == 401, 10, "alice to be out")
        assert ask(front, "/v2/", "bob", "stays").status == 200
        os.unlink(file)
        until(lambda: ask(front, "/v2/", "bob", "stays").status == 503, 10, "nobody to get in")
        htpasswd(tmp_path / "htpasswd", {"alice": "new"})
        until(lambda: ask(front, "/v2/", "alice", "new").status == 200, 10, "alice to be back")


def test_who_comes_after_a_change_is_held_against_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the same is compared at this moment, for one who came before."""
    monkeypatch.setattr(passwords, "_LOOK_EVERY", 0.0)
    file = htpasswd(tmp_path / "htpasswd", {"alice": "wonderland"})
    shown = {"Authorization": basic("alice", "wonderland")}

    async def run() -> None:
        scheme = HtpasswdScheme(Htpasswd(realm="r", path=file), Callers())
        compares, goes_on = asyncio.Event(), asyncio.Event()
        matches = scheme._hashing.matches

        async def slowly(password: bytes, hashed: bytes) -> bool:
            compares.set()
            await goes_on.wait()
            return await matches(password, hashed)

        monkeypatch.setattr(scheme._hashing, "matches", slowly)
        before = asyncio.create_task(scheme.admit(create_asgi_req(headers=shown), ()))
        await compares.wait()
        htpasswd(tmp_path / "htpasswd", {"bob": "wonderland"})
        after = asyncio.create_task(scheme.admit(create_asgi_req(headers=shown), ()))
        await asyncio.sleep(0)  # it has looked at the file then
        goes_on.set()
        assert await before == "alice"
        with pytest.raises(Refused):
            await after

    asyncio.run(run())


def test_what_was_found_in_a_file_is_not_remembered_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the file changes in the very turn in which the comparison begins."""
    monkeypatch.setattr(passwords, "_LOOK_EVERY", 0.0)
    file = htpasswd(tmp_path / "htpasswd", {"alice": "wonderland"})
    shown = {"Authorization": basic("alice", "wonderland")}

    async def run() -> None:
        scheme = HtpasswdScheme(Htpasswd(realm="r", path=file), Callers())
        before = asyncio.create_task(scheme.admit(create_asgi_req(headers=shown), ()))
        await asyncio.sleep(0)  # it has asked for the comparison, which has not begun
        htpasswd(tmp_path / "htpasswd", {"bob": "wonderland"})
        with pytest.raises(Refused):
            await scheme.admit(create_asgi_req(headers={"Authorization": "Basic"}), ())
        assert await before == "alice"
        with pytest.raises(Refused):
            await scheme.admit(create_asgi_req(headers=shown), ())

    asyncio.run(run())


def test_many_connections_of_one_client_cost_one_comparison(tmp_path: Path) -> None:
    file = htpasswd(tmp_path / "htpasswd", {"ci": "secret"}, cost=14)
    with stage(tmp_path / "root", auth={"htpasswd": {"realm": "r", "path": file}}) as front:
        digest = front.store_blob("library/app", b"content")
        path = f"/v2/library/app/blobs/{digest}"
        front.ask("/")  # the worker has started by then
        used = cpu_seconds(front)
        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda _: ask(front, path, "ci", "secret"), range(24)))
        used = cpu_seconds(front) - used
    assert {answer.status for answer in answers} == {200}
    # At this cost a comparison takes far longer than all the rest of it.
    hashed = Path(file).read_bytes().strip().partition(b":")[2]
    one = time.process_time()
    assert bcrypt.checkpw(b"secret", hashed)
    one = time.process_time() - one
    assert used < 6 * one


def test_a_flood_of_wrong_passwords_is_held_off_and_users_are_served(tmp_path: Path) -> None:
    file = htpasswd(tmp_path / "htpasswd", {"ci": "secret"}, cost=10)
    with stage(tmp_path / "root", auth={"htpasswd": {"realm": "r", "path": file}}) as front:
        digest = front.store_blob("library/app", b"content")
        path = f"/v2/library/app/blobs/{digest}"
        assert ask(front, path, "ci", "secret").status == 200
        used = cpu_seconds(front)
        with ThreadPoolExecutor(8) as pool:
            guesses = pool.map(lambda n: ask(front, path, "ci", f"guess{n}").status, range(400))
            served = [ask(front, path, "ci", "secret").status for _ in range(50)]
            statuses = list(guesses)
        used = cpu_seconds(front) - used
    assert set(served) == {200}
    assert set(statuses) == {401, 503}
    # 400 comparisons of this cost would take some 20 seconds.
    assert statuses.count(401) < 100
    assert used < 10


def cpu_seconds(front: Stage) -> float:
    """Processor time of the frontend's worker."""
    children = Path(f"/proc/{front.process.pid}/task/{front.process.pid}/children").read_text()
    total = 0.0
    for pid in children.split():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def test_attempts_come_back_with_time() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(10):
        assert attempts.begin("mallory")
        attempts.end("mallory", was_right=False)
    assert not attempts.begin("mallory")
    assert attempts.begin("alice")
    now[0] += 1.5
    assert attempts.begin("mallory")


def test_right_passwords_are_never_held_off() -> None:
    attempts = Attempts(lambda: 0.0)
    for _ in range(1000):
        assert attempts.begin("proxy")
        attempts.end("proxy", was_right=True)


def test_what_one_client_tries_at_once_is_bounded() -> None:
    attempts = Attempts(lambda: 0.0)
    begun = sum(attempts.begin("mallory") for _ in range(1000))
    for _ in range(begun):
        attempts.end("mallory", was_right=False)
    assert begun == 32
    assert not attempts.begin("mallory")


def test_a_table_of_findings_holds_no_password_and_is_bounded() -> None:
    memory: Memory[str] = Memory()
    shown = basic("alice", "wonderland")
    memory.note(memory.key(shown), "alice", time.time() + 60)
    assert memory.recall(memory.key(shown)) == "alice"
    assert memory.key(shown) != Memory[str]().key(shown)
    for number in range(5000):
        memory.note(memory.key(str(number)), "x", time.time() + 60)
    assert len(memory._findings) == 4096
    assert memory.recall(memory.key(shown)) is None


def test_lines_that_are_not_bcrypt_let_nobody_in(tmp_path: Path) -> None:
    good = Path(htpasswd(tmp_path / "good", {"alice": "a"})).read_bytes()
    odd = b"bob:$apr1$x$yyyy\ncarol:plain\ndave:{SHA}abc\n"
    users = read(write(tmp_path / "mixed", b"# users\n\n", good, odd))
    assert set(users.hashes) == {b"alice"}
    assert users.odd_lines == (4, 5, 6)
    assert users.hash_of(b"bob") == users.nobody
    assert users.nobody[:7] == users.hashes[b"alice"].replace(b"$2y$", b"$2b$")[:7]


def test_a_line_that_is_no_entry_is_named_without_what_it_holds(tmp_path: Path) -> None:
    file = write(tmp_path / "broken", b"# users\nhunter2\n")
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value) == f"{file}:2: auth.htpasswd.path: expected user:hash"


def test_a_missing_file_stops_the_frontend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(str(tmp_path / "none"))
    assert str(caught.value).endswith(
        "expected a file made by htpasswd -B: No such file or directory"
    )
