"""Tokens: which are believed, what they open, and what a client is told that has none."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.config.auth import Token
from common.digest import Digest
from common.errors import ConfigError
from frontend.auth import keys
from tests.frontend.authenticating import (
    ISSUER,
    SERVICE,
    Certified,
    PrivateKey,
    certified,
    claims,
    jwk,
    key_set,
    public_pem,
    pull,
    write,
)
from tests.frontend.stage import Answer, Stage, stage
from tests.waiting import until

REALM = "https://tokens.example/token"
SECRET = b"s" * 48


@dataclass
class Ring:
    """The keys that the frontend knows."""

    rs: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    p256: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    ed: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)
    root: Certified = field(default_factory=lambda: certified("root", authority=True))
    # What token servers sign with that have one certificate, and it their own.
    alone: Certified = field(default_factory=lambda: certified("alone"))

    def file(self, folder: Path) -> str:
        return key_set(
            folder / "jwks.json",
            jwk(self.rs, kid="rs"),
            jwk(self.p256, kid="p256", alg="ES256", use="sig"),
            jwk(self.ed, kid="ed"),
            {"kty": "oct", "kid": "secret", "k": base64.urlsafe_b64encode(SECRET).decode()},
        )

    def settings(self, folder: Path) -> dict[str, Any]:
        return {
            "realm": REALM,
            "service": SERVICE,
            "issuer": ISSUER,
            "jwks": self.file(folder),
            "rootcertbundle": write(folder / "roots.pem", self.root.pem, self.alone.pem),
        }


@pytest.fixture(scope="module")
def ring() -> Ring:
    return Ring()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, ring: Ring) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("token")
    upstreams = [{"name": "ghcr.io", "remoteurl": "http://127.0.0.1:1"}]
    proxy = {"remoteurl": "http://127.0.0.1:1", "upstreams": upstreams}
    auth = {"token": ring.settings(folder)}
    with stage(folder / "root", auth=auth, proxy=proxy) as opened:
        yield opened


def signed(said: dict[str, Any], key: PrivateKey | bytes, algorithm: str, **header: Any) -> str:
    signing: Any = key
    return jwt.encode(said, signing, algorithm, headers=header)


def chain(*certificates: Certified) -> list[str]:
    return [base64.b64encode(each.der).decode() for each in certificates]


def show(front: Stage, token: str, path: str = "/v2/", method: str = "GET") -> Answer:
    return front.ask(path, method, {"Authorization": f"Bearer {token}"})


def challenge(scope: str = "", error: str = "") -> str:
    text = f'Bearer realm="{REALM}",service="{SERVICE}"'
    text += f',scope="{scope}"' if scope else ""
    return text + (f',error="{error}"' if error else "")


def test_whoever_has_no_token_is_told_where_to_get_it_and_for_what(front: Stage) -> None:
    asked = {
        ("GET", "/v2/"): "",
        ("GET", "/v2/library/app/manifests/1"): "repository:library/app:pull",
        ("HEAD", "/v2/library/app/manifests/1"): "repository:library/app:pull",
        ("GET", "/v2/ghcr.io/org/app/tags/list"): "repository:ghcr.io/org/app:pull",
        ("GET", "/v2/org/app/tags/list?ns=ghcr.io"): "repository:ghcr.io/org/app:pull",
        ("GET", "/v2/org/app/tags/list?ns=evil.example"): "repository:evil.example/org/app:pull",
        ("PUT", "/v2/library/app/manifests/1"): "repository:library/app:pull,push",
        ("DELETE", "/v2/library/app/manifests/1"): "repository:library/app:delete",
        ("GET", "/v2/a%0d%0aX-Evil:%201/manifests/1"): "",
        ("GET", '/v2/a"b/manifests/1'): "",
        ("GET", "/v2/a/manifests/1?ns=%0d%0a"): "",
    }
    for (method, path), scope in asked.items():
        answer = front.ask(path.replace('"', "%22"), method)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, challenge(scope)), path
        assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("rs", "RS256"), ("rs", "PS512"), ("p256", "ES256"), ("ed", "EdDSA")],
)
def test_a_token_opens_what_it_grants(front: Stage, ring: Ring, name: str, algorithm: str) -> None:
    digest = front.store_blob("library/app", b"content")
    front.store_blob("library/other", b"content")
    token = signed(claims(pull("library/app")), getattr(ring, name), algorithm, kid=name)
    assert show(front, token).status == 200
    for _ in range(2):  # the second time from memory
        assert show(front, token, f"/v2/library/app/blobs/{digest}").body == b"content"
        assert show(front, token, f"/v2/library/app/blobs/{digest}", "HEAD").status == 200
        other = show(front, token, f"/v2/library/other/blobs/{digest}")
        assert other.status == 401
        assert other.headers["www-authenticate"] == challenge(
            "repository:library/other:pull", "insufficient_scope"
        )
        assert other.body == show(front, token, f"/v2/library/other/blobs/{Digest.of(b'x')}").body
    assert show(front, token, f"/v2/library/app/blobs/{digest}", "DELETE").status == 401


def test_every_action_is_granted_by_a_star(front: Stage, ring: Ring) -> None:
    token = signed(claims(("repository", "a", ["*"])), ring.ed, "EdDSA", kid="ed")
    assert show(front, token, "/v2/a/manifests/1", "PUT").status == 405


def test_what_is_granted_of_one_upstream_opens_none_of_another(front: Stage, ring: Ring) -> None:
    digest = front.store_blob("ghcr.io/org/app", b"theirs")
    front.store_blob("org/app", b"theirs")
    plain = signed(claims(pull("org/app")), ring.ed, "EdDSA", kid="ed")
    theirs = signed(claims(pull("ghcr.io/org/app")), ring.ed, "EdDSA", kid="ed")
    paths = [
        f"/v2/ghcr.io/org/app/blobs/{digest}",
        f"/v2/org/app/blobs/{digest}?ns=ghcr.io",
        f"/v2/org/app/blobs/{digest}",
    ]
    assert [show(front, theirs, path).status for path in paths] == [200, 200, 401]
    assert [show(front, plain, path).status for path in paths] == [401, 401, 200]


def from_now(others: dict[str, Any]) -> dict[str, Any]:
    """Claims with these; times in seconds from now."""
    now = int(time.time())
    times = {"exp", "nbf", "iat"}
    moved = {
        name: now + value if name in times and isinstance(value, int) else value
        for name, value in others.items()
    }
    return claims(**moved)


@pytest.mark.parametrize(
    "others",
    [
        {"exp": -(10**9)},
        {"exp": -61},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": 3600},
        {"aud": "another.example"},
        {"aud": ["another.example"]},
        {"aud": None},
        {"iss": "another.example"},
        {"iss": None},
        {"access": "everything"},
        {"access": [1]},
        {"access": [{"type": "repository", "name": "a", "actions": 1}]},
    ],
    ids=str,
)
def test_a_token_that_does_not_hold_is_invalid(
    front: Stage, ring: Ring, others: dict[str, Any]
) -> None:
    said = {name: value for name, value in from_now(others).items() if value is not None}
    answer = show(front, signed(said, ring.ed, "EdDSA", kid="ed"))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == challenge(error="invalid_token")


@pytest.mark.parametrize(
    "others",
    [
        {"exp": -30},
        {"nbf": 30},
        {"aud": ["x", SERVICE]},
        {"access": None},
        {"iat": 3600, "sub": ""},
    ],
    ids=str,
)
def test_clocks_may_differ_and_audiences_be_several(
    front: Stage, ring: Ring, others: dict[str, Any]
) -> None:
    answer = show(front, signed(from_now(others), ring.ed, "EdDSA", kid="ed"))
    assert answer.status == 200


def test_a_remembered_token_ends_when_it_expires(front: Stage, ring: Ring) -> None:
    left = 10  # of the leeway, in seconds
    token = signed(from_now({"exp": left - 60}), ring.ed, "EdDSA", kid="ed")
    assert show(front, token).status == 200
    until(lambda: show(front, token).status == 401, left + 10, "the token in memory to end")


@pytest.mark.parametrize("bundled", ["root", "alone"])
def test_a_key_is_known_by_its_thumbprint_and_by_its_old_fingerprint(
    front: Stage, ring: Ring, bundled: str
) -> None:
    key = getattr(ring, bundled).key
    for kid in keys._ids(key.public_key()):
        assert show(front, signed(claims(), key, "ES256", kid=kid)).status == 200


def test_thumbprint_and_fingerprint_are_the_published_ones() -> None:
    # RFC 7638, section 3.1.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = jwt.PyJWK.from_dict({"kty": "RSA", "n": modulus, "e": "AQAB"}).key
    thumbprint, fingerprint = keys._ids(key)
    assert thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert len(fingerprint.split(":")) == 12


def test_a_chain_up_to_a_configured_certificate_is_believed(front: Stage, ring: Ring) -> None:
    leaf = ring.root.issue("leaf")
    assert show(front, signed(claims(), leaf.key, "ES256", x5c=chain(leaf))).status == 200
    between = ring.root.issue("between", authority=True)
    rsa_key = rsa.generate_private_key(65537, 2048)
    below = between.issue("below", key=rsa_key)
    presented = chain(below, between, ring.root)
    assert show(front, signed(claims(), rsa_key, "RS256", x5c=presented)).status == 200
    alone = signed(claims(), ring.alone.key, "ES256", x5c=chain(ring.alone))
    assert show(front, alone).status == 200


def _forged_chains(ring: Ring) -> dict[str, tuple[PrivateKey, list[str]]]:
    stranger = certified("root", authority=True)
    leaf = stranger.issue("leaf")
    honest = ring.root.issue("honest")
    below_leaf = honest.issue("below")
    limited = ring.root.issue("limited", authority=True, path_length=0)
    between = limited.issue("between", authority=True)
    too_deep = between.issue("deep")
    old = ring.root.issue("old", days=-1)
    return {
        "of a stranger by the same name": (leaf.key, chain(leaf, stranger)),
        "with our root put on top": (leaf.key, chain(leaf, ring.root)),
        "below one that is no authority": (below_leaf.key, chain(below_leaf, honest)),
        "longer than allowed": (too_deep.key, chain(too_deep, between, limited)),
        "expired": (old.key, chain(old)),
        "of another key": (stranger.key, chain(honest)),
        "not in order": (honest.key, chain(ring.root, honest)),
        "endless": (honest.key, chain(honest) * 6),
        "no certificates": (honest.key, ["AAAA"]),
    }


def test_other_chains_are_not(front: Stage, ring: Ring) -> None:
    for what, (key, presented) in _forged_chains(ring).items():
        token = signed(claims(), key, "ES256", x5c=presented, kid="p256")
        assert show(front, token).status == 401, what


def test_cve_2025_24976_a_key_that_a_token_brings_is_not_believed(front: Stage, ring: Ring) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    stranger = certified("stranger", key=own)
    headers: list[dict[str, Any]] = [
        {"jwk": jwk(own)},
        {"jwk": jwk(own, kid="p256")},
        {"jwk": jwk(own, kid="p256"), "kid": "p256"},
        {"jwk": jwk(own, x5c=chain(stranger))},
        {"jwk": jwk(own, x5c=chain(ring.root))},
        {"jku": f"http://127.0.0.1:{front.port}/jwks", "kid": "p256"},
        {"x5u": f"http://127.0.0.1:{front.port}/cert", "kid": "p256"},
        {"kid": "p256"},
        {"kid": "../../jwks.json"},
        {},
    ]
    for header in headers:
        assert show(front, signed(claims(), own, "ES256", **header)).status == 401, header
    mentioned = {"jwk": jwk(ring.p256, kid="p256")}
    assert show(front, signed(claims(), ring.p256, "ES256", **mentioned)).status == 200


def _by_hand(header: dict[str, Any], said: dict[str, Any], signature: bytes = b"") -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return ".".join(part(json.dumps(item).encode()) for item in (header, said)) + (
        "." + part(signature)
    )


def test_a_public_key_is_never_a_secret_and_none_is_no_algorithm(front: Stage, ring: Ring) -> None:
    for form in (
        public_pem(ring.rs),
        ring.rs.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1),
        json.dumps(jwk(ring.rs)).encode(),
    ):
        unsigned = _by_hand({"alg": "HS256", "kid": "rs"}, claims()).rpartition(".")[0]
        mac = hmac.digest(form, unsigned.encode(), hashlib.sha256)
        token = f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        assert show(front, token).status == 401
    for algorithm in ("none", "None", "NONE", "", "HS1"):
        assert show(front, _by_hand({"alg": algorithm, "kid": "rs"}, claims())).status == 401


def test_a_secret_signs_only_where_its_algorithm_is_configured(
    front: Stage, ring: Ring, tmp_path: Path
) -> None:
    token = signed(claims(), SECRET, "HS256", kid="secret")
    assert show(front, token).status == 401
    settings = {**ring.settings(tmp_path), "signingalgorithms": ["hs256", "EdDSA"]}
    with stage(tmp_path / "root", auth={"token": settings}) as symmetric:
        assert show(symmetric, token).status == 200
        assert show(symmetric, signed(claims(), ring.ed, "EdDSA", kid="ed")).status == 200
        assert show(symmetric, signed(claims(), ring.rs, "RS256", kid="rs")).status == 401


def test_the_realm_may_be_the_host_that_was_asked(ring: Ring, tmp_path: Path) -> None:
    settings = {**ring.settings(tmp_path), "autoredirect": True, "autoredirectpath": "/t"}
    with stage(tmp_path / "root", auth={"token": settings}) as front:
        for sent, realm in {
            ("mirror.example:5000", ""): "https://mirror.example:5000/t",
            ("mirror.example", "http"): "http://mirror.example/t",
            ("mirror.example", "javascript"): "https://mirror.example/t",
            ('evil",error="', "https"): "https://localhost/t",
        }.items():
            headers = {"Host": sent[0], "X-Forwarded-Proto": sent[1]}
            told = front.ask("/v2/", headers=headers).headers["www-authenticate"]
            assert told == f'Bearer realm="{realm}",service="{SERVICE}"'


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer ....",
        "Bearer " + "e30." * 5000,
        "Bearer \xff\xff",
        "Basic YTpi",
        "bearer eyJhbGciOiJFUzI1NiIsIng1YyI6e319.e30.AA",
    ],
)
def test_nonsense_is_401(front: Stage, authorization: str) -> None:
    assert front.ask("/v2/", headers={"Authorization": authorization}).status == 401


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rootcertbundle", None, "expected a readable file: No such file or directory"),
        ("rootcertbundle", b"nonsense", "expected certificates in PEM"),
        ("jwks", None, "expected a readable file: No such file or directory"),
        ("jwks", b"{", "expected a JSON Web Key Set (RFC 7517)"),
        ("jwks", b"[]", "expected a JSON Web Key Set (RFC 7517)"),
        ("jwks", b'{"keys": [1]}', "expected a JSON Web Key Set (RFC 7517)"),
        ("jwks", b'{"keys": [{"kty": "RSA"}]}', "expected a JSON Web Key Set (RFC 7517)"),
        ("jwks", b'{"keys": []}', "expected a key that verifies signatures"),
        (
            "jwks",
            b'{"keys": [{"kty": "oct", "kid": "a", "k": "c2hvcnQ"}]}',
            "expected a key of RSA",
        ),
    ],
)
def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    named: dict[str, Any] = {name: str(file)}
    with pytest.raises(ConfigError) as caught:
        keys.load(replace(Token(), **named))
    assert str(caught.value).startswith(f"{file}: auth.token.{name}: {told}")
