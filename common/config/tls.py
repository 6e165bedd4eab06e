"""`http.tls`: what clients see of us, and what we want to see of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from common.config import leaves
from common.config.findings import Findings
from common.config.shapes import Leaf, ListOf, Section, names, refused, section, setting

VERIFIED_IF_GIVEN = "verify-client-cert-if-given"
REQUIRED = "require-and-verify-client-cert"
_VERSIONS = ("tls1.2", "tls1.3")

# Go's names (crypto/tls) for OpenSSL's. Without RC4 and 3DES, which OpenSSL 3 no longer has.
_SUITES_1_2 = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
_SUITES_1_3 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
_AUTHENTICATION = (VERIFIED_IF_GIVEN, REQUIRED)


def _suite() -> Leaf:
    def read(written: str) -> str:
        name = written.upper()
        if name not in _SUITES_1_2 and name not in _SUITES_1_3:
            raise ValueError
        return name

    among = ", ".join((*_SUITES_1_3, *reversed(_SUITES_1_2)))
    return Leaf(read, f"expected suites among {among}", kind="suite")


@dataclass(frozen=True, slots=True)
class Tls:
    """`http.tls`: HTTPS where there is a certificate."""

    certificate: str = setting(leaves.text("a path"), "")
    """PEM file: our certificate, then those that certify it. Read again when it changes."""
    key: str = setting(leaves.text("a path"), "")
    """PEM file of its private key, not encrypted."""
    clientcas: Sequence[str] = setting(ListOf(leaves.text("a path")), ())
    """PEM files of the authorities that clients' certificates are verified against."""
    clientauth: str = setting(leaves.choice(*_AUTHENTICATION), "")
    """Whether a client must have a certificate; once read, empty only without `clientcas`."""
    minimumtls: str = setting(leaves.choice(*_VERSIONS), "")
    """Once read, empty only without a certificate."""
    ciphersuites: Sequence[str] = setting(ListOf(_suite()), ())
    """Of TLS 1.2, by Go's names; those of TLS 1.3 cannot be chosen, there as here."""

    @property
    def ciphers(self) -> str:
        """OpenSSL's names of the suites; empty for our choice."""
        return ":".join(_SUITES_1_2[name] for name in self.ciphersuites if name in _SUITES_1_2)


SECTION: Section = section(
    Tls,
    letsencrypt=refused(
        "refused: certificates are not ordered here, where several machines may answer to one"
        " name; have certbot, lego or cert-manager write them, and name the files in certificate"
        " and key: they are read again when they change",
        names("cachefile email hosts directoryurl"),
    ),
)


def assemble(tls: Tls, findings: Findings) -> Tls:
    """With what follows from what is written; what does not fit together is told to `findings`."""
    key = ("http", "tls")
    tls = replace(tls, clientcas=tuple(tls.clientcas), ciphersuites=tuple(tls.ciphersuites))
    if bool(tls.certificate) != bool(tls.key):
        missing = "key" if tls.certificate else "certificate"
        findings.wrong((*key, missing), "expected a file: certificate and key go together")
    elif not tls.certificate:
        if findings.is_written(key) and not findings.known(key):
            findings.wrong(
                (*key, "certificate"), "expected a file: without it nothing is encrypted"
            )
        return tls
    if tls.clientauth and not tls.clientcas:
        findings.wrong(
            (*key, "clientcas"), "expected the authorities that clients' certificates come from"
        )
    return replace(
        tls,
        clientauth=tls.clientauth or (REQUIRED if tls.clientcas else ""),
        minimumtls=_minimum(tls),
    )


def _minimum(tls: Tls) -> str:
    # Suites of TLS 1.3 alone leave none for TLS 1.2.
    if tls.ciphersuites and not tls.ciphers:
        return _VERSIONS[-1]
    return tls.minimumtls or _VERSIONS[0]
