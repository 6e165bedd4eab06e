"""What tests of authentication are made of: certificates, password files, tokens and their server."""

import datetime as dt
import ipaddress
import json
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qs

import bcrypt
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from common.digest import Digest
from tests.frontend.stage import Stage
from tests.parts.content import document, failure
from tests.parts.credentials import basic
from tests.parts.faults import Answer
from tests.parts.images import Layout
from tests.parts.serving import Exchange, Server

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

SERVICE, ISSUER = "mirror.example", "tokens.example"
LEAST_COST = 4  # bcrypt's: what a test needs not be safe from is done quickly


@dataclass(frozen=True)
class Certified:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def der(self) -> bytes:
        """The certificate as tokens carry it."""
        return self.certificate.public_bytes(Encoding.DER)

    def issue(self, name: str, **options: Any) -> "Certified":
        """A certificate below this one."""
        return certified(name, self, **options)


def certified(
    name: str,
    issuer: Certified | None = None,
    *,
    authority: bool = False,
    key: PrivateKey | None = None,
    days: int = 2,
    path_length: int | None = None,
) -> Certified:
    """A certificate for `name` and the loopback; by itself where there is no issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = (
        x509.CertificateBuilder(subject, subject)
        if issuer is None
        else x509.CertificateBuilder(issuer.certificate.subject, subject)
    )
    builder = (
        builder.public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=3))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(authority, path_length), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), loopback]), False)
    )
    signer = key if issuer is None else issuer.key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Certified(builder.sign(signer, algorithm), key)


def write(path: Path, *contents: bytes) -> str:
    """A file of these; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(contents))
    return str(path)


def tls(folder: Path, server: Certified, *clientcas: Certified) -> dict[str, Any]:
    """The section `http.tls` for this certificate."""
    section: dict[str, Any] = {
        "certificate": write(folder / "cert.pem", server.pem),
        "key": write(folder / "key.pem", server.key_pem),
    }
    if clientcas:
        section["clientcas"] = [write(folder / "clients.pem", *(ca.pem for ca in clientcas))]
    return section


def trusting(folder: Path, authority: Certified, client: Certified | None = None) -> ssl.SSLContext:
    """A client's side."""
    context = ssl.create_default_context(cafile=write(folder / "trusted.pem", authority.pem))
    if client is not None:
        file = write(folder / "client.pem", client.pem, client.key_pem)
        context.load_cert_chain(file)
    return context


def htpasswd(path: Path, users: dict[str, str], cost: int = LEAST_COST) -> str:
    """A file of names and passwords, as htpasswd -B writes it; its path."""
    lines = [
        f"{user}:".encode()
        + bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).replace(b"$2b$", b"$2y$")
        + b"\n"
        for user, password in users.items()
    ]
    return write(path, *lines)


def claims(*access: tuple[str, str, list[str]], **others: Any) -> dict[str, Any]:
    """What a token says that is good for a minute."""
    now = int(time.time())
    granted = [{"type": kind, "name": name, "actions": actions} for kind, name, actions in access]
    said = {
        "iss": ISSUER,
        "aud": SERVICE,
        "sub": "ci",
        "exp": now + 60,
        "nbf": now,
        "iat": now,
        "access": granted,
    }
    return {**said, **others}


def pull(name: str) -> tuple[str, str, list[str]]:
    """The access that a pull takes."""
    return ("repository", name, ["pull"])


def jwk(key: PrivateKey, **members: Any) -> dict[str, Any]:
    """The public half as a JSON Web Key."""
    algorithm: Any = {
        True: jwt.algorithms.ECAlgorithm,
        isinstance(key, rsa.RSAPrivateKey): jwt.algorithms.RSAAlgorithm,
        isinstance(key, ed25519.Ed25519PrivateKey): jwt.algorithms.OKPAlgorithm,
    }[True]
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **members}


def public_pem(key: PrivateKey) -> bytes:
    """The public half, which attackers try as a secret."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def store_image(stage: Stage, image: Layout, tag: str, repository: str) -> Digest:
    """Have an image in storage, with all it needs."""
    digest = image.tagged(tag)
    for blob in image.blobs_of(digest):
        stage.store_blob(repository, image.read(blob))
    stage.store_manifest(repository, image.read(digest), tag)
    return digest


class TokenServer:
    """Gives one user tokens for the repositories `allowed`, signed with `key`."""

    def __init__(self, key: PrivateKey, kid: str, *, user: str, password: str) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.allowed: set[str] = set()
        self._key, self.kid = key, kid
        self._expected = basic(user, password)
        self._server = Server(self._answer)
        self.realm = f"http://127.0.0.1:{self._server.port}/token"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def _answer(self, exchange: Exchange, _stopping: threading.Event) -> Answer:
        query = parse_qs(exchange.query)
        self.asked.append(query)
        if exchange.headers.get("authorization") != self._expected:
            return failure(401, "UNAUTHORIZED")
        access = []
        for scope in " ".join(query.get("scope", [])).split():
            _, name, _actions = scope.split(":")
            if name in self.allowed:
                access.append(pull(name))
        said = claims(*access, aud=query["service"][0])
        token = jwt.encode(said, self._key, "ES256", headers={"kid": self.kid})
        return document(200, {"token": token, "expires_in": 60})


def key_set(path: Path, *keys: dict[str, Any]) -> str:
    """A file of JSON Web Keys; its path."""
    return write(path, json.dumps({"keys": keys}).encode())
