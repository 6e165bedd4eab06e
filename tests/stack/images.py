"""The images that compose.yml names: those there are, else pulled, else made on this machine.

Where none can be pulled, a base is made of Debian's packages under the name that Dockerfiles
begin with, and on it stand-ins of the others with the same interface: images/*.Dockerfile.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from tests.stack.engine import is_podman

BASE = "python:3.11-slim-bookworm"
OURS = "entrepot"
_ROOT = Path(__file__).parents[2]
_STAND_INS = Path(__file__).parent / "images"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def provide(client: docker.DockerClient, names: Iterable[str]) -> list[str]:
    """Have all of `names` in the engine, ours built anew; those that are stand-ins."""
    made = [] if _had(client, BASE) else [BASE]
    if made:
        _make_base(client)
    for name in sorted(set(names) - {OURS}):
        recipe = _STAND_INS / f"{name.rpartition('/')[2].partition(':')[0]}.Dockerfile"
        if not _had(client, name):
            _build(client, name, _STAND_INS, recipe)
            made.append(name)
    _build(client, OURS, _ROOT, _ROOT / "deploy/Dockerfile")
    return made


def health_check() -> list[str]:
    """What our image's own health check runs; by its recipe, as podman does not keep it."""
    recipe = (_ROOT / "deploy/Dockerfile").read_text()
    found = re.search(r"^HEALTHCHECK [^\[]*CMD (\[.*\])$", recipe, re.MULTILINE)
    assert found, "deploy/Dockerfile has no health check"
    argv: list[str] = json.loads(found[1])
    return argv


def _had(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        try:
            client.images.pull(name)
        except DockerException:
            return False
    return True


def _make_base(client: docker.DockerClient) -> None:
    with tempfile.TemporaryDirectory(prefix="entrepot-base-", dir="/var/tmp") as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        packages = "--include=ca-certificates,python3,python3-venv"
        _run("debootstrap", "--variant=minbase", packages, "bookworm", str(root))
        (root / "usr/bin/python").symlink_to("python3")
        # What it takes on this machine to be sure of the package index.
        certificates = root / _CERTIFICATES.relative_to("/")
        certificates.write_bytes(_CERTIFICATES.read_bytes())
        _run(
            "tar",
            "-C",
            str(root),
            "--exclude=./var/cache/apt/archives/*.deb",
            "-cf",
            str(archive),
            ".",
        )
        name, _, tag = BASE.partition(":")
        told = client.api.import_image_from_file(str(archive), repository=name, tag=tag)
        # podman 4.3 does not look at the tag.
        client.api.tag(json.loads(told.splitlines()[-1])["status"], name, tag)


def _build(client: docker.DockerClient, name: str, context: Path, recipe: Path) -> None:
    # podman can build without running containers, which works where those have no control groups.
    isolation = "chroot" if is_podman(client) else None
    try:
        client.images.build(
            path=str(context), dockerfile=str(recipe), tag=name, rm=True, isolation=isolation
        )
    except (APIError, docker.errors.BuildError) as error:
        told = "".join(str(line.get("stream", "")) for line in getattr(error, "build_log", ()))
        raise AssertionError(f"{name} cannot be built: {error}\n{told[-3000:]}") from error


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]}: {done.stderr or done.stdout[-2000:]}"
