"""All roles under watch: their probes, and one name for a request in all their logs."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts.counting import Upstream
from tests.parts.process import Process, free_port
from tests.system.cluster import cluster
from tests.waiting import until

CONFIG = """\
version: 0.1
log: {{formatter: json}}
storage:
  filesystem: {{rootdirectory: '{root}'}}
  maintenance: {{readonly: {{enabled: {readonly}}}}}
http: {{addr: '127.0.0.1:{port}', draintimeout: 5s, debug: {{addr: '127.0.0.1:{debug}'}}}}
proxy: {{remoteurl: '{remote}'}}
frontend: {{patience: 2s}}
"""


def _ask(port: int, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)
    except OSError:
        return 0, None


@contextmanager
def _started(
    folder: Path, *roles: str, remote: str = "http://127.0.0.1:1", readonly: bool = False
) -> Iterator[tuple[int, int, Path]]:
    """The roles, the first of them with its probes at the second port."""
    port, debug, file = free_port(), free_port(), folder / "config.yml"
    log = folder / "log"
    file.write_text(
        CONFIG.format(
            root=folder / "root",
            port=port,
            debug=debug,
            remote=remote,
            readonly=str(readonly).lower(),
        )
    )
    (folder / "share").mkdir()
    (folder / "root").symlink_to("share")
    elsewhere = [{}, *[{"REGISTRY_HTTP_DEBUG_ADDR": ""}] * len(roles)]
    processes = [
        Process([".venv/bin/entrepot", role, str(file)], log=log, env=variables)
        for role, variables in zip(roles, elsewhere, strict=False)
    ]
    try:
        yield port, debug, log
    finally:
        codes = [process.terminate(20) for process in processes]
    assert codes == [0] * len(codes), log.read_text()


@pytest.mark.parametrize("role", ["fetcher", "janitor", "frontend", "serve"])
def test_every_role_can_be_asked_how_it_is(tmp_path: Path, role: str) -> None:
    with _started(tmp_path, role) as (_, debug, log):
        until(lambda: _ask(debug, "/debug/ready")[0] == 200, 30, f"{role}; {log.read_text()}")
        assert _ask(debug, "/debug/health") == (200, {})
        assert _ask(debug, "/debug/live") == (200, {"alive": True})
        # As a share that went away, and whose place nobody can fill with a folder of his own. Each
        # time in one step: who found nothing there would make one.
        (tmp_path / "nothing").touch()
        (tmp_path / "nothing").rename(tmp_path / "root")
        until(lambda: _ask(debug, "/debug/ready")[0] == 503, 30, "the loss to be noticed")
        assert _ask(debug, "/debug/live")[0] == 200
        (tmp_path / "mounted").symlink_to("share")
        (tmp_path / "mounted").rename(tmp_path / "root")


def test_a_request_has_one_name_in_all_logs(tmp_path: Path, upstream: Upstream) -> None:
    digest = upstream.add_blob("library/app", b"x" * 1000)
    log = {"formatter": "json", "accesslog": {"disabled": False}}
    proxy = {"remoteurl": upstream.url, "ttl": "1s"}
    with cluster(tmp_path / "cache", upstream.url, None, log=log, proxy=proxy) as running:
        path = f"/v2/library/app/blobs/{digest}"
        assert running.get(path, headers={"X-Request-ID": "trace-9"}).status == 200
        until(lambda: "link vacuumed" in running.logs(), 30, "the end of what was pulled")
    lines = [json.loads(line) for line in running.logs().splitlines() if line.startswith("{")]
    named = {line["component"] for line in lines if line.get("request_id") == "trace-9"}
    assert "access" in named
    assert any(component.startswith("fetcher.") for component in named)
    assert any(component.startswith("janitor.") for component in named)


def test_while_read_only_no_role_changes_anything(tmp_path: Path, upstream: Upstream) -> None:
    digest = upstream.add_blob("library/app", b"x" * 1000)
    roles = ("fetcher", "frontend", "janitor")
    with _started(tmp_path, *roles, remote=upstream.url, readonly=True) as (port, debug, log):
        until(lambda: _ask(port, "/v2/")[0] == 200, 30, "the frontend")
        until(lambda: _ask(debug, "/debug/ready")[0] == 200, 30, "the fetcher")
        status, answer = _ask(port, f"/v2/library/app/blobs/{digest}")
        assert status == 503
        assert answer["errors"][0]["message"].startswith("read-only for maintenance")
        until(lambda: "nothing is removed" in log.read_text())
        assert "nothing is fetched" in log.read_text()
    assert upstream.seen() == []
    assert not (tmp_path / "root/docker").exists()
