"""Secrets stay where they are needed: in no log, no answer, no message, no file of the cache."""

import json
import re
import subprocess
from base64 import b64encode
from pathlib import Path

from common.config import load
from common.digest import Digest
from common.messages import FetchBlob, FillFailed, encode
from common.reference import RepositoryName
from common.source import Source
from entrepot.defaults import packaged
from fetcher.settings import UpstreamSettings
from tests.fetcher.client import BLOB, DIGEST
from tests.fetcher.recording import Reply, Seen, serving
from tests.security.hostile import ACCOUNT, PASSWORD, USER, files_below
from tests.system.cluster import cluster

TOKEN = "canary-token-51d2"
SIGNATURE = "canary-signature-8e44"
QUEUE_PASSWORD = "canary-queue-0b1c"
CANARIES = (PASSWORD, TOKEN, SIGNATURE, b64encode(f"{USER}:{PASSWORD}".encode()).decode())
REPOSITORY = "library/app"


def found(text: bytes) -> set[str]:
    return {canary for canary in CANARIES if canary.encode() in text}


def test_nothing_secret_in_logs_answers_and_files_of_a_whole_machine(tmp_path: Path) -> None:
    with serving(lambda _: Reply(500, b"no blob now")) as storage:

        def registry(seen: Seen) -> Reply:
            if seen.path == "/token":
                return token(seen)
            authorization = seen.headers.get("authorization", "")
            if not authorization.startswith("Bearer "):
                realm = f'Bearer realm="{server.url}/token",service="x"'
                return Reply(401, headers={"WWW-Authenticate": realm})
            if "/blobs/" in seen.path and seen.path.endswith(DIGEST):
                return Reply(
                    307, headers={"Location": f"{storage.url}/b?X-Amz-Signature={SIGNATURE}"}
                )
            if "/blobs/" in seen.path:
                return Reply(body=BLOB[:10])
            # Some registries repeat what they did not like.
            return Reply(500, error(f"cannot work with {authorization}"))

        with serving(registry) as server:
            proxy = {**ACCOUNT}
            log = {"level": "debug"}
            with cluster(
                tmp_path / "cache", server.url, proxy=proxy, log=log, fetcher={"attempts": 1}
            ) as cache:
                asked = [f"manifests/{DIGEST}", "manifests/v1", f"blobs/{DIGEST}", "tags/list"]
                asked.append(f"blobs/{Digest.of(b'other')}")
                for path in asked:
                    got = cache.get(f"/v2/{REPOSITORY}/{path}")
                    assert found(got.body) == set(), path
                    assert found(repr(got.headers).encode()) == set(), path
                files = files_below(cache.root)
                assert found(b"".join(content for _, content in files.values())) == set()
            assert any(TOKEN in seen.headers.get("authorization", "") for seen in server.seen)
            assert server.asked("/token")
            assert found(cache.logs().encode()) == set()
            assert storage.seen


def token(seen: Seen) -> Reply:
    assert "authorization" in seen.headers
    return Reply(body=json.dumps({"token": TOKEN, "expires_in": 300}).encode())


def error(message: str) -> bytes:
    return json.dumps({"errors": [{"code": "UNKNOWN", "message": message}]}).encode()


CONFIG = f"""
version: 0.1
storage: {{filesystem: {{rootdirectory: /srv/registry}}}}
proxy:
  remoteurl: https://registry.example
  username: {USER}
  password: {PASSWORD}
  upstreams:
    - {{name: other.example, remoteurl: "https://other.example", username: u, password: {PASSWORD}}}
queue: {{url: "amqp://entrepot:{QUEUE_PASSWORD}@rabbit.example:5672/"}}
"""


def test_a_configuration_does_not_show_its_secrets(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(CONFIG)
    shown = repr(load(str(file), {}, packaged()).config)
    checked = subprocess.run(
        [".venv/bin/entrepot", "check", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    for text in (shown, checked.stdout, checked.stderr):
        assert PASSWORD not in text
        assert QUEUE_PASSWORD not in text


def test_a_configuration_that_is_wrong_does_not_show_them_either(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(CONFIG + f"wrong: {PASSWORD}\n")
    environment = {"REGISTRY_PROXY_PASSWORD": f"[{PASSWORD}"}
    checked = subprocess.run(
        [".venv/bin/entrepot", "check", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert checked.returncode == 2
    assert PASSWORD not in checked.stdout + checked.stderr
    assert QUEUE_PASSWORD not in checked.stdout + checked.stderr


def test_an_upstreams_settings_do_not_show_the_password() -> None:
    settings = UpstreamSettings(
        name="hub", remoteurl="https://hub.example", username=USER, password=PASSWORD
    )
    assert PASSWORD not in repr(settings)
    assert PASSWORD not in str(settings)


def test_messages_carry_names_and_facts_alone() -> None:
    """What a message has room for; an address or a credential would be a field more."""
    source = Source("hub", RepositoryName(REPOSITORY))
    job = json.loads(encode(FetchBlob(source=source, digest=DIGEST, request_id="1")))
    trace = {"traceparent", "tracestate"}
    assert job.keys() == {"type", "v", "source", "digest", "request_id"} | trace
    assert job["source"].keys() == {"upstream", "repository"}
    failed = FillFailed(key="k", status=502, code="UNKNOWN", message="m", retryable=True)
    assert not re.search(r"url|header|token|auth|pass", " ".join(json.loads(encode(failed))))
