"""Origins: scheme, host and port (RFC 6454, section 4), the boundary credentials stay within."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}

# What is left after requests has quoted a URL. Backslashes, controls and blanks are read
# differently by different parsers, so a URL that holds one has no origin at all.
_PLAIN = re.compile(r"[!-\[\]-~]+")
_HOST = re.compile(r"[a-z0-9._:%-]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request goes: two URLs are of one origin when all three are equal."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Origin":
        """The origin of `url`; raises ValueError unless it is plain http or https without userinfo."""
        if not _PLAIN.fullmatch(url):
            raise ValueError("a character that URLs do not have")
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
            raise ValueError("not an http or https URL")
        if "@" in parts.netloc:
            raise ValueError("credentials in a URL")
        return cls(parts.scheme, host, parts.port or _DEFAULT_PORTS[parts.scheme])

    @property
    def authority(self) -> str:
        """`host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_shown(self) -> str:
        """The host, with its port only where that is not the scheme's own."""
        if self.port != _DEFAULT_PORTS[self.scheme]:
            return self.authority
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        """For messages: never a path or a query, which may be a signed secret."""
        return f"{self.scheme}://{self.authority}"
