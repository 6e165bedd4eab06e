"""docs/migration.md, done: from Debian's docker-registry to entrepot on the same file, and back."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from common.digest import Digest
from common.messages import Kind
from common.paths import Layout as Paths
from common.reference import RepositoryName
from tests.docs.accounts import accounts
from tests.docs.pages import ROOT, blocks, commands
from tests.parts.clients import Skopeo
from tests.parts.images import Layout, random_layer
from tests.parts.process import Process, free_port
from tests.parts.registry import Registry
from tests.waiting import until

PAGE = ROOT / "docs/migration.md"
BLOCKS = list(blocks(PAGE))
DISTRIBUTION = "docker-registry serve /etc/docker/registry/config.yml"

# What somebody adds who stays, and may leave there on the way back.
MORE = """\
  upstreams:
    - name: ghcr.io
      remoteurl: {url}
janitor:
  maxsize: 10GB
"""


def shown(beginning: str) -> str:
    """The page's command that begins so."""
    (found,) = (
        each.command
        for each in commands(accounts().programs)
        if each.page == "docs/migration.md" and each.command.startswith(beginning)
    )
    return found


@dataclass
class Mirror:
    """A machine with a mirror as the page describes it: its file, its variables, its folder."""

    folder: Path
    upstream: Registry
    images: Layout
    port: int

    @property
    def file(self) -> Path:
        """The configuration."""
        return self.folder / "etc/docker/registry/config.yml"

    @property
    def env(self) -> dict[str, str]:
        """What of it is of this machine."""
        return {
            "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(self.folder / "var/lib/registry"),
            "REGISTRY_HTTP_ADDR": f"127.0.0.1:{self.port}",
            "REGISTRY_PROXY_REMOTEURL": self.upstream.url,
            "REGISTRY_FRONTEND_WORKERS": "1",
        }

    def local(self, command: str) -> list[str]:
        """The page's command, for this machine's folders."""
        words = command.replace("/etc/docker", f"{self.folder}/etc/docker")
        return words.replace("/var/lib", f"{self.folder}/var/lib").split()

    def attempt(self, command: str) -> subprocess.CompletedProcess[str]:
        """What becomes of it."""
        return subprocess.run(
            self.local(command), capture_output=True, text=True, check=False, env=self.env
        )

    def run(self, command: str) -> str:
        """What it says on standard output; it has to work."""
        done = self.attempt(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, command: str) -> Iterator[None]:
        """The mirror, by this program, which is asked to end afterwards."""
        log = self.folder / "log"
        process = Process(self.local(command), log=log, env=self.env)
        try:
            process.until_listening(self.port, 30)
            yield
        finally:
            process.terminate(20)

    def pull(self, name: str) -> Digest:
        """The digest of what skopeo gets, checked."""
        with TemporaryDirectory(dir=self.folder) as target:
            return Skopeo().copy(f"127.0.0.1:{self.port}/{name}", Path(target)).digest

    def until_stored(self, name: str, digest: Digest) -> None:
        """Wait for what was pulled to be in the folder: either program's client has it before."""
        paths = Paths(str(self.folder / "var/lib/registry"))
        repository = RepositoryName(name)
        # The link is what comes last.
        links = [
            Path(paths.link(Kind.LAYER, repository, blob)) for blob in self.images.blobs_of(digest)
        ]
        until(lambda: all(link.exists() for link in links), 20, "the cache to be written")

    def extend(self) -> None:
        """Have the file say more than distribution knows."""
        line = "  remoteurl: https://registry-1.docker.io\n"
        text = self.file.read_text()
        assert line in text
        self.file.write_text(text.replace(line, line + MORE.format(url=self.upstream.url)))


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with Registry(tmp_path / "upstream") as upstream:
        images = Layout(tmp_path / "images")
        for seed, name in enumerate(("before", "meanwhile", "later")):
            images.add_image(name, [random_layer(50_000, seed)])
            images.push(name, upstream.host, "library/app")
        images.push("meanwhile", upstream.host, "owner/image")
        made = Mirror(tmp_path, upstream, images, free_port())
        made.file.parent.mkdir(parents=True)
        (written,) = (block.text for block in BLOCKS if block.language == "yaml")
        made.file.write_text(written)
        yield made


def test_what_check_says_is_what_the_page_says(mirror: Mirror) -> None:
    (said,) = (block.text for block in BLOCKS if block.language == "text")
    argv = mirror.local(shown("entrepot check"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=mirror.env)
    assert done.returncode == 0
    assert said in done.stderr.replace(str(mirror.file), "config.yml")


def test_there_and_back_again(mirror: Mirror) -> None:
    with mirror.running(DISTRIBUTION):
        before = mirror.pull("library/app:before")
        mirror.until_stored("library/app", before)

    mirror.upstream.stop()
    with mirror.running(shown("entrepot serve")):
        assert mirror.pull("library/app:before") == before

    mirror.upstream.start()
    mirror.extend()
    with mirror.running(shown("entrepot serve")):
        meanwhile = mirror.pull("library/app:meanwhile")
        assert mirror.pull("ghcr.io/owner/image:meanwhile") == meanwhile
        for name in ("library/app", "ghcr.io/owner/image"):
            mirror.until_stored(name, meanwhile)
        assert "ghcr.io/owner/image " in mirror.run(shown("entrepot ls"))
        # It is not well before every process has told of itself.
        until(lambda: mirror.attempt(shown("entrepot status")).returncode == 0, 30)
        assert "1 frontend," in mirror.run(shown("entrepot status"))

    with mirror.running(DISTRIBUTION):
        later = mirror.pull("library/app:later")
        mirror.until_stored("library/app", later)
        mirror.upstream.stop()
        assert mirror.pull("library/app:before") == before
        assert mirror.pull("library/app:meanwhile") == meanwhile
        assert mirror.pull("ghcr.io/owner/image:meanwhile") == meanwhile

    mirror.run(shown("rm -r"))
    with mirror.running(shown("entrepot serve")):
        for name, digest in {"before": before, "meanwhile": meanwhile, "later": later}.items():
            assert mirror.pull(f"library/app:{name}") == digest
