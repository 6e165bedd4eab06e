"""`storage.maintenance.readonly`: a frontend that serves what there is, and changes nothing."""

import json
import queue
from pathlib import Path

import pytest

from common.reference import RepositoryName, Tag
from tests.frontend.stage import Stage, age, stage

MANIFEST = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
READ_ONLY = {"readonly": {"enabled": True}}


def _storage(root: Path) -> dict[str, object]:
    return {"filesystem": {"rootdirectory": str(root)}, "maintenance": READ_ONLY}


def _files(on: Stage) -> dict[str, float]:
    registry = Path(on.layout.registry)
    return {str(path): path.stat().st_mtime for path in registry.rglob("*") if path.is_file()}


def test_what_is_stored_is_served_and_nothing_in_the_registry_changes(tmp_path: Path) -> None:
    with stage(tmp_path / "s", storage=_storage(tmp_path / "s")) as on:
        blob = on.store_blob("library/app", b"x")
        on.store_manifest("library/app", MANIFEST, tag="1")
        for path in _files(on):
            age(path, 30 * 86_400.0)
        before = _files(on)
        assert on.ask(f"/v2/library/app/blobs/{blob}").body == b"x"
        assert on.ask(f"/v2/library/app/blobs/{blob}", "HEAD").status == 200
        answer = on.ask("/v2/library/app/manifests/1")
        assert (answer.status, answer.body) == (200, MANIFEST)
        assert "stale" in answer.headers["warning"]
        assert json.loads(on.ask("/v2/library/app/tags/list").body)["tags"] == ["1"]
        assert _files(on) == before


def test_what_is_not_stored_is_answered_at_once_and_asked_of_nobody(tmp_path: Path) -> None:
    with stage(tmp_path / "s", storage=_storage(tmp_path / "s")) as on:
        on.play_fetcher()
        digest = "sha256:" + "1" * 64
        for path in (f"blobs/{digest}", f"manifests/{digest}", "manifests/2", "tags/list"):
            answer = on.ask(f"/v2/library/app/{path}")
            (error,) = json.loads(answer.body)["errors"]
            assert (answer.status, error["code"]) == (503, "UNAVAILABLE"), path
            assert error["message"] == "read-only for maintenance: only what is stored is served"
            assert int(answer.headers["retry-after"]) > 0
        with pytest.raises(queue.Empty):
            on.next_job(within=0.3)
        assert on.tags.read(RepositoryName("library/app"), Tag("2")) is None
