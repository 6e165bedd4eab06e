"""A real frontend under watch: health, probes, the log of requests, the names of requests."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from common.messages import FetchBlob
from tests.frontend.stage import stage
from tests.parts.process import free_port
from tests.waiting import until

BLOB = b"x" * 1000


def _ask(port: int, page: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/debug/{page}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def _lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    written = capfd.readouterr().err.splitlines()
    return [json.loads(line) for line in written if line.startswith("{")]


def test_while_a_check_fails_everything_is_refused_and_says_where_to_look(tmp_path: Path) -> None:
    flag, port = tmp_path / "out", free_port()
    health = {"file": [{"file": str(flag), "interval": "20ms"}]}
    http = {"debug": {"addr": f"127.0.0.1:{port}"}, "headers": {"X-A": ["b"]}}
    with stage(tmp_path / "s", health=health, http=http) as on:
        path = f"/v2/library/app/blobs/{on.store_blob('library/app', BLOB)}"
        assert on.ask(path).body == BLOB
        assert _ask(port, "health") == (200, {})
        flag.touch()
        until(lambda: on.ask(path).status == 503)
        refused = on.ask("/v2/")
        (error,) = json.loads(refused.body)["errors"]
        assert error["code"] == "UNAVAILABLE"
        assert error["detail"] == "health check failed: please see /debug/health"
        assert on.ask("/").status == 503
        assert on.ask(path, "HEAD").status == 503
        assert _ask(port, "health") == (503, {str(flag): "file exists"})
        assert _ask(port, "live")[0] == 200
        assert _ask(port, "ready")[1]["failing"] == [str(flag)]
        flag.unlink()
        until(lambda: on.ask(path).status == 200)


def test_a_frontend_is_ready_and_lives_and_its_clients_cannot_see_that(tmp_path: Path) -> None:
    port = free_port()
    with stage(tmp_path / "s", http={"debug": {"addr": f"127.0.0.1:{port}"}}) as on:
        until(lambda: _ask(port, "ready")[1]["queue"] == "connected")
        assert _ask(port, "ready") == (
            200,
            {
                "ready": True,
                "draining": False,
                "storage": "usable",
                "queue": "connected",
                "failing": [],
            },
        )
        assert _ask(port, "live") == (200, {"alive": True})
        assert on.ask("/debug/health").status == 404


def test_workers_share_the_address_and_one_that_is_replaced_is_not_missed(tmp_path: Path) -> None:
    port = free_port()
    sections = {"http": {"debug": {"addr": f"127.0.0.1:{port}"}}, "frontend": {"workers": 2}}
    with stage(tmp_path / "s", **sections):
        for _ in range(20):
            assert _ask(port, "live")[0] == 200


def test_requests_are_logged_where_that_is_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = {"formatter": "json", "level": "error", "accesslog": {"disabled": False}}
    with stage(tmp_path / "s", log=log) as on:
        path = f"/v2/library/app/blobs/{on.store_blob('library/app', BLOB)}"
        asked = {"User-Agent": "docker/1", "X-Request-ID": "trace-1", "Range": "bytes=0-99"}
        on.ask(f"{path}?ns=127.0.0.1:1&X-Amz-Signature=hush", headers=asked)
        on.ask("/nowhere", "POST")
    logged = {line["path"]: line for line in _lines(capfd) if line["event"] == "request"}
    line = logged[path]
    assert (line["method"], line["status"], line["bytes"]) == ("GET", 206, 100)
    assert (line["client"], line["user_agent"]) == ("127.0.0.1", "docker/1")
    assert (line["request_id"], line["namespace"]) == ("trace-1", "127.0.0.1:1")
    assert 0 < line["seconds"] < 5
    assert "hush" not in json.dumps(logged)
    assert logged["/nowhere"]["status"] == 404


def test_requests_are_not_logged_where_nobody_asks_for_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with stage(tmp_path / "s", log={"formatter": "json"}) as on:
        on.ask("/v2/")
    assert [line for line in _lines(capfd) if line["event"] == "request"] == []


def test_an_answer_that_is_cut_is_logged_as_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = {"formatter": "json", "accesslog": {"disabled": False}}
    with stage(tmp_path / "s", log=log) as on:
        path = f"/v2/library/app/blobs/{on.store_blob('library/app', bytes(64 * 1024 * 1024))}"
        opened = on.open(path)
        opened.read(1000)
        opened.close()
    (line,) = [line for line in _lines(capfd) if line.get("path") == path]
    assert line.get("ended") == "early", line


@pytest.mark.parametrize(
    ("given", "kept"),
    [("4bf92f35-77b3", True), ("a b", False), ("x" * 129, False), ("-", False), ("é", False)],
)
def test_a_requests_name_goes_with_its_job(tmp_path: Path, given: str, kept: bool) -> None:
    with stage(tmp_path / "s", frontend={"patience": "300ms"}) as on:
        on.play_fetcher()
        digest = "sha256:" + "1" * 64
        answer = on.ask(f"/v2/library/app/blobs/{digest}", headers={"X-Request-ID": given})
        job = on.next_job()
        assert isinstance(job, FetchBlob)
        assert answer.status == 503
        assert answer.headers["x-request-id"] == job.request_id
        assert (job.request_id == given) == kept
        assert kept or re.fullmatch("[0-9a-f]{16}", job.request_id)


def test_what_a_frontend_logs_about_a_request_has_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with stage(tmp_path / "s", log={"formatter": "json"}) as on:
        digest = on.store_blob("library/app", BLOB)
        Path(on.layout.blob(digest)).write_bytes(b"")  # damaged behind our back
        on.ask(f"/v2/library/app/blobs/{digest}", headers={"X-Request-ID": "trace-2"})
        on.ask("/v2/")
    named = {line.get("request_id") for line in _lines(capfd) if line["level"] != "info"}
    assert named == {"trace-2"}
