"""The ends of the API that hold nothing: `/`, `/v2/`, and all that writes."""

from typing import Any

import falcon
import falcon.asgi


class Base:
    """`/` and `/v2/`: this is a registry, and it answers."""

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """An empty object, as distribution gives."""
        resp.content_type = "application/json"
        resp.data = b"{}"


class Uploads:
    """`/v2/<name>/blobs/uploads/…`: nothing is pushed here."""

    async def on_get(self, *_args: Any, **_params: Any) -> None:
        """No upload to tell of."""
        raise falcon.HTTPMethodNotAllowed([])
