"""A containerd of one's own, and its `ctr`."""

import shutil
import tempfile
from pathlib import Path
from typing import Self

from common.digest import Digest
from tests.parts.clients import Pulled, run
from tests.parts.process import Process
from tests.waiting import until

_CONFIGURATION = """\
version = 2
root = "{folder}/root"
state = "{state}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{state}/grpc"
[ttrpc]
  address = "{state}/ttrpc"
"""


class Containerd:
    """containerd with its content in `folder`; needs root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # A socket's path may have 107 bytes, and the folders of tests have long names.
        self._state = Path(tempfile.mkdtemp(prefix="ctr-"))
        self._process: Process | None = None

    def __enter__(self) -> Self:
        file = self._folder / "config.toml"
        file.write_text(_CONFIGURATION.format(folder=self._folder, state=self._state))
        argv = ["containerd", "--config", str(file), "--log-level", "warn"]
        process = self._process = Process(argv, log=self._folder / "containerd.log")
        until((self._state / "grpc").exists, 20, f"containerd to start; {process.log}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
        shutil.rmtree(self._state, ignore_errors=True)

    @property
    def env(self) -> dict[str, str]:
        """What makes a `ctr` that one starts oneself use it."""
        return {
            "CONTAINERD_ADDRESS": str(self._state / "grpc"),
            "CONTAINERD_SNAPSHOTTER": "native",
        }

    def mirror(self, registry: str, url: str, *, ca: str = "") -> None:
        """From now on pull images of `registry` from `url`, with `?ns=` as containerd does it.

        `ca` is the file of the authority that certifies the mirror.
        """
        hosts = self._folder / "hosts" / registry
        hosts.mkdir(parents=True, exist_ok=True)
        (hosts / "hosts.toml").write_text(
            f'server = "{url}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'
            + (f'  ca = "{ca}"\n' if ca else "")
        )

    def pull(self, reference: str, user: str = "") -> Pulled:
        """Pull over plain HTTP, through a mirror if one is set, and unpack; what came.

        containerd checks every blob against its digest before it keeps it.
        """
        hosts = self._folder / "hosts"
        how = ["--hosts-dir", str(hosts)] if hosts.exists() else ["--plain-http"]
        how += ["--user", user] if user else []
        self._ctr("images", "pull", *how, reference)
        for line in self._ctr("images", "list").decode().splitlines()[1:]:
            name, _media_type, digest, *_ = line.split()
            if name == reference:
                return Pulled(Digest(digest), self._content())
        raise AssertionError(f"{reference} was pulled and is not listed")

    def _content(self) -> frozenset[Digest]:
        names = self._ctr("content", "list", "--quiet").decode().split()
        return frozenset(Digest(name) for name in names)

    def _ctr(self, *arguments: str) -> bytes:
        return run(["ctr", *arguments], self.env)
