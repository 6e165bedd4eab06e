"""Certificates for servers of the tests, made by the openssl program."""

import ssl
import subprocess
from pathlib import Path

_NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


def certificate(folder: Path, names: str = _NAMES) -> tuple[Path, ssl.SSLContext]:
    """A certificate that signs itself, and the context of a server that shows it."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    told = ["-days", "2", "-subj", "/CN=entrepot test", "-addext", names]
    files = ["-out", str(cert), "-keyout", str(key)]
    subprocess.run(["openssl", "req", *made, *told, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context
