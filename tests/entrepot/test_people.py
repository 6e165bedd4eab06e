"""`entrepot status`, `ls`, `evict`, `queue`: against a cache that runs, and one that does not."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.broker import Broker
from common.broker.opening import open_broker
from common.digest import Digest
from common.messages import FetchBlob, Queue
from common.reference import RepositoryName
from common.source import Source
from tests.common.insight.store import Store
from tests.parts.counting import Upstream
from tests.parts.faults import HoldBody
from tests.parts.images import Layout
from tests.parts.terminal import Session
from tests.system.cluster import Cluster, cluster
from tests.waiting import until

PROGRAM = ".venv/bin/entrepot"
ROLES = ("frontend", "fetcher", "janitor")
SECTIONS = {"frontend": {"workers": 1}, "proxy": {"namespaces": ["docker.io"]}}


class Idle:
    """A cache that is configured and filled, and nothing of it runs."""

    def __init__(self, folder: Path, queue: str = "", more: str = "") -> None:
        self.store = Store(folder / "root")
        self.file = folder / "config.yml"
        self.queue = queue or f"sqlite://{folder}/queue.db"
        self.file.write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {folder / 'root'}}}{more}}}\n"
            f"queue: {{url: '{self.queue}'}}\n"
            "proxy:\n  remoteurl: https://registry-1.docker.io\n"
            "  upstreams: [{name: ghcr.io, remoteurl: 'https://ghcr.io'}]\n"
        )

    def broker(self) -> Broker:
        return open_broker(self.queue, name="entrepot: test")


@pytest.fixture
def idle(tmp_path: Path) -> Idle:
    return Idle(tmp_path)


def run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    option = [str(file)] if arguments[0] == "status" else ["--config", str(file)]
    return subprocess.run(
        [PROGRAM, *arguments, *option],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def said(file: Path, *arguments: str) -> Any:
    """What a command says to a program."""
    return json.loads(run(file, *arguments, "--json").stdout)


@pytest.fixture(scope="module")
def served(
    image: Layout, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Upstream]]:
    with Upstream() as upstream:
        image.put_into(upstream.content, "real", "library/app", as_tag="1")
        folder = tmp_path_factory.mktemp("served")
        with cluster(folder, upstream.url, None, *ROLES, **SECTIONS) as running:
            yield running, upstream


def test_status_tells_who_is_alive_and_a_download_under_way(
    served: tuple[Cluster, Upstream], image: Layout
) -> None:
    running, upstream = served
    until(lambda: set(said(running.file, "status")["alive"]) == set(ROLES), 30)
    *_, layer = image.blobs_of(image.tagged("real"))
    hold = HoldBody(after=1_000_000)
    upstream.fail(f"*/blobs/{layer}", hold)
    warming = [PROGRAM, "warm", "--server", f"http://{running.host}", "app:1"]
    with subprocess.Popen(warming, stdout=subprocess.DEVNULL) as process:
        until(lambda: _is_under_way(running, layer), 30)
        done = run(running.file, "status")
        hold.release()
        assert process.wait(60) == 0
    assert done.returncode == 0
    assert "processes  1 frontend, 1 fetcher, 1 janitor" in done.stdout
    assert f"  {layer.hex[:12]} [" in done.stdout
    assert ", library/app" in done.stdout
    until(lambda: not said(running.file, "status")["fills"], 30)


def _is_under_way(running: Cluster, layer: Digest) -> bool:
    """Whether bytes of this very layer have come, and it is known of whom and how many."""
    fills = [fill for fill in said(running.file, "status")["fills"] if fill["digest"] == layer]
    return any(all(fill[told] for told in ("received", "size", "repositories")) for fill in fills)


def test_what_was_evicted_is_gone_at_once_and_comes_back_with_the_next_pull(
    served: tuple[Cluster, Upstream], image: Layout
) -> None:
    running, upstream = served
    warming = ("warm", "--server", f"http://{running.host}", "app:1")
    assert run(running.file, *warming).returncode == 0
    (told,) = said(running.file, "ls")
    assert (told["name"], told["tags"], told["manifests"]) == ("library/app", 1, 1)
    done = run(running.file, "evict", "library/app:1", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert said(running.file, "ls") == []
    blobs = image.blobs_of(image.tagged("real"))
    until(lambda: not any(Path(running.layout.blob(blob)).exists() for blob in blobs), 30)
    upstream.forget()
    assert run(running.file, *warming).returncode == 0
    assert upstream.seen("*/blobs/*", "GET")


def test_status_without_processes_says_what_is_missing_and_fails(idle: Idle) -> None:
    idle.store.add_image("library/app", "1", [b"x"])
    done = run(idle.file, "status")
    assert done.returncode == 1
    for role in ROLES:
        assert f"problem    no {role} is alive" in done.stdout
    assert "problem    the queue does not answer" in done.stdout
    assert not Path(idle.queue.removeprefix("sqlite://")).exists()


def test_status_is_shown_again_and_again_on_a_terminal_until_interrupted(idle: Idle) -> None:
    argv = [PROGRAM, "status", "--watch", "0.2", str(idle.file)]
    with Session(argv) as session:
        until(lambda: session.output().count("cache      ") >= 3, 30)
        # A frame may be half drawn.
        until(lambda: sum("cache" in line for line in session.screen().lines) == 1, 10)
        session.type("\x03")
        assert session.exit_code() == 0


def test_ls_tells_tags_and_what_is_untagged(idle: Idle) -> None:
    digest = idle.store.add_image("ghcr.io/owner/app", "1", [b"x" * 2000])
    other = idle.store.add_image("ghcr.io/owner/app", None, [b"y"])
    done = run(idle.file, "ls", "ghcr.io/owner/app")
    assert done.returncode == 0
    assert f"1    {digest[:19]}  image  2.3 kB" in done.stdout
    assert "in 7 d" in done.stdout or "in 6 d" in done.stdout
    assert other in done.stdout


def test_ls_takes_the_names_that_clients_use(idle: Idle) -> None:
    idle.store.add_image("library/alpine", "3", [b"x"])
    for name in ("alpine", "docker.io/alpine", "library/alpine"):
        assert run(idle.file, "ls", name).returncode == 0


def test_ls_lists_a_page(idle: Idle) -> None:
    for name in ("a/a", "a/b", "a/c"):
        idle.store.add_image(name, "1", [b"x"])
    assert [each["name"] for each in said(idle.file, "ls", "--limit", "2")] == ["a/a", "a/b"]
    assert [each["name"] for each in said(idle.file, "ls", "--after", "a/b")] == ["a/c"]
    assert [each["name"] for each in said(idle.file, "ls", "--match", "/b")] == ["a/b"]
    assert "--after a/b" in run(idle.file, "ls", "--limit", "2").stdout


def test_a_reader_that_leaves_early_is_no_mistake(idle: Idle) -> None:
    for number in range(50):
        idle.store.add_image(f"a/n{number}", "1", [b"x"])
    read, write = os.pipe()
    os.close(read)
    argv = [PROGRAM, "ls", "--config", str(idle.file)]
    done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_evict_asks_on_a_terminal_and_takes_a_no(idle: Idle) -> None:
    idle.store.add_image("library/app", "1", [b"x"])
    argv = [PROGRAM, "evict", "app:1", "--config", str(idle.file)]
    for answer, status, left in (("n\n", 1, ["1"]), ("\n", 1, ["1"]), ("y\n", 0, [])):
        with Session(argv) as session:
            until(lambda session=session: "[y/N]" in session.output(), 30)  # type: ignore[misc]
            session.type(answer)
            assert session.exit_code() == status
        assert idle.store.tags.names(RepositoryName("library/app")) == left


def test_evict_asks_nobody_where_nobody_could_answer(idle: Idle) -> None:
    idle.store.add_image("library/app", "1", [b"x"])
    done = run(idle.file, "evict", "app")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert said(idle.file, "ls") != []


def test_evict_only_tells_in_a_dry_run(idle: Idle) -> None:
    idle.store.add_image("library/app", "1", [b"x"])
    done = run(idle.file, "evict", "app:1", "--dry-run")
    assert (done.returncode, "1 manifests, 2 layers" in done.stdout) == (0, True)
    assert said(idle.file, "ls") != []


def test_evict_without_a_queue_says_that_blobs_go_later(idle: Idle) -> None:
    idle.store.add_image("library/app", "1", [b"x"])
    done = run(idle.file, "evict", "app:1", "--yes")
    assert done.returncode == 0
    assert "next sweep" in done.stdout


def test_evict_touches_nothing_while_the_cache_is_read_only(tmp_path: Path) -> None:
    idle = Idle(tmp_path, more=", maintenance: {readonly: {enabled: true}}")
    idle.store.add_image("library/app", "1", [b"x"])
    done = run(idle.file, "evict", "app:1", "--yes")
    assert done.returncode == 1
    assert "read-only" in done.stderr
    assert said(idle.file, "ls") != []


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("ls", "absent"), 1, "library/absent: nothing of it is cached"),
        (("evict", "absent:1", "--yes"), 1, "absent:1: nothing of it is cached"),
        (("evict", "a:-", "--yes"), 2, "expected REPOSITORY[:TAG|@DIGEST]"),
        (("evict", "Upper", "--yes"), 2, "Upper: no repository"),
        (("queue",), 1, "nothing has run here yet"),
        (("queue", "retry"), 2, "--all"),
        (("queue", "drop", "a", "--all"), 2, "--all"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_to_do(
    idle: Idle, arguments: tuple[str, ...], status: int, told: str
) -> None:
    done = run(idle.file, *arguments)
    assert done.returncode == status
    assert told in done.stderr
    assert len(done.stderr.splitlines()) >= 2
    assert "Traceback" not in done.stderr


def test_a_storage_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/none}}}}\n"
        "proxy: {remoteurl: 'https://registry.example'}\n"
    )
    for command in ("status", "ls"):
        done = run(file, command)
        assert done.returncode == 1
        assert f"{tmp_path}/none: No such file or directory" in done.stderr


@pytest.fixture(params=["embedded", "rabbitmq"])
def letters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Idle, Broker]]:
    """A queue with three dead letters, and nobody who consumes."""
    queue = "" if request.param == "embedded" else request.getfixturevalue("amqp_url")
    idle = Idle(tmp_path, queue)
    refusing = idle.broker()
    refusing.consume([Queue.INTERACTIVE], 1, lambda delivery: delivery.reject("no\x1b[31m"))
    until(lambda: refusing.connected)
    for name in (b"a", b"b", b"c"):
        source = Source("", RepositoryName("library/app"))
        job = FetchBlob(source=source, digest=Digest.of(name))
        refusing.publish(Queue.INTERACTIVE, job).result(10)
    until(lambda: refusing.dead() == 3)
    refusing.close()
    broker = idle.broker()
    until(lambda: broker.connected)
    yield idle, broker
    broker.close()


def test_dead_letters_are_listed_tried_again_and_dropped(letters: tuple[Idle, Broker]) -> None:
    idle, broker = letters
    shown = run(idle.file, "queue")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "dead letters: 3" in shown.stdout
    assert f"blob:library/app@{Digest.of(b'a')}" in shown.stdout
    assert "\x1b" not in shown.stdout
    until(lambda: broker.dead() == 3)
    first, second, third = (each["id"] for each in said(idle.file, "queue")["letters"])
    until(lambda: broker.dead() == 3)
    assert run(idle.file, "queue", "retry", first).stdout == "1 dead letters queued again\n"
    until(lambda: broker.depth(Queue.INTERACTIVE) == 1)
    until(lambda: broker.dead() == 2)
    assert run(idle.file, "queue", "drop", second).returncode == 2
    until(lambda: broker.dead() == 2)
    assert run(idle.file, "queue", "drop", second, "--yes").returncode == 0
    until(lambda: broker.dead() == 1)
    gone = run(idle.file, "queue", "retry", first, third)
    assert gone.returncode == 1
    assert "1 of 2 dead letters" in gone.stderr
    until(lambda: broker.dead() == 0)
    assert run(idle.file, "queue", "drop", "--all", "--yes").stdout == "0 dead letters dropped\n"
