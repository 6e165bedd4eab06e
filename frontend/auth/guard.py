"""The guard before every resource: who asks is found out before anything is looked at.

Whoever is not let in gets the same answer whether what was asked for is there, is not, or could
not even be: only a path that no resource has at all (404) is answered without asking.
"""

from typing import Any

import falcon.asgi

from frontend.auth.access import (
    CATALOG,
    Access,
    Refused,
    Scheme,
    scoped_name,
    to_repository,
)
from frontend.naming import Naming


class Guard:
    """Falcon's middleware over `scheme`; there is none where everybody may come in."""

    def __init__(self, scheme: Scheme, naming: Naming, prefix: str) -> None:
        """Guard the paths below `prefix`, all but `/`."""
        self._scheme = scheme
        self._naming = naming
        self._open = {prefix, f"{prefix}/"}
        self._catalog = f"{prefix}/v2/_catalog"

    async def process_resource(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        _resource: object,
        params: dict[str, Any],
    ) -> None:
        """Let the request pass, and note who asks in `req.context.user`; raises Refused."""
        name = params.get("name")
        if name is None and req.path in self._open:
            return
        try:
            req.context.user = await self._scheme.admit(req, self._wanted(req, name))
            # For those who see the request but not Falcon's context (frontend.notifications).
            req.scope["entrepot.user"] = req.context.user
        except Refused as refusal:
            if refusal.challenge:
                resp.set_header("WWW-Authenticate", refusal.challenge)
            raise

    def _wanted(self, req: falcon.asgi.Request, name: str | None) -> tuple[Access, ...]:
        if name is None:
            return CATALOG if req.path == self._catalog else ()
        namespace = req.get_param("ns") if req.query_string else None
        return to_repository(req.method, scoped_name(self._naming, name, namespace))
