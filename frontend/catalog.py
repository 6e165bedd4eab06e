"""The catalog: the repositories that are cached, as far as clients can pull them by these names."""

import asyncio
from itertools import islice

import falcon.asgi

from common.errors import InvalidInput
from common.reference import RepositoryName
from common.repositories import repositories
from frontend import pages
from frontend.errors import OutOfPatience
from frontend.services import Services

# distribution's catalog.maxentries, where it is 0 or absent.
_DEFAULT_MOST = 1000

# Walks at the same time, in threads: the others are for cold reads of blobs.
_WALKS = 2


class Catalog:
    """`/v2/_catalog` (distribution's registry/handlers/catalog.go; not in the specification)."""

    def __init__(self, services: Services, patience: float, most: int) -> None:
        """Have clients wait up to `patience` seconds, and give `most` names at once."""
        self._services = services
        self._patience = patience
        self._most = most or _DEFAULT_MOST
        self._walks = asyncio.Semaphore(_WALKS)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The names in the order of the tree, at most `n` of them, those after `last`."""
        size = pages.page_size(req, self._most)
        size = self._most if size is None else size
        # One more, to know whether there is one.
        found = await self._walk(pages.last(req), size + 1) if size else []
        resp.media = {"repositories": found[:size]}
        if len(found) > size > 0:
            pages.link_next(req, resp, size, found[size - 1])

    async def _walk(self, after: str, count: int) -> list[RepositoryName]:
        try:
            async with asyncio.timeout(self._patience):
                await self._walks.acquire()
        except TimeoutError:
            raise OutOfPatience("other catalogs") from None
        walk = asyncio.get_running_loop().run_in_executor(None, self._take, after, count)
        # Not before the thread is free again, which goes on when the client has hung up.
        walk.add_done_callback(lambda _walk: self._walks.release())
        return await asyncio.shield(walk)

    def _take(self, after: str, count: int) -> list[RepositoryName]:
        names = repositories(self._services.layout, after)
        return list(islice(filter(self._is_served, names), count))

    def _is_served(self, name: RepositoryName) -> bool:
        """Whether the name, as a client would write it, leads here."""
        try:
            return self._services.naming.resolve(name, None).stored == name
        except InvalidInput:
            return False
