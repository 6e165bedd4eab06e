"""RabbitMQ's management interface, as far as tests need it."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import Any


class Management:
    """The management interface at `base`, which carries user and password."""

    def __init__(self, base: str) -> None:
        parts = urllib.parse.urlsplit(base)
        self.user = urllib.parse.unquote(parts.username or "guest")
        self.password = urllib.parse.unquote(parts.password or "guest")
        self._base = f"{parts.scheme}://{parts.hostname}:{parts.port}/api/"
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
        }

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer, None when it is empty; raises urllib.error.HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._base + path, data=data, headers=self._headers, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            content = response.read()
        return json.loads(content) if content else None

    def answers(self) -> bool:
        """Whether the broker is up as far as this interface can tell."""
        try:
            self.call("GET", "overview")
        except (OSError, HTTPException):
            return False
        return True

    def make_vhost(self, name: str) -> None:
        """An empty virtual host on which the user may do everything."""
        quoted = urllib.parse.quote(name, safe="")
        user = urllib.parse.quote(self.user, safe="")
        self.call("PUT", f"vhosts/{quoted}")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.call("PUT", f"permissions/{quoted}/{user}", everything)

    def drop_vhost(self, name: str) -> None:
        """Remove the virtual host with all in it; its connections are closed by the broker."""
        try:
            self.call("DELETE", f"vhosts/{urllib.parse.quote(name, safe='')}")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 404:
                raise
