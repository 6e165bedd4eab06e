"""The quick start, done: its configuration runs, and commands that pages show run as they stand.

Addresses and folders of the pages are those of this test; upstreams are a registry beside it.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.accounts import accounts
from tests.docs.pages import PAGES, ROOT, Block, blocks
from tests.parts.clients import Podman
from tests.parts.containerd import Containerd
from tests.parts.images import Layout, random_layer
from tests.parts.process import Process, free_port
from tests.parts.registry import Registry
from tests.waiting import until

QUICK_START = [block for block in blocks(ROOT / "docs/quickstart.md") if block.language]
DEPLOYMENT = """\
kind: Deployment
spec: {template: {spec: {containers: [{name: app, image: "ghcr.io/owner/image:1"}]}}}
"""


def configuration(language: str, word: str) -> str:
    """The block of the quick start that has this word."""
    (found,) = (
        block.text for block in QUICK_START if block.language == language and word in block.text
    )
    return found


@dataclass
class Machine:
    """A machine with the cache and its clients, as somebody who reads the pages has it."""

    folder: Path
    port: int
    env: dict[str, str]

    def local(self, text: str) -> str:
        """What a page says, for this machine."""
        host = f"127.0.0.1:{self.port}"
        for said, meant in {
            "https://mirror.example:5000": f"http://{host}",
            "mirror.example:5000": host,
            "localhost:5000": host,
            "/etc/": f"{self.folder}/etc/",
        }.items():
            text = text.replace(said, meant)
        return text

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """By bash, in the folder that is also the home."""
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", self.local(command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            env=self.env,
        )


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Has what the pages pull, for two architectures."""
    folder = tmp_path_factory.mktemp("upstream")
    made = Layout(folder / "images")
    images = {
        name: made.add_image(f"on-{name}", [random_layer(20_000, seed)], name)
        for seed, name in enumerate(("amd64", "arm64"))
    }
    with Registry(folder / "registry") as registry:
        for name in ("library/alpine:latest", "library/alpine:3.20", "owner/image:1"):
            repository, _, tag = name.partition(":")
            made.add_index(tag, images)
            made.push(tag, registry.host, repository)
        yield registry


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, upstream: Registry) -> Machine:
    folder, port = tmp_path_factory.mktemp("machine"), free_port()
    upstreams = {"NAME": "docker.io", "REMOTEURL": upstream.url}
    env = {
        **os.environ,
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        "HOME": str(folder),
        "REGISTRY_CONFIGURATION_PATH": str(folder / "etc/entrepot/config.yml"),
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(folder / "root"),
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_HTTP_DEBUG_ADDR": f"127.0.0.1:{free_port()}",
        "REGISTRY_PROXY_REMOTEURL": upstream.url,
        "REGISTRY_PROXY_UPSTREAMS_0_REMOTEURL": upstream.url,
        "REGISTRY_FRONTEND_WORKERS": "1",
        **{f"REGISTRY_PROXY_UPSTREAMS_1_{key}": value for key, value in upstreams.items()},
    }
    env.update(Podman(folder / "podman").env)
    # The page's own file is used; and entrepot takes the other for a setting, as distribution does.
    del env["CONTAINERS_REGISTRIES_CONF"], env["REGISTRY_AUTH_FILE"]
    made = Machine(folder, port, env)
    for name, content in {
        "etc/entrepot/config.yml": configuration("yaml", "remoteurl"),
        "etc/containerd/certs.d/docker.io/hosts.toml": configuration("toml", "server ="),
        # A user's own folder instead of the machine's /etc/containers/registries.conf.d.
        ".config/containers/registries.conf.d/mirror.conf": configuration("toml", "[[registry]]"),
        "images.txt": "alpine:3.20\nghcr.io/owner/image:1\n",
        "deployment.yml": DEPLOYMENT,
        ".config/fish/completions/entrepot.fish": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(made.local(content))
    return made


@pytest.fixture(scope="module")
def cache(machine: Machine) -> Iterator[Machine]:
    """With all that the commands need, running, and something cached."""
    argv = [f"{ROOT}/.venv/bin/entrepot", "serve", str(machine.folder / "etc/entrepot/config.yml")]
    process = Process(argv, log=machine.folder / "log", env=machine.env)
    try:
        with Containerd(machine.folder / "containerd") as containerd:
            process.until_listening(machine.port, 30)
            machine.env.update(containerd.env)
            until(lambda: machine.run("entrepot status").returncode == 0, 30, "all roles to live")
            for command in accounts().run:
                if command.startswith("skopeo copy --src"):
                    machine.run(command)
            yield machine
    finally:
        assert process.terminate(20) == 0, process.output()


@pytest.mark.parametrize("command", accounts().run)
def test_a_command_runs_as_it_stands(command: str, cache: Machine) -> None:
    done = cache.run(command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_answers_as_the_quick_start_says(cache: Machine) -> None:
    assert cache.run("curl -s http://localhost:5000/v2/").stdout.strip() == "{}"
    told = cache.run(next(command for command in accounts().run if "ns=docker.io" in command))
    assert told.stdout.lower().count("oci-namespace: docker.io") == 1


def test_clients_that_use_it_as_their_mirror_have_it_cache_what_they_pull(cache: Machine) -> None:
    cache.run("podman pull docker.io/library/alpine")
    cache.run("skopeo copy docker://ghcr.io/owner/image:1 dir:image")
    cache.run("ctr images pull --hosts-dir /etc/containerd/certs.d docker.io/library/alpine:latest")
    listed = cache.run("entrepot ls").stdout
    for repository in ("library/alpine", "ghcr.io/owner/image", "docker.io/library/alpine"):
        assert f"{repository} " in listed


@pytest.mark.parametrize("block", QUICK_START, ids=lambda block: block.text.split()[0])
def test_a_file_that_another_page_shows_too_is_the_same_there(block: Block) -> None:
    (clients,) = (page for page in PAGES if page.name == "clients.md")
    if "remoteurl" not in block.text:
        shown = " ".join(clients.read_text().split())
        assert " ".join(block.text.split()) in shown


def test_make_run_serves(tmp_path: Path, upstream: Registry) -> None:
    port = free_port()
    environment = {
        "HOME": str(tmp_path),
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_PROXY_REMOTEURL": upstream.url,
        "REGISTRY_FRONTEND_WORKERS": "1",
    }
    process = Process(["make", "run"], log=tmp_path / "log", env=environment, cwd=ROOT)
    try:
        until(lambda: "entrepot serves" in process.output(), 30, process.log.name)
        assert (tmp_path / ".local/share/entrepot").is_dir()
    finally:
        process.terminate(20)
    assert "status=0" in process.output().splitlines()[-1]
