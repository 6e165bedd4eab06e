"""`entrepot verify`."""

import os
import pty
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from common.tags import Tags

APP = RepositoryName("library/app")
ENTREPOT = ".venv/bin/entrepot"


@dataclass
class Folder:
    """A storage folder, and the configuration that names it."""

    layout: Layout
    config: Path

    def fill(self, content: bytes, *, linked: bool = True, kind: Kind = Kind.LAYER) -> Digest:
        digest = Digest.of(content)
        FileBlobStore(self.layout).put(digest, content)
        if linked:
            Links(self.layout).add(kind, APP, digest)
        return digest

    def verify(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ENTREPOT, "verify", *options, str(self.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root, config = tmp_path / "root", tmp_path / "config.yml"
    root.mkdir()
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n"
        "proxy: {remoteurl: 'https://registry.example'}\njanitor: {grace: 1m}\n"
    )
    return Folder(Layout(str(root)), config)


def older(path: str) -> None:
    stamp = time.time() - 3600
    os.utime(path, (stamp, stamp))


def test_what_is_right_is_said_to_be_and_the_status_is_0(folder: Folder) -> None:
    folder.fill(b"a layer" * 1000)
    folder.fill(b"a manifest", kind=Kind.MANIFEST)
    done = folder.verify()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("7.0 kB verified in ")
    assert done.stdout.endswith("all is well\n")


def test_a_corrupt_blob_is_told_and_put_aside_and_the_status_is_1(folder: Folder) -> None:
    good, bad, short = folder.fill(b"good"), folder.fill(b"bad"), folder.fill(b"too short")
    Path(folder.layout.blob(bad)).write_bytes(b"BAD")
    os.truncate(folder.layout.blob(short), 3)
    done = folder.verify()
    assert done.returncode == 1
    told = "corrupt; put aside, the next pull fetches it anew"
    assert f"{bad}: {told}\n" in done.stdout
    assert f"{short}: {told}\n" in done.stdout
    assert done.stdout.endswith(": 2 corrupt\n")
    assert os.path.exists(folder.layout.blob(good))
    assert not os.path.exists(folder.layout.blob(bad))
    assert Path(folder.layout.quarantine, f"sha256.{bad.hex}").read_bytes() == b"BAD"


def test_what_lacks_its_counterpart_is_told(folder: Folder) -> None:
    gone = folder.fill(b"gone")
    os.unlink(folder.layout.blob(gone))
    orphan, young = folder.fill(b"orphan", linked=False), folder.fill(b"young", linked=False)
    older(folder.layout.blob(orphan))
    tags = Tags(folder.layout)
    tags.point(APP, Tag("lost"), Digest.of(b"no such manifest"))
    tags.point(APP, Tag("1"), folder.fill(b"manifest", kind=Kind.MANIFEST))
    done = folder.verify()
    assert done.returncode == 1
    found = sorted(done.stdout.splitlines()[:-1])
    assert found == sorted(
        [
            f"{APP}@{gone}: dangling: the layer is not here",
            f"{APP}:lost: dangling: its manifest is not here",
            f"{orphan}: orphan: no repository links it",
        ]
    )
    assert os.path.exists(folder.layout.blob(young))


def test_what_another_registry_linked_is_no_orphan(folder: Folder) -> None:
    digest = folder.fill(b"content")
    older(folder.layout.blob(digest))
    os.unlink(folder.layout.reference(Kind.LAYER, APP, digest))
    assert folder.verify().returncode == 0


def test_the_limit_is_kept(folder: Folder) -> None:
    folder.fill(b"x" * 3_000_000)
    begun = time.monotonic()
    assert folder.verify("--limit", "2MB").returncode == 0
    assert time.monotonic() - begun > 1.4


@pytest.mark.parametrize("limit", ["fast", "10G", "-1"])
def test_a_limit_that_is_no_size_is_wrong_usage(folder: Folder, limit: str) -> None:
    done = folder.verify(f"--limit={limit}")
    assert done.returncode == 2
    assert "expected a size such as 100MB" in done.stderr


def test_a_folder_that_is_not_there_fails(folder: Folder) -> None:
    os.rmdir(folder.layout.root)
    done = folder.verify()
    assert done.returncode == 1
    assert "no such folder" in done.stderr


def test_on_a_terminal_a_bar_shows_how_far_it_is(folder: Folder) -> None:
    folder.fill(b"x" * 5_000_000)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [ENTREPOT, "verify", "--limit", "5MB", str(folder.config)],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while b"% of 5.0 MB" not in seen:
            seen += os.read(ours, 1000)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"[#" in seen
