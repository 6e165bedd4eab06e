"""HTTP proxies that the environment names: distribution obeys them, and nothing here does."""

from collections.abc import Mapping

_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


def named(environ: Mapping[str, str]) -> list[str]:
    """The variables that name one; their values may hold an account."""
    return [name for name in _VARIABLES if environ.get(name)]
