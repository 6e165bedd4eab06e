"""`entrepot warm`, against a cache that runs: on a terminal, in a pipe, and when things go wrong."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.digest import Digest
from tests.parts.counting import Upstream
from tests.parts.faults import Cut, HoldBody, Status
from tests.parts.images import Layout, random_layer
from tests.parts.ranged import starts
from tests.parts.terminal import Session
from tests.system.cluster import Cluster, cluster
from tests.waiting import until

PROGRAM = ".venv/bin/entrepot"
LARGE = 3_000_000


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """`one`: an image of two layers; `many`: an index of two such images."""
    made = Layout(tmp_path_factory.mktemp("image"))
    made.add_image("one", [random_layer(20_000, seed=1), random_layer(LARGE, seed=2)])
    images = {
        name: made.add_image(f"on-{name}", [random_layer(50_000, seed=len(name))], name)
        for name in ("amd64", "arm64")
    }
    made.add_index("many", images)
    return made


@pytest.fixture(scope="module")
def cache(
    layout: Layout, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Upstream]]:
    with Upstream() as upstream:
        folder = tmp_path_factory.mktemp("cache")
        roles = ("frontend", "fetcher", "janitor")
        sections = {"frontend": {"workers": 1}, "proxy": {"namespaces": ["docker.io"]}}
        with cluster(folder, upstream.url, None, *roles, **sections) as running:
            yield running, upstream


@pytest.fixture
def running(cache: tuple[Cluster, Upstream]) -> Cluster:
    return cache[0]


@pytest.fixture
def upstream(cache: tuple[Cluster, Upstream]) -> Upstream:
    cache[1].heal()
    return cache[1]


def put(layout: Layout, upstream: Upstream, tag: str, repository: str) -> list[Digest]:
    """Have the upstream hold an image under a name of its own; its blobs, the largest last.

    Blobs are stored once for all, so each test has a repository of its own and asks for links.
    """
    layout.put_into(upstream.content, tag, repository, as_tag="1")
    return layout.blobs_of(layout.tagged(tag)) if tag == "one" else []


def warm(cluster: Cluster, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "warm", "--server", f"http://{cluster.host}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        input=stdin,
    )


def fresh(layout: Layout, upstream: Upstream, repository: str, seed: int) -> list[Digest]:
    """An image whose large layer nobody has yet."""
    layout.add_image(repository, [random_layer(10_000, seed), random_layer(LARGE, seed + 1000)])
    layout.put_into(upstream.content, repository, f"library/{repository}", as_tag="1")
    return layout.blobs_of(layout.tagged(repository))


def test_in_a_pipe_it_prints_plain_lines_and_all_of_the_image_is_cached(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    blobs = fresh(layout, upstream, "plain", 10)
    done = warm(running, "plain:1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "docker.io/library/plain:1"
    assert sorted(line.split(":")[0] for line in lines[1:4]) == sorted(
        digest.hex[:12] for digest in blobs
    )
    assert lines[4] == f"digest: {layout.tagged('plain')}"
    assert lines[5].startswith("docker.io/library/plain:1: cached, 3 blobs, 3.0 MB in ")
    upstream.stop()
    try:
        assert running.blob("library/plain", blobs[-1]).digest == blobs[-1]
    finally:
        upstream.start()


def test_on_a_terminal_the_bars_move_while_the_upstream_is_slow(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    *_, large = fresh(layout, upstream, "moving", 20)
    name = large.hex[:12]
    hold = HoldBody(after=LARGE // 2)
    upstream.fail(f"*/blobs/{large}", hold)
    argv = [PROGRAM, "warm", "--server", f"http://{running.host}", "moving:1"]
    with Session(argv) as session:

        def drawn() -> list[tuple[str, str]]:
            return re.findall(
                rf"{name}: \[(=+>? *)\] ([0-9.]+ [kMG]?B) of 3.0 MB", session.output()
            )

        # What is held back upstream is seen as far as it has come; then the rest.
        until(lambda: any("=>" in shown for shown, _ in drawn()), 30, session.output())
        # A frame may be half drawn.
        until(lambda: f"{name}: [" in "\n".join(session.screen().lines), 10)
        hold.release()
        assert session.exit_code() == 0
        screen = "\n".join(session.screen().lines)
    assert f"{name}: done, 3.0 MB in " in screen
    assert "[=" not in screen
    assert "\x1b[32mdone\x1b[0m" in session.output()


def test_no_color_is_heeded_on_a_terminal(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    fresh(layout, upstream, "grey", 30)
    argv = [PROGRAM, "warm", "--server", f"http://{running.host}", "grey:1"]
    with Session(argv, env={"NO_COLOR": "1"}) as session:
        assert session.exit_code() == 0
        assert "m" not in re.findall(r"\x1b\[[0-9;]*([A-Za-z])", session.output())


def test_it_goes_on_where_the_connection_to_the_cache_broke(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    *_, large = fresh(layout, upstream, "broken", 40)
    # More cuts than the fetcher has tries: the cache has to give up in the middle of the answer.
    upstream.fail(f"*/blobs/{large}", Cut(after=1000, reset=True), times=3)
    done = warm(running, "broken:1")
    assert (done.returncode, done.stderr) == (0, "")
    assert running.blob("library/broken", large).digest == large


def test_interrupted_it_says_so_and_what_has_arrived_is_not_fetched_again(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    small, other, large = fresh(layout, upstream, "halfway", 50)
    hold = HoldBody(after=LARGE // 2)
    upstream.fail(f"*/blobs/{large}", hold)
    upstream.forget()
    argv = [PROGRAM, "warm", "--server", f"http://{running.host}", "halfway:1"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(hold.reached.is_set, 30)
        until(lambda: Path(running.layout.blob(other)).exists(), 30)
        process.send_signal(signal.SIGINT)
        hold.release()
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 1
    assert complaint.startswith("entrepot warm: interrupted")
    assert "Traceback" not in complaint
    assert warm(running, "halfway:1").returncode == 0
    for digest in (small, other, large):
        # Large ones come in parts; no part comes twice.
        parts = starts(upstream.seen(f"*/blobs/{digest}", "GET"))
        assert parts[0] == 0
        assert len(set(parts)) == len(parts)


def test_an_image_that_is_not_there_is_told_and_the_others_are_warmed_all_the_same(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    fresh(layout, upstream, "present", 60)
    done = warm(running, "absent:1", "present:1")
    assert done.returncode == 1
    assert "entrepot warm: docker.io/library/absent:1: http" in done.stderr
    assert "404 MANIFEST_UNKNOWN" in done.stderr
    assert "proxy.upstreams" in done.stderr
    assert "docker.io/library/present:1: cached" in done.stdout
    assert done.stdout.endswith("1 of 2 images are cached\n")


def test_a_layer_that_cannot_be_had_fails_the_image(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    *_, large = fresh(layout, upstream, "gone", 70)
    upstream.fail(f"*/blobs/{large}", Status(404), methods=("GET", "HEAD"))
    done = warm(running, "gone:1")
    assert done.returncode == 1
    assert f"{large.hex[:12]}: failed: " in done.stdout
    assert "answered 404" in done.stderr


def test_of_an_index_the_platforms_that_are_asked_for_are_warmed(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    put(layout, upstream, "many", "library/many")
    upstream.forget()
    assert warm(running, "--platform", "linux/arm64", "many:1").returncode == 0
    arm, amd = (layout.tagged(f"on-{name}") for name in ("arm64", "amd64"))
    assert upstream.seen(f"*/manifests/{arm}")
    assert not upstream.seen(f"*/manifests/{amd}")
    assert warm(running, "--platform", "all", "many:1").returncode == 0
    assert upstream.seen(f"*/manifests/{amd}")


def test_a_platform_that_is_not_there_is_told_with_those_that_are(
    running: Cluster, upstream: Upstream, layout: Layout
) -> None:
    put(layout, upstream, "many", "library/manifold")
    done = warm(running, "--platform", "plan9/mips", "manifold:1")
    assert done.returncode == 1
    assert "there are linux/amd64, linux/arm64" in done.stderr


def test_images_come_from_a_list_or_a_kubernetes_manifest_too(
    running: Cluster, upstream: Upstream, layout: Layout, tmp_path: Path
) -> None:
    fresh(layout, upstream, "listed", 80)
    pod = tmp_path / "pod.yml"
    pod.write_text("kind: Pod\nspec: {containers: [{name: a, image: 'listed:1'}]}\n")
    done = warm(running, "--from", str(pod), "--from", "-", stdin="# a list\nlisted:1\n")
    assert done.returncode == 0
    assert done.stdout.count("cached") == 1


def test_a_cache_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    argv = [PROGRAM, "warm", "--server", "http://127.0.0.1:1", "alpine"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert "--server" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--server", "x"], "no image to warm"),
        (["--server", "x", "No Such Name"], "no image's name: No Such Name"),
        (["--server", "ftp://x", "alpine"], "--server: expected an address"),
        (["--server", "http://x:y", "alpine"], "--server: expected an address"),
        (["--server", "x", "--username", "me", "alpine"], "--password-file"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], told: str) -> None:
    argv = [PROGRAM, "warm", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert told in done.stderr
