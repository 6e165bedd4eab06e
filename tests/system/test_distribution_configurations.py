"""One configuration, two programs: Debian's `docker-registry` and entrepot, side by side.

The file has the shape of distribution's sample for a cache (cmd/registry/config-cache.yml), with
the sections of its documentation; what is of this machine comes in by its environment variables.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.frontend.listener import Listener, listening
from tests.parts.images import Layout
from tests.parts.process import Process, free_port
from tests.parts.registry import Registry
from tests.waiting import until

MANIFEST = "application/vnd.oci.image.manifest.v1+json"

SAMPLE = """\
version: 0.1
log:
  level: debug
  formatter: json
  fields:
    service: registry
    environment: development
storage:
    cache:
        blobdescriptor: inmemory
    filesystem:
        rootdirectory: /var/lib/registry-cache
    maintenance:
        uploadpurging:
            enabled: false
http:
    addr: :5000
    secret: asecretforlocaldevelopment
    debug:
        addr: localhost:5001
    headers:
        X-Content-Type-Options: [nosniff]
notifications:
    events:
        includereferences: true
    endpoints:
        - name: local-5003
          url: http://localhost:5003/callback
          headers:
             Authorization: [Bearer an-example-token]
          timeout: 1s
          threshold: 10
          backoff: 1s
          disabled: true
        - name: local-8083
          url: http://localhost:8083/callback
          timeout: 1s
          threshold: 10
          backoff: 1s
          disabled: true
proxy:
  remoteurl: https://registry-1.docker.io
  username: username
  password: password
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""

PROGRAMS = {"distribution": ["docker-registry"], "entrepot": [".venv/bin/entrepot"]}


@dataclass
class Running:
    """One of the two, as its clients and its operator see it."""

    name: str
    port: int
    debug: int
    flag: Path
    listener: Listener

    def ask(self, path: str, method: str = "GET", port: int | None = None) -> Any:
        """Status, headers and body."""
        headers = {"Accept": MANIFEST, "User-Agent": "sample/1"}
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def status(self, path: str, method: str = "GET") -> int:
        """The status alone; 0 while nobody listens."""
        try:
            return int(self.ask(path, method)[0])
        except OSError:
            return 0

    def health(self) -> tuple[int, Any]:
        """What `/debug/health` says."""
        status, _, body = self.ask("/debug/health", port=self.debug)
        return status, json.loads(body)


def _endpoint(listener: Listener) -> dict[str, Any]:
    return {
        "name": "local-8082",
        "url": listener.url,
        "headers": {"Authorization": ["Bearer an-example-token"]},
        "timeout": "20s",
        "threshold": 10,
        "backoff": "1s",
    }


@contextmanager
def _running(name: str, folder: Path, remote: str) -> Iterator[Running]:
    folder.mkdir()
    port, debug, flag = free_port(), free_port(), folder / "out-of-rotation"
    file = folder / "config.yml"
    file.write_text(SAMPLE)
    with listening() as listener:
        environment = {
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(folder / "root"),
            "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
            "REGISTRY_HTTP_DEBUG_ADDR": f"127.0.0.1:{debug}",
            "REGISTRY_PROXY_REMOTEURL": remote,
            "REGISTRY_PROXY_USERNAME": "",
            "REGISTRY_PROXY_PASSWORD": "",
            # 2.8 replaces lists as a whole only.
            "REGISTRY_NOTIFICATIONS_ENDPOINTS": json.dumps([_endpoint(listener)]),
            "REGISTRY_HEALTH_FILECHECKERS": json.dumps([{"file": str(flag), "interval": "50ms"}]),
        }
        argv = [*PROGRAMS[name], "serve", str(file)]
        process = Process(argv, log=folder / "log", env=environment)
        found = Running(name, port, debug, flag, listener)
        try:
            until(lambda: found.status("/v2/") == 200, 30, f"{name} to serve")
            yield found
        finally:
            process.terminate(20)


@pytest.fixture
def both(tmp_path: Path, registry: Registry, image: Layout) -> Iterator[list[Running]]:
    image.push("real", registry.host, "library/sample")
    with ExitStack() as stack:
        yield [
            stack.enter_context(_running(name, tmp_path / name, registry.url)) for name in PROGRAMS
        ]


def _told(running: Running, host: str) -> list[dict[str, Any]]:
    """The events, without what differs from one machine, moment or program to the next."""
    told = []
    for event in running.listener.events:
        request = event["request"]
        assert request["id"]
        assert request["addr"].startswith("127.0.0.1:")
        target = {**event["target"], "url": event["target"]["url"].replace(host, "HOST")}
        told.append(
            {
                "action": event["action"],
                "target": target,
                "method": request["method"],
                "useragent": request["useragent"],
                "host": request["host"].replace(host, "HOST"),
                "actor": event["actor"],
                "source": sorted(event["source"]),
            }
        )
    return sorted(told, key=lambda event: json.dumps(event, sort_keys=True))


def test_both_serve_the_same_and_tell_the_same(both: list[Running], image: Layout) -> None:
    digest = image.tagged("real")
    blobs = sorted(image.blobs_of(digest))
    answers = {}
    for running in both:
        seen = []
        for path in ["manifests/real", f"manifests/{digest}", *[f"blobs/{blob}" for blob in blobs]]:
            for method in ("GET", "HEAD"):
                status, headers, body = running.ask(f"/v2/library/sample/{path}", method)
                kept = {
                    name: headers[name]
                    for name in (
                        "Content-Length",
                        "Content-Type",
                        "Docker-Content-Digest",
                        "Docker-Distribution-Api-Version",
                        "X-Content-Type-Options",
                    )
                }
                seen.append((path, method, status, kept, body))
        answers[running.name] = seen
        count = len(seen)
        until(lambda: len(running.listener.events) >= count, 20, f"{running.name} to tell")  # noqa: B023
    assert answers["entrepot"] == answers["distribution"]
    theirs, ours = (_told(running, f"127.0.0.1:{running.port}") for running in both)
    assert ours == theirs
    types = {running.listener.envelopes[0].headers["content-type"] for running in both}
    assert types == {"application/vnd.docker.distribution.events.v1+json"}
    tokens = {running.listener.envelopes[0].headers["authorization"] for running in both}
    assert tokens == {"Bearer an-example-token"}


def _all_workers(running: Running, status: int) -> bool:
    """Whether everyone who takes connections there has noticed: each looks by itself."""
    seen = [(running.status("/v2/"), running.health()[0]) for _ in range(12)]
    return seen == [(status, status)] * 12


def test_both_are_taken_out_of_rotation_by_a_file(both: list[Running]) -> None:
    for running in both:
        assert running.health() == (200, {})
        running.flag.touch()
        until(lambda: _all_workers(running, 503))  # noqa: B023 - used at once
        assert running.health() == (503, {str(running.flag): "file exists"})
        _, _, body = running.ask("/v2/library/sample/manifests/real")
        (error,) = json.loads(body)["errors"]
        assert error["code"] == "UNAVAILABLE"
        assert error["detail"] == "health check failed: please see /debug/health"
        assert running.status("/") == 503
        running.flag.unlink()
        until(lambda: _all_workers(running, 200))  # noqa: B023 - used at once
