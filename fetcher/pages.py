"""Lists of an upstream, page by page (OCI distribution-spec, "Listing Tags", "Listing Referrers")."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

from common.errors import UpstreamError
from common.reference import RepositoryName
from fetcher.answers import Asked
from fetcher.bodies import read_capped
from fetcher.origin import Origin
from fetcher.redirects import Answer
from fetcher.registry import Registry

_OK = 200

# RFC 8288, section 3, as far as registries use it: one target, one relation.
_NEXT = re.compile(r'<([^<>]*)>\s*;[^<>]*?\brel\s*=\s*"?next\b"?', re.IGNORECASE)


class TooMuch(UpstreamError):
    """There is more of a list than is taken: pages, or bytes."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list to be read: how messages call it, and how much of it is taken (bytes: of all pages)."""

    called: str
    asked: Asked
    accept: str
    most_pages: int
    most_bytes: int

    def ask(self, registry: Registry, repository: RepositoryName, url: str) -> Answer:
        """The answer for one page; raises UpstreamError."""
        return registry.ask("GET", url, repository, {"Accept": self.accept})

    def pages(
        self,
        registry: Registry,
        repository: RepositoryName,
        url: str,
        answer: Answer,
        is_enough: Callable[[int], bool] = lambda _pages: False,
    ) -> Iterator[bytes]:
        """The bodies of the page at `url`, which is `answer`, and of all that follow it.

        Raises UpstreamError when one is refused or leads elsewhere, TooMuch when there is no end to
        them or, with another to follow, so many pages are enough.
        """
        home = Origin.of(url)
        seen = {url}
        left = self.most_bytes
        while True:
            body = self._body(registry, answer, left)
            left -= len(body)
            yield body
            following = _next_page(answer, home)
            if following is None:
                return
            if following in seen:
                raise UpstreamError(f"{self.called} whose pages go in a circle", retryable=False)
            if len(seen) == self.most_pages or is_enough(len(seen)):
                raise TooMuch(f"{self.called} of more than {len(seen)} pages")
            seen.add(following)
            answer = self.ask(registry, repository, following)

    def _body(self, registry: Registry, answer: Answer, left: int) -> bytes:
        if answer.response.status_code != _OK:
            raise registry.refuse(answer, self.asked)
        try:
            body = read_capped(answer.response, left, registry.new_floor())
        finally:
            answer.response.close()
        if body is None:
            raise TooMuch(f"{self.called} of more than {self.most_bytes} bytes")
        return body


def _next_page(answer: Answer, home: Origin) -> str | None:
    link = _NEXT.search(answer.response.headers.get("Link", "")[:8192])
    if not link:
        return None
    try:
        url = urljoin(answer.url, str(link[1]))
        origin = Origin.of(url)
    except ValueError as error:
        raise UpstreamError("a next page at no URL", retryable=False) from error
    # Our credentials go along, so the list is followed at home only.
    if origin != home:
        raise UpstreamError(f"refused a next page at {origin}", retryable=False)
    return url
