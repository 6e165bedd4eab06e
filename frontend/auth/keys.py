"""The keys that tokens may be signed with: those configured, and those that their owners certify.

A key is never taken from a token, whatever its header holds (CVE-2025-24976); the header only
says which of the configured ones is meant, or brings certificates that one of them has issued.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.config.auth import ASYMMETRIC, SYMMETRIC, Token
from common.errors import ConfigError, ConfigProblem

PublicKey: TypeAlias = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | bytes
)

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA = {name for name in ASYMMETRIC if name[0] in "RP"}
_LEAST_RSA_BITS = 2048
_LEAST_SECRET_BYTES = 32

# Certificates in one token; issuing one takes two or three.
_LONGEST_CHAIN = 5


class Untrusted(Exception):
    """Nothing that is configured vouches for the key of a token."""


@dataclass(frozen=True)
class Key:
    """A key, and what a token may be signed with by it."""

    key: PublicKey
    algorithms: frozenset[str]


@dataclass(frozen=True)
class Keys:
    """What is configured: keys by every id they may be meant by, and the certificates."""

    by_id: dict[str, Key]
    roots: tuple[x509.Certificate, ...]

    def of(self, header: dict[str, Any]) -> Key:
        """The key that a token with this header must be signed with. Raises Untrusted.

        As distribution (registry/auth/token/token.go): certificates count before an id.
        """
        embedded = header.get("jwk")
        embedded = embedded if isinstance(embedded, dict) else {}
        chain = header.get("x5c") or embedded.get("x5c")
        if chain:
            return _key(self._certified(_certificates(chain)).public_key())
        key = self.by_id.get(str(embedded.get("kid") or header.get("kid") or ""))
        if key is None:
            raise Untrusted("no such key")
        return key

    def _certified(self, chain: list[x509.Certificate]) -> x509.Certificate:
        """The first certificate of the chain, once one of ours vouches for it.

        RFC 5280, section 6.1, without revocation and name constraints, for any use: as Go's
        x509.Verify with ExtKeyUsageAny. A signature is only ever checked with a key that is
        certified already: from our end of the chain to the token's.
        """
        now = datetime.now(UTC)
        if not all(_is_current(certificate, now) for certificate in chain):
            raise Untrusted("a certificate is not valid now")
        if chain[0] in self.roots:
            return chain[0]
        for end in range(len(chain)):
            if any(_is_issued_by(chain[end], root, end, now) for root in self.roots):
                self._check(chain[: end + 1], now)
                return chain[0]
        raise Untrusted("no certificate of ours is above it")

    @staticmethod
    def _check(certified: list[x509.Certificate], now: datetime) -> None:
        for below in range(len(certified) - 2, -1, -1):
            if not _is_issued_by(certified[below], certified[below + 1], below, now):
                raise Untrusted("its certificates are not one chain")


def load(settings: Token) -> Keys:
    """The keys of `rootcertbundle` and `jwks`. Raises ConfigError."""
    roots = tuple(_bundle(settings.rootcertbundle)) if settings.rootcertbundle else ()
    by_id: dict[str, Key] = {}
    for root in roots:
        key = _configured(root.public_key(), settings.rootcertbundle, "rootcertbundle")
        by_id |= dict.fromkeys(_ids(key.key), key)
    for name, key in _key_set(settings.jwks) if settings.jwks else ():
        by_id[name] = key
    if not by_id:
        raise _wrong(settings.jwks, "jwks", "expected a key that verifies signatures")
    return Keys(by_id, roots)


def _bundle(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content(path, "rootcertbundle"))
    except ValueError:
        raise _wrong(path, "rootcertbundle", "expected certificates in PEM") from None


def _key_set(path: str) -> Iterator[tuple[str, Key]]:
    try:
        entries = json.loads(_content(path, "jwks"))["keys"]
        for entry in entries:
            if entry.get("use", "sig") == "sig":
                yield from _of_set(entry, path)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, jwt.PyJWTError):
        raise _wrong(path, "jwks", "expected a JSON Web Key Set (RFC 7517)") from None


def _of_set(entry: dict[str, Any], path: str) -> Iterator[tuple[str, Key]]:
    found: Any = jwt.PyJWK.from_dict(entry).key
    # A set of private keys is a mistake, but not one that we could make worse.
    key = _configured(getattr(found, "public_key", lambda: found)(), path, "jwks")
    stated = entry.get("alg")
    if stated is not None:
        key = Key(key.key, key.algorithms & {stated})
    for name in [entry["kid"]] if entry.get("kid") else _ids(key.key):
        yield name, key


def _content(path: str, setting: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise _wrong(path, setting, f"expected a readable file: {reason}") from None


def _configured(key: Any, path: str, setting: str) -> Key:
    try:
        return _key(key)
    except Untrusted as error:
        raise _wrong(path, setting, f"expected {error}") from None


def _key(key: Any) -> Key:
    """The key with its algorithms (RFC 7518, section 3.1; RFC 8037). Raises Untrusted.

    An algorithm that belongs to another kind of key is none of its: no public key can ever be
    taken for the secret of an HS algorithm.
    """
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return Key(key, frozenset(_RSA))
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return Key(key, frozenset({_CURVES[key.curve.name]}))
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return Key(key, frozenset({"EdDSA"}))
    if isinstance(key, bytes) and len(key) >= _LEAST_SECRET_BYTES:
        return Key(key, frozenset(SYMMETRIC))
    raise Untrusted(
        "a key of RSA (2048 bits or more), P-256, P-384, P-521, Ed25519, or 32 secret bytes or more"
    )


def _ids(key: PublicKey) -> list[str]:
    """What a key may be called that has no name: its thumbprint, and what distribution 2 made."""
    if isinstance(key, bytes):
        return []
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return [_thumbprint(key), _fingerprint(spki)]


def _thumbprint(key: PublicKey) -> str:
    """RFC 7638."""
    kinds = {"kty", "n", "e", "crv", "x", "y"}
    maker: Any = jwt.algorithms
    if isinstance(key, rsa.RSAPublicKey):
        algorithm = maker.RSAAlgorithm
    elif isinstance(key, ec.EllipticCurvePublicKey):
        algorithm = maker.ECAlgorithm
    else:
        algorithm = maker.OKPAlgorithm
    members = algorithm.to_jwk(key, as_dict=True)
    required = {name: members[name] for name in sorted(kinds & members.keys())}
    digest = hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _fingerprint(spki: bytes) -> str:
    """libtrust's: the first 240 bits of SHA-256 in base 32, in groups of four."""
    text = base64.b32encode(hashlib.sha256(spki).digest()[:30]).decode()
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def _certificates(chain: Any) -> list[x509.Certificate]:
    if not isinstance(chain, list) or len(chain) > _LONGEST_CHAIN:
        raise Untrusted("no chain of certificates")
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(item)) for item in chain]
    except (ValueError, TypeError):
        raise Untrusted("no chain of certificates") from None


def _is_current(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _is_issued_by(
    certificate: x509.Certificate, issuer: x509.Certificate, between: int, now: datetime
) -> bool:
    """Whether `issuer` may issue certificates, `between` of them below this one, and did this."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    limit = constraints.path_length
    if not constraints.ca or (limit is not None and between > limit):
        return False
    if not _is_current(issuer, now) or not _may_sign_certificates(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _may_sign_certificates(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _wrong(source: str, setting: str, expected: str) -> ConfigError:
    return ConfigError([ConfigProblem(source, f"auth.token.{setting}", expected)])
