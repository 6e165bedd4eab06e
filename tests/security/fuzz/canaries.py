"""Secrets that must turn up nowhere."""

from base64 import b64encode

USER, PASSWORD = "canary-user-2c", "canary-password-c41d"
CLIENT_TOKEN = "canary-client-token-77a0"
REGISTRY_TOKEN = "canary-registry-token-9e13"
SIGNATURE = "canary-signature-60bf"

IN_NO_LOG = (
    PASSWORD,
    CLIENT_TOKEN,
    REGISTRY_TOKEN,
    SIGNATURE,
    b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
)
