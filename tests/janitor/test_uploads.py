"""Purging what other registries' pushes left behind."""

import threading
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.claims import Claims
from common.config.maintenance import UploadPurging
from common.paths import Layout
from janitor.uploads import Uploads
from tests.parts.registry import Registry

WEEK = 7 * 86_400.0
OLD = datetime.now(UTC) - timedelta(days=8)
YOUNG = datetime.now(UTC) - timedelta(days=6)
FIRST = "0c6f0a4e-7d3b-4b5e-9a3f-0123456789ab"
SECOND = "1c6f0a4e-7d3b-4b5e-9a3f-0123456789ab"


class Folder:
    """A storage folder, and claims on it."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(str(root))
        self.claims = Claims(self.layout, 60.0)


def _upload(house: Folder, repository: str, name: str, started: str | None) -> Path:
    folder = Path(f"{house.layout.repositories}/{repository}/_uploads/{name}")
    (folder / "hashstates/sha256").mkdir(parents=True)
    (folder / "hashstates/sha256/0").write_bytes(b"state")
    (folder / "data").write_bytes(b"half a layer")
    if started is not None:
        (folder / "startedat").write_text(started)
    return folder


def _purge(house: Folder, **settings: bool) -> None:
    purging = UploadPurging(age=WEEK, **settings)
    uploads = Uploads(house.layout, house.claims, purging, threading.Event())
    assert uploads() == purging.interval


def test_an_old_upload_goes_and_a_young_one_stays(tmp_path: Path) -> None:
    house = Folder(tmp_path)
    old = _upload(house, "library/app", FIRST, OLD.isoformat())
    young = _upload(house, "library/app", SECOND, YOUNG.strftime("%Y-%m-%dT%H:%M:%SZ"))
    nested = _upload(house, "library/app/deep", FIRST, OLD.strftime("%Y-%m-%dT%H:%M:%SZ"))
    link = old.parent.parent / "_layers/sha256/0/link"
    link.parent.mkdir(parents=True)
    link.touch()
    _purge(house)
    assert [folder.exists() for folder in (old, young, nested)] == [False, True, False]
    assert (young / "hashstates/sha256/0").exists()
    assert link.exists()


@pytest.mark.parametrize("started", [None, "", "long ago", "2020-01-01T00:00:00", "\xe9", "0" * 99])
def test_an_upload_that_does_not_say_its_age_stays(tmp_path: Path, started: str | None) -> None:
    house = Folder(tmp_path)
    upload = _upload(house, "library/app", FIRST, started)
    _purge(house)
    assert (upload / "data").exists()


def test_what_is_no_upload_stays(tmp_path: Path) -> None:
    house = Folder(tmp_path)
    other = _upload(house, "library/app", "not-an-upload", OLD.isoformat())
    _upload(house, "library/app", FIRST, YOUNG.isoformat())
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "startedat").write_text(OLD.isoformat())
    link = other.parent / SECOND
    link.symlink_to(target)
    _purge(house)
    assert other.exists()
    assert link.is_symlink()
    assert (target / "startedat").exists()


def test_a_link_inside_an_upload_is_removed_and_not_followed(tmp_path: Path) -> None:
    house = Folder(tmp_path)
    upload = _upload(house, "library/app", FIRST, OLD.isoformat())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()
    (upload / "sideways").symlink_to(tmp_path / "elsewhere")
    _purge(house)
    assert not upload.exists()
    assert (tmp_path / "elsewhere/file").exists()


def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    house = Folder(tmp_path)
    upload = _upload(house, "library/app", FIRST, OLD.isoformat())
    _purge(house, dryrun=True)
    assert (upload / "startedat").exists()


def test_only_one_janitor_purges_at_a_time(tmp_path: Path) -> None:
    house = Folder(tmp_path)
    upload = _upload(house, "library/app", FIRST, OLD.isoformat())
    claim = house.claims.acquire(house.layout.claim("uploads"))
    assert claim is not None
    _purge(house)
    assert upload.exists()
    claim.release()
    _purge(house)
    assert not upload.exists()


def test_an_upload_that_a_real_registry_left_is_found(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with Registry(storage) as registry:
        url = f"http://{registry.host}/v2/library/app/blobs/uploads/"
        request = urllib.request.Request(url, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 202
    house = Folder(storage)
    (started,) = Path(house.layout.repositories).glob("library/app/_uploads/*/startedat")
    _purge(house)
    assert started.exists()
    started.write_text(OLD.isoformat())
    _purge(house)
    assert not started.parent.exists()
