"""Configuration: distribution's file and `REGISTRY_…` variables, read once, into frozen models."""

from common.config.auth import Auth
from common.config.loading import Document, Loaded, load
from common.config.model import (
    Config,
    Fetcher,
    Frontend,
    Http,
    Janitor,
    Log,
    Proxy,
    Queue,
    Storage,
    Tags,
    Upstream,
)
from common.config.secret import Secret
from common.config.showing import show
from common.config.tls import Tls

__all__ = [
    "Auth",
    "Config",
    "Document",
    "Fetcher",
    "Frontend",
    "Http",
    "Janitor",
    "Loaded",
    "Log",
    "Proxy",
    "Queue",
    "Secret",
    "Storage",
    "Tags",
    "Tls",
    "Upstream",
    "load",
    "show",
]
