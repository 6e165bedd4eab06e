"""What is published: built, checked, installed where the repository is not, and used."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from common.version import VERSION
from tests.parts.clients import Skopeo
from tests.parts.images import Layout
from tests.parts.process import Process, free_port
from tests.parts.registry import Registry
from tests.wheel.fresh import Fresh

PACKAGES = {"common", "entrepot", "fetcher", "frontend", "janitor"}
HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, the wheel made from the sdist."""
    folder = tmp_path_factory.mktemp("built")
    argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(HERE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    return Fresh(tmp_path_factory.mktemp("fresh"), wheel)


def test_both_bear_the_version_and_twine_finds_nothing_wrong(built: Path) -> None:
    files = sorted(built.iterdir())
    assert [file.name for file in files] == [
        f"entrepot-{VERSION}-py3-none-any.whl",
        f"entrepot-{VERSION}.tar.gz",
    ]
    argv = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_wheel_holds_our_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert tops == {*PACKAGES, f"entrepot-{VERSION}.dist-info", f"entrepot-{VERSION}.data"}
    tracked = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--", *PACKAGES],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(tracked.stdout.split()) <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert any(name.endswith("/share/man/man1/entrepot.1") for name in names)


def test_the_sdist_is_what_one_can_work_on(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("Makefile", ".ci/venv", "requirements-dev.lock", "tests/conftest.py", "LICENSE"):
        assert name in names


def test_what_the_wheel_needs_is_what_it_says(fresh: Fresh) -> None:
    assert "No broken requirements" in fresh.pip("check")


def entrepot(fresh: Fresh, home: Path, *arguments: str) -> str:
    """What the installed program says, away from the repository, with a home of its own."""
    done = subprocess.run(
        [fresh.program("entrepot"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_runs_from_the_wheels_files_alone(fresh: Fresh, tmp_path: Path) -> None:
    assert entrepot(fresh, tmp_path, "--version") == f"entrepot {VERSION}\n"
    checked = entrepot(fresh, tmp_path, "check")
    assert "https://registry-1.docker.io" in checked
    assert str(tmp_path / ".local/share/entrepot") in checked
    program = f"import sys, {', '.join(PACKAGES)}; print(sys.path, {', '.join(PACKAGES)})"
    said = subprocess.run(
        [fresh.program("python"), "-P", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    assert said.count(str(fresh.packages)) == 1 + len(PACKAGES)
    assert str(HERE) not in said


def test_it_serves_with_the_packaged_configuration(
    fresh: Fresh, registry: Registry, image: Layout, tmp_path: Path
) -> None:
    image.push("real", registry.host, "library/wheel")
    port = free_port()
    # A folder named as one of ours, where it is started, is not taken for it.
    (tmp_path / "common").mkdir()
    (tmp_path / "common/__init__.py").write_text("raise SystemExit('the wrong one')\n")
    environment = {
        "HOME": str(tmp_path),
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_PROXY_REMOTEURL": registry.url,
        "REGISTRY_FRONTEND_WORKERS": "1",
    }
    process = Process(
        [fresh.program("entrepot"), "serve"],
        log=tmp_path / "log",
        env=environment,
        cwd=tmp_path,
    )
    try:
        process.until_listening(port, 30)
        pulled = Skopeo().copy(f"127.0.0.1:{port}/library/wheel:real", tmp_path / "pulled")
        assert pulled.digest == image.tagged("real")
        assert (tmp_path / ".local/share/entrepot/docker/registry/v2/blobs").is_dir()
    finally:
        assert process.terminate(20) == 0, process.output()
