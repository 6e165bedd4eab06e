"""`auth.silly`: whoever says anything is let in. For tests, as distribution has it."""

from collections.abc import Iterable

import falcon.asgi

from common.config.auth import Silly
from frontend.auth.access import Access, Refused
from frontend.auth.challenge import bearer


class SillyScheme:
    """Looks for the Authorization header, and not at it."""

    def __init__(self, settings: Silly) -> None:
        """Challenge with these."""
        self._settings = settings

    async def admit(self, req: falcon.asgi.Request, wanted: Iterable[Access]) -> str:
        """See `Scheme`."""
        if not req.get_header("Authorization"):
            raise Refused(bearer(self._settings.realm, self._settings.service, wanted))
        return "silly"
