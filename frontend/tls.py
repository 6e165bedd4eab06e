"""`http.tls`: the certificate we show, and the ones we want to see."""

import asyncio
import os
import ssl
from contextlib import suppress

from common import logs
from common.config import Tls
from common.config.tls import REQUIRED
from common.errors import ConfigError, ConfigProblem

# distribution's choice for TLS 1.2 (registry/registry.go): forward secrecy, and authenticated.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS = {"tls1.2": ssl.TLSVersion.TLSv1_2, "tls1.3": ssl.TLSVersion.TLSv1_3}

# How often the certificate's files are looked at, in seconds.
_LOOK_EVERY = 10.0

_log = logs.get(__name__)

Stamp = tuple[tuple[int, int, int], ...]


class ServerTls:
    """The context of all connections: made before workers are forked, and theirs from then on."""

    def __init__(self, settings: Tls) -> None:
        """Read the files; raises ConfigError, which names the file and its key."""
        self._settings = settings
        self._stamp = _stamp(settings)
        self.context = _context(settings)

    async def stay_current(self, pause: float = _LOOK_EVERY) -> None:
        """Show a new certificate from soon after it is there; runs until it is cancelled.

        Connections that are open keep the one they were shown. A new certificate that cannot be
        used changes nothing.
        """
        while True:
            self.look()
            await asyncio.sleep(pause)

    def look(self) -> None:
        """Load certificate and key again if the files are others now."""
        stamp = _stamp(self._settings)
        if stamp == self._stamp:
            return
        try:
            # In a context for nobody first: half a pair would spoil the one in use.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._settings)
            _load(self.context, self._settings)
        except ConfigError as error:
            _log.error("the certificate in use is kept", because=str(error))
        else:
            _log.info("certificate read again", file=self._settings.certificate)
        self._stamp = stamp


def _context(settings: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.minimumtls or "tls1.2"]
    context.set_ciphers(settings.ciphers or _CIPHERS)
    # gunicorn could speak HTTP/2, but what we make of its protocol (frontend.worker) does not.
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load(context, settings)
    for index, file in enumerate(settings.clientcas):
        _trust(context, file, f"clientcas.{index}")
    if settings.clientcas:
        is_required = settings.clientauth == REQUIRED
        context.verify_mode = ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL
    return context


def _load(context: ssl.SSLContext, settings: Tls) -> None:
    _readable(settings.certificate, "certificate")
    _readable(settings.key, "key")
    try:
        # Without a word for it OpenSSL would ask the terminal for the key's password.
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except (OSError, ValueError) as error:
        raise _unusable(settings, getattr(error, "reason", None) or "") from None


def _unusable(settings: Tls, reason: str) -> ConfigError:
    """Which of the two it is that cannot be used; `reason` is OpenSSL's."""
    if reason == "KEY_VALUES_MISMATCH":
        return _wrong(settings.key, "key", "expected the key of the certificate")
    if reason.endswith(("TOO_SMALL", "TOO_WEAK")):
        expected = "expected a stronger one: OpenSSL takes RSA from 2048 bits, EC from 224, SHA-2"
        return _wrong(settings.certificate, "certificate", expected)
    with suppress(ssl.SSLError, OSError):
        # As a file of authorities a certificate needs no key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(settings.certificate)
        return _wrong(settings.key, "key", "expected a private key in PEM, not encrypted")
    return _wrong(settings.certificate, "certificate", "expected a certificate in PEM")


def _trust(context: ssl.SSLContext, file: str, key: str) -> None:
    _readable(file, key)
    try:
        context.load_verify_locations(file)
    except (ssl.SSLError, OSError):
        raise _wrong(file, key, "expected certificates in PEM") from None


def _readable(file: str, key: str) -> None:
    try:
        with open(file, "rb"):
            pass
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise _wrong(file, key, f"expected a readable file: {reason}") from None


def _stamp(settings: Tls) -> Stamp:
    found = []
    for file in (settings.certificate, settings.key):
        with suppress(OSError):
            status = os.stat(file)
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def _wrong(file: str, key: str, expected: str) -> ConfigError:
    return ConfigError([ConfigProblem(file, f"http.tls.{key}", expected)])
