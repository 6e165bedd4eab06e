"""The application: resources on a router, and one table of errors."""

from collections.abc import Sequence
from typing import Any

import falcon.asgi

from frontend import errors
from frontend.auth.access import Scheme
from frontend.auth.guard import Guard
from frontend.base import Base, Uploads
from frontend.blobs import Blobs
from frontend.catalog import Catalog
from frontend.lane import Lane, can_carry
from frontend.manifests import Manifests
from frontend.referrers import Referrers
from frontend.router import Router
from frontend.services import Services
from frontend.taglists import TagLists
from frontend.targets import Targets

App = falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]

API_VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")


class _Always:
    """What every answer carries: distribution's API version and the configured headers."""

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        self._headers = headers

    async def process_response(
        self, _req: Any, resp: falcon.asgi.Response, _resource: Any, _succeeded: bool
    ) -> None:
        for name, value in self._headers:
            resp.append_header(name, value)


class _Absolute:
    """Links that begin with the address that clients see us as (`http.host`)."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def process_response(
        self, _req: Any, resp: falcon.asgi.Response, _resource: Any, _succeeded: bool
    ) -> None:
        link = resp.get_header("Link")
        if link is not None and link.startswith("</"):
            resp.set_header("Link", f"<{self._address}{link[1:]}")


def create_app(
    services: Services,
    *,
    patience: float,
    maxtags: int,
    maxentries: int,
    prefix: str = "",
    address: str = "",
    scheme: Scheme | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> App | Lane:
    """The ASGI application over `services`; `patience` in seconds, see `frontend.patience`.

    `address` is what links begin with; empty: they are relative. Without `scheme` everybody may
    come in.
    """
    router = Router(
        prefix=prefix,
        base=Base(),
        manifests=Manifests(services, patience),
        blobs=Blobs(services, patience),
        tags=TagLists(services, patience, maxtags),
        referrers=Referrers(services, patience),
        catalog=Catalog(services, patience, maxentries),
        uploads=Uploads(),
    )
    always = [API_VERSION, *headers]
    guards = [] if scheme is None else [Guard(scheme, services.naming, prefix)]
    links = [_Absolute(address)] if address else []
    middleware: list[Any] = [_Always(always), *guards, *links]
    app: App = falcon.asgi.App(router=router, middleware=middleware)
    app.add_error_handler(Exception, errors.handle)
    app.add_error_handler(falcon.HTTPError, errors.handle)
    app.req_options.auto_parse_qs_csv = False
    # A guard decides with Falcon's request at hand, and before anything is looked at.
    if guards or not can_carry(always):
        return app
    return Lane(app, services, Targets(router, services.naming), always)
