"""Being let in where the cache asks for an account (RFC 7617; distribution's token specification)."""

import base64
import http.client
import json
import re
import threading
from contextlib import closing
from urllib.parse import urlencode, urlsplit

from common.config import Secret
from entrepot.failure import Failure
from entrepot.warm.server import Server, at

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_SECONDS = 30.0
_LARGEST = 1 << 20


class Access:
    """What one account's requests carry; thread-safe."""

    def __init__(self, username: str, password: Secret, cafile: str | None) -> None:
        """Nothing is sent before it is asked for; without a name tokens are asked for without one."""
        self._username = username
        self._password = password
        self._cafile = cafile
        self._lock = threading.Lock()
        self._header = ""

    @property
    def headers(self) -> dict[str, str]:
        """To send with a request."""
        return {"Authorization": self._header} if self._header else {}

    def meet(self, challenge: str, server: Server, sent: dict[str, str]) -> None:
        """Answer a 401 to a request that carried `sent`; raises Failure where there is no more to try."""
        with self._lock:
            if self.headers != sent:
                return  # another thread has met it meanwhile
            scheme, _, rest = challenge.partition(" ")
            if scheme.lower() == "basic" and self._username and not self._header:
                self._header = self._basic
            elif scheme.lower() == "bearer":
                self._header = f"Bearer {self._token(dict(_PARAMETER.findall(rest)), server)}"
            else:
                raise Failure(
                    f"{server} lets only known users in",
                    "give --username and --password-file of an account that may pull",
                )

    @property
    def _basic(self) -> str:
        pair = f"{self._username}:{self._password.reveal()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _token(self, parameters: dict[str, str], server: Server) -> str:
        realm = urlsplit(parameters.get("realm", ""))
        shown = f"{realm.scheme}://{realm.netloc}{realm.path}"
        if realm.scheme != "https" and server.is_encrypted:
            raise Failure(f"{server} asks for tokens of {shown}, which is not encrypted")
        asked = {key: value for key, value in parameters.items() if key in {"service", "scope"}}
        headers = {"Authorization": self._basic} if self._username else {}
        target = f"{realm.path}?{urlencode(asked)}"
        giver = at(f"{realm.scheme}://{realm.netloc}", cafile=self._cafile)
        try:
            with closing(giver.get(target, headers, _SECONDS)) as response:
                body = response.read(_LARGEST)
                if response.status == http.client.OK:
                    told = json.loads(body)
                    return str(told.get("token") or told["access_token"])
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            raise Failure(f"no token from {shown}: {error}") from error
        raise Failure(
            f"no token from {shown}: it answered {response.status}",
            "are --username and --password-file those of an account that may pull?",
        )
