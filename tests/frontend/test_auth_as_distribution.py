"""distribution's registry and we, given the same sections: the same answers to the same requests."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from frontend.auth import keys
from tests.frontend.authenticating import (
    ISSUER,
    SERVICE,
    certified,
    claims,
    htpasswd,
    pull,
    tls,
    trusting,
    write,
)
from tests.frontend.stage import stage
from tests.parts.credentials import basic
from tests.parts.process import Process, free_port

Told = tuple[int, str | None, str | None]

REQUESTS = [
    ("GET", "/"),
    ("GET", "/v2/"),
    ("HEAD", "/v2/"),
    ("GET", "/v2/library/app/tags/list"),
    ("GET", "/v2/library/app/manifests/latest"),
    ("HEAD", "/v2/library/app/manifests/latest"),
    ("GET", f"/v2/library/app/blobs/sha256:{'0' * 64}"),
    ("GET", "/v2/_catalog"),
    ("DELETE", "/v2/library/app/manifests/latest"),
]


@contextmanager
def distribution(folder: Path, sections: dict[str, Any]) -> Iterator[int]:
    """Debian's registry with these sections; its port."""
    port = free_port()
    address = {"addr": f"127.0.0.1:{port}", **sections.get("http", {})}
    file = folder / "distribution.yml"
    content = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "theirs")}},
        **sections,
        "http": address,
    }
    file.write_text(json.dumps(content))  # JSON is YAML
    argv = ["docker-registry", "serve", str(file)]
    process = Process(argv, log=folder / "distribution.log")
    try:
        process.until_listening(port)
        yield port
    finally:
        process.kill()


def tell(port: int, method: str, path: str, shown: str, trust: ssl.SSLContext | None) -> Told:
    """Status, challenge, and the error's code where it is that of authentication."""
    connection = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        if trust is None
        else http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=trust)
    )
    headers = {"Host": "mirror.example"} | ({"Authorization": shown} if shown else {})
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 401:
        return (200 if response.status == 200 else 0), None, None
    code = json.loads(body)["errors"][0]["code"] if body else None
    return 401, response.headers["WWW-Authenticate"], code


def compare(
    folder: Path, sections: dict[str, Any], shown: list[str], trust: ssl.SSLContext | None = None
) -> dict[Told, int]:
    """How often each answer was given, by both."""
    answers: dict[Told, int] = {}
    hasty = {"patience": "20ms"}  # nobody fetches what is not here
    with (
        distribution(folder, sections) as port,
        stage(folder / "ours", **sections, frontend=hasty) as front,
    ):
        for credentials in shown:
            for method, path in REQUESTS:
                theirs = tell(port, method, path, credentials, trust)
                ours = tell(front.port, method, path, credentials, trust)
                if 401 in (theirs[0], ours[0]) or path in ("/", "/v2/"):
                    assert ours == theirs, (method, path, credentials)
                answers[ours] = answers.get(ours, 0) + 1
    return answers


def test_names_and_passwords_over_tls(tmp_path: Path) -> None:
    authority = certified("private CA", authority=True)
    users = htpasswd(tmp_path / "users", {"alice": "wonderland"})
    sections = {
        "auth": {"htpasswd": {"realm": "basic-realm", "path": users}},
        "http": {"tls": {**tls(tmp_path, authority.issue("mirror")), "minimumtls": "tls1.2"}},
    }
    shown = ["", basic("alice", "wonderland"), basic("alice", "x"), basic("bob", "x"), "Bearer x"]
    answers = compare(tmp_path, sections, shown, trusting(tmp_path, authority))
    assert answers[401, 'Basic realm="basic-realm"', "UNAUTHORIZED"] >= 20


def test_silly(tmp_path: Path) -> None:
    sections = {"auth": {"silly": {"realm": "silly-realm", "service": "silly-service"}}}
    assert len(compare(tmp_path, sections, ["", "x"])) > 3


@pytest.mark.parametrize("identified", ["by key", "by certificate"])
def test_tokens(tmp_path: Path, identified: str) -> None:
    signer = certified("tokens")
    header: dict[str, Any] = {"kid": keys._ids(signer.key.public_key())[1]}
    if identified == "by certificate":
        authority = certified("root", authority=True)
        signer = authority.issue("tokens")
        header = {"x5c": [base64.b64encode(signer.der).decode()]}
        bundle = write(tmp_path / "bundle", authority.pem)
    else:
        bundle = write(tmp_path / "bundle", signer.pem)
    token = {
        "realm": "https://tokens.example/token",
        "service": SERVICE,
        "issuer": ISSUER,
        "rootcertbundle": bundle,
    }

    def signed(*access: Any, **others: Any) -> str:
        said: Any = signer.key
        return "Bearer " + jwt.encode(claims(*access, **others), said, "ES256", headers=header)

    shown = [
        "",
        "Bearer x",
        "Basic eDp5",
        signed(),
        signed(pull("library/app")),
        signed(("repository", "library/app", ["*"])),
        signed(("registry", "catalog", ["*"])),
        signed(pull("library/other")),
        signed(exp=1),
        signed(iss="another"),
        signed(aud="another"),
    ]
    answers = compare(tmp_path, {"auth": {"token": token}}, shown)
    told = {challenge for _, challenge, _ in answers if challenge}
    assert any('error="insufficient_scope"' in each for each in told)
    assert any('error="invalid_token"' in each for each in told)
