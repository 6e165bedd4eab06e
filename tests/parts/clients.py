"""The container clients that pull through us: skopeo and podman (containerd has its own module).

None touches the machine's own configuration or storage.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.digest import Digest


class PullError(Exception):
    """The client gave up; its own words are the message."""


@dataclass(frozen=True)
class Pulled:
    """What a client says it has.

    `digest` is the manifest's, `blobs` those that it checked and kept where it tells them,
    `names` every manifest digest it knows the image by: an index's and the image's own.
    """

    digest: Digest
    blobs: frozenset[Digest] = frozenset()
    names: frozenset[Digest] = frozenset()


def run(argv: Sequence[str], env: Mapping[str, str] | None = None, within: float = 120.0) -> bytes:
    """The program's standard output; raises PullError with its standard error."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=within,
        check=False,
        env=None if env is None else {**os.environ, **env},
    )
    if done.returncode != 0:
        raise PullError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


class Skopeo:
    """skopeo over plain HTTP; a reference is `host:port/name:tag` or `host:port/name@digest`."""

    def raw(self, reference: str) -> bytes:
        """The manifest, as it was received."""
        return run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"])

    def copy(self, reference: str, folder: Path, *, every_platform: bool = False) -> Pulled:
        """Pull into `folder`, and check each file in it against the digest that it is named by.

        Of an index only this platform's image, unless `every_platform`.
        """
        options = ["--quiet", "--src-tls-verify=false", *(["--all"] if every_platform else [])]
        run(["skopeo", "copy", *options, f"docker://{reference}", f"dir:{folder}"])
        blobs = []
        for path in folder.iterdir():
            if path.name in ("version", "manifest.json") or path.name.endswith(".manifest.json"):
                continue
            digest = Digest(f"sha256:{path.name}")
            assert digest.matches(path.read_bytes()), f"skopeo wrote a wrong {digest}"
            blobs.append(digest)
        return Pulled(Digest.of((folder / "manifest.json").read_bytes()), frozenset(blobs))


class Podman:
    """podman with storage and configuration in `folder`.

    `env` is what makes a podman, or a skopeo, that one starts oneself use them too.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._registries = folder / "registries.conf"
        self._registries.write_text("unqualified-search-registries = []\n")
        policy = folder / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (folder / "auth.json").write_text("{}")
        (folder / "containers.conf").write_text(
            f'[network]\nnetwork_config_dir = "{folder}/networks"\n'
            f'[engine]\ntmp_dir = "{folder}/tmp"\n'
            'cgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n'
        )
        self._policy = policy
        self.env = {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self._registries),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
        }

    def mirror(self, registry: str, location: str) -> None:
        """From now on pull images of `registry` from `location` (`host:port[/prefix]`)."""
        self._registries.write_text(
            f'[[registry]]\nprefix = "{registry}"\nlocation = "{registry}"\n'
            f'[[registry.mirror]]\nlocation = "{location}"\ninsecure = true\n'
        )

    def pull(self, reference: str) -> Pulled:
        """Forget all images, pull this one, unpack it, and say what came."""
        self._run("rmi", "--all", "--force")
        policy = ["--signature-policy", str(self._policy)]
        self._run("pull", "--quiet", "--tls-verify=false", *policy, reference)
        (image,) = json.loads(self._run("image", "inspect", reference))
        names = frozenset(Digest(name.rpartition("@")[2]) for name in image["RepoDigests"])
        return Pulled(Digest(image["Digest"]), names=names)

    def _run(self, *arguments: str) -> bytes:
        return run(["podman", *arguments], self.env)
