"""Encrypted connections: certificates of both sides, versions, renewal, and large blobs."""

import http.client
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from common.config import Tls
from common.digest import Digest
from common.errors import ConfigError
from common.messages import FetchBlob, FillFailed
from common.reference import RepositoryName
from common.source import DEFAULT_UPSTREAM, Source
from frontend.tls import ServerTls
from tests.frontend.authenticating import Certified, certified, tls, trusting, write
from tests.frontend.stage import Filling, Stage, random_bytes, stage
from tests.waiting import until


@dataclass
class Encrypted:
    """A frontend that speaks TLS, and who certified it."""

    stage: Stage
    authority: Certified
    folder: Path

    def ask(self, path: str, context: ssl.SSLContext) -> tuple[int, bytes]:
        """Status and body."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.stage.port, timeout=30, context=context
        )
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def handshake(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """An open connection."""
        plain = socket.create_connection(("127.0.0.1", self.stage.port), timeout=10)
        try:
            return context.wrap_socket(plain, server_hostname="localhost")
        except OSError:
            plain.close()
            raise


@pytest.fixture(scope="module")
def authority() -> Certified:
    return certified("private CA", authority=True)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, authority: Certified) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("tls")
    section = tls(folder, authority.issue("mirror"))
    with stage(folder / "root", http={"tls": section}) as opened:
        yield Encrypted(opened, authority, folder)


@pytest.fixture
def trust(tmp_path: Path, authority: Certified) -> ssl.SSLContext:
    return trusting(tmp_path, authority)


def test_a_large_blob_comes_whole(front: Encrypted, trust: ssl.SSLContext) -> None:
    content = random_bytes(40_000_003)
    digest = front.stage.store_blob("library/big", content)
    assert front.ask(f"/v2/library/big/blobs/{digest}", trust) == (200, content)


def test_a_fill_streams_and_one_that_fails_is_cut(front: Encrypted, trust: ssl.SSLContext) -> None:
    content = random_bytes(3_000_000, seed=2)
    digest = Digest.of(content)
    filling = Filling(front.stage, digest, "library/filled", len(content))
    connection = http.client.HTTPSConnection(
        "127.0.0.1", front.stage.port, timeout=30, context=trust
    )
    connection.request("GET", f"/v2/library/filled/blobs/{digest}")
    filling.write(content[:1_000_000])
    response = connection.getresponse()
    assert response.read(500_000) == content[:500_000]
    filling.abandon()
    job = FetchBlob(
        source=Source(DEFAULT_UPSTREAM, RepositoryName("library/filled")), digest=digest
    )
    front.stage.broker.emit(
        FillFailed(
            key=job.key,
            status=502,
            code="UNKNOWN",
            message="no answer",
            retryable=True,
            digest=digest,
        )
    )
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


def test_many_slow_readers_do_not_hold_each_other_up(
    front: Encrypted, trust: ssl.SSLContext
) -> None:
    content = random_bytes(8_000_000, seed=3)
    digest = front.stage.store_blob("library/slow", content)
    connections = [front.handshake(trust) for _ in range(20)]
    for connection in connections:
        connection.sendall(
            f"GET /v2/library/slow/blobs/{digest} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        )
    assert front.ask(f"/v2/library/slow/blobs/{digest}", trust) == (200, content)
    for connection in connections:
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.close()


def test_http_1_1_is_what_is_agreed_on(front: Encrypted, trust: ssl.SSLContext) -> None:
    trust.set_alpn_protocols(["h2", "http/1.1"])
    with front.handshake(trust) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert connection.version() == "TLSv1.3"


def test_nothing_is_answered_without_encryption(front: Encrypted) -> None:
    with socket.create_connection(("127.0.0.1", front.stage.port), timeout=10) as plain:
        plain.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            answer = plain.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert b"HTTP" not in answer


def test_old_versions_and_weak_suites_are_not_spoken(
    front: Encrypted, trust: ssl.SSLContext
) -> None:
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    with front.handshake(trust) as connection:
        agreed = connection.cipher()
        assert agreed is not None
        assert agreed[0].startswith("ECDHE-")
    trust.set_ciphers("ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        front.handshake(trust)


def test_a_minimum_of_1_3_is_kept(tmp_path: Path, authority: Certified) -> None:
    section = {**tls(tmp_path, authority.issue("mirror")), "minimumtls": "tls1.3"}
    with stage(tmp_path / "root", http={"tls": section}) as opened:
        front, trust = Encrypted(opened, authority, tmp_path), trusting(tmp_path, authority)
        assert front.ask("/v2/", trust)[0] == 200
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            front.handshake(trust)


@pytest.mark.parametrize("clientauth", ["", "verify-client-cert-if-given"])
def test_clients_must_show_a_certificate_of_the_configured_authorities(
    tmp_path: Path, authority: Certified, clientauth: str
) -> None:
    clients = certified("clients", authority=True)
    section = {**tls(tmp_path, authority.issue("mirror"), clients), "clientauth": clientauth}
    with stage(tmp_path / "root", http={"tls": section}) as opened:
        front = Encrypted(opened, authority, tmp_path)

        def shows(client: Certified | None) -> bool:
            try:
                return front.ask("/v2/", trusting(tmp_path, authority, client))[0] == 200
            except OSError:  # refused within the handshake, or just after it
                return False

        assert shows(clients.issue("node"))
        assert not shows(authority.issue("stranger"))
        assert not shows(clients.issue("old", days=-1))
        assert shows(None) == bool(clientauth)


def test_a_renewed_certificate_is_shown_and_a_broken_one_is_not(
    tmp_path: Path, authority: Certified
) -> None:
    section = tls(tmp_path, authority.issue("first"))
    served = ServerTls(Tls(**section))
    assert _shown(served, tmp_path, authority) == "first"
    second = authority.issue("second")
    write(tmp_path / "cert.pem", second.pem)
    served.look()  # the certificate without its key yet
    assert _shown(served, tmp_path, authority) == "first"
    write(tmp_path / "key.pem", second.key_pem)
    served.look()
    assert _shown(served, tmp_path, authority) == "second"
    os.unlink(tmp_path / "key.pem")
    served.look()
    write(tmp_path / "cert.pem", b"nonsense")
    served.look()
    assert _shown(served, tmp_path, authority) == "second"


def _shown(served: ServerTls, folder: Path, authority: Certified) -> str:
    """The name in the certificate that a client is shown."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = served.context.wrap_bio(to_server, to_client, server_side=True)
    client = trusting(folder, authority).wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found: Any = client.getpeercert()
    (((_, name),),) = found["subject"]
    return str(name)


def test_workers_look_for_a_renewed_certificate(tmp_path: Path, authority: Certified) -> None:
    section = tls(tmp_path, authority.issue("first"))
    with stage(tmp_path / "root", http={"tls": section}) as opened:
        front, trust = Encrypted(opened, authority, tmp_path), trusting(tmp_path, authority)

        def name() -> str:
            with front.handshake(trust) as connection:
                found: Any = connection.getpeercert()
                return str(found["subject"][0][0][1])

        assert name() == "first"
        tls(tmp_path, authority.issue("second"))
        until(lambda: name() == "second", 30, "the renewed certificate to be shown")


def _unusable(folder: Path, authority: Certified) -> dict[str, tuple[dict[str, Any], str]]:
    good = tls(folder / "good", authority.issue("a"))
    other = tls(folder / "other", authority.issue("b"))
    locked = write(
        folder / "locked.pem",
        authority.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
        ),
    )
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    weak = tls(folder / "weak", certified("weak", key=small))
    nonsense, none = write(folder / "nonsense", b"nonsense"), str(folder / "none")
    missing = "expected a readable file: No such file or directory"
    return {
        "no certificate": (
            {**good, "certificate": none},
            f"{none}: http.tls.certificate: {missing}",
        ),
        "no key": ({**good, "key": none}, f"{none}: http.tls.key: {missing}"),
        "no PEM": (
            {**good, "certificate": nonsense},
            f"{nonsense}: http.tls.certificate: expected a certificate in PEM",
        ),
        "no key in it": (
            {**good, "key": nonsense},
            f"{nonsense}: http.tls.key: expected a private key in PEM, not encrypted",
        ),
        "a locked key": (
            {**good, "key": locked},
            f"{locked}: http.tls.key: expected a private key in PEM, not encrypted",
        ),
        "another's key": (
            {**good, "key": other["key"]},
            f"{other['key']}: http.tls.key: expected the key of the certificate",
        ),
        "a weak key": (weak, f"{weak['certificate']}: http.tls.certificate: expected"),
        "no authorities": (
            {**good, "clientcas": [nonsense]},
            f"{nonsense}: http.tls.clientcas.0: expected certificates in PEM",
        ),
        "authorities missing": (
            {**good, "clientcas": [none]},
            f"{none}: http.tls.clientcas.0: {missing}",
        ),
    }


def test_files_that_cannot_be_used_are_named_with_their_key(
    tmp_path: Path, authority: Certified
) -> None:
    for what, (section, told) in _unusable(tmp_path, authority).items():
        with pytest.raises(ConfigError) as caught:
            ServerTls(Tls(**section))
        assert str(caught.value).startswith(told), what


@pytest.mark.parametrize("command", ["check", "frontend", "serve"])
def test_the_command_ends_with_2_and_says_which_file(
    tmp_path: Path, authority: Certified, command: str
) -> None:
    section = tls(tmp_path, authority.issue("a"))
    os.unlink(section["key"])
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "root")}},
        "http": {"addr": "127.0.0.1:0", "tls": section},
        "auth": {"htpasswd": {"realm": "r", "path": str(tmp_path / "users")}},
        "proxy": {"remoteurl": "http://127.0.0.1:1"},
    }
    file = tmp_path / "config.yml"
    file.write_text(yaml.safe_dump(config))
    ended = subprocess.run(
        [sys.executable, "-m", "entrepot", command, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert f"{section['key']}: http.tls.key: expected a readable file" in ended.stderr
    assert f"{tmp_path}/users: auth.htpasswd.path: expected a file made by" in ended.stderr
