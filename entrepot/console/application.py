"""From a request to the page that answers it, past the door and with the headers that all have."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TypeAlias

from common.config import Config
from entrepot.console import static
from entrepot.console.cached import Cached
from entrepot.console.events import Events
from entrepot.console.evict import Evict
from entrepot.console.frame import card, link, page
from entrepot.console.hashing import Hashing
from entrepot.console.history import History
from entrepot.console.html import el
from entrepot.console.letters import Letters
from entrepot.console.overview import Overview
from entrepot.console.repository import RepositoryPages
from entrepot.console.rights import Doorkeeper, Visitor, cookie
from entrepot.console.verify import Verify
from entrepot.console.watch import Sources, Watch
from entrepot.console.web import Refusal, Request, Response

Handler: TypeAlias = Callable[[Request, Visitor], Response]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that browsers say `Origin: null` of a form of ours, too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE = {"Cache-Control": "no-store"}
_TITLES = {404: "Not here", 401: "Who are you?", 403: "Not allowed", 503: "Not now"}


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: re.Pattern[str]
    handler: Handler


class Application:
    """All pages of one console."""

    def __init__(self, config: Config, sources: Sources, history: History) -> None:
        watch = Watch(config, sources)
        overview = Overview(config, watch, history)
        letters = Letters(sources.broker)
        verify = Verify(config, Hashing(sources.layout))
        evict = Evict(config, sources.broker)
        self._door = Doorkeeper(config)
        self._events = Events({**overview.topics(), **verify.topics()})
        self._routes = [
            _Route("GET", re.compile("/"), overview.get),
            _Route("GET", re.compile("/events"), self._watch),
            _Route("GET", re.compile("/static/.*"), self._static),
            _Route("GET", re.compile("/cached"), Cached(config, watch).get),
            _Route("GET", re.compile("/cached/.+"), RepositoryPages(config).get),
            _Route("GET", re.compile("/queue"), letters.get),
            _Route("GET", re.compile("/queue/drop"), letters.ask),
            _Route("POST", re.compile("/queue/drop"), letters.drop),
            _Route("POST", re.compile("/queue/retry"), letters.retry),
            _Route("GET", re.compile("/evict"), evict.get),
            _Route("POST", re.compile("/evict"), evict.post),
            _Route("GET", re.compile("/verify"), verify.get),
            _Route("POST", re.compile("/verify"), verify.post),
            _Route("POST", re.compile("/verify/stop"), verify.stop),
        ]

    def answer(self, request: Request) -> Response:
        """The answer; raises Refusal."""
        visitor = self._door.admit(request)
        handler = self._handler(request)
        if request.method == "POST":
            self._door.check_change(request, visitor)
        response = handler(request, visitor)
        return _with(response, {"Set-Cookie": cookie(visitor)})

    def refuse(self, refusal: Refusal) -> Response:
        """The page that says why not, and where to go on."""
        title = _TITLES.get(refusal.status, "This did not work")
        content = card("What happened", el("p", refusal.text), link("To the overview", "/"))
        response = Response.of(page(title, None, el("h1", title), content), refusal.status)
        return _with(response, refusal.headers)

    def _handler(self, request: Request) -> Handler:
        method = "GET" if request.method == "HEAD" else request.method
        found = [each for each in self._routes if each.path.fullmatch(request.path)]
        for route in found:
            if route.method == method:
                return route.handler
        if found:
            allowed = ", ".join(route.method for route in found)
            text = "Nothing is done here in this way."
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, text, Allow=allowed)
        raise Refusal(HTTPStatus.NOT_FOUND, "The console has no such page.")

    def _watch(self, request: Request, _visitor: Visitor) -> Response:
        if request.method == "HEAD":
            return Response()
        return self._events.stream(request.query.get("of", ""))

    def _static(self, request: Request, _visitor: Visitor) -> Response:
        return static.serve(request.path.rpartition("/")[2])


def _with(response: Response, more: Mapping[str, str]) -> Response:
    return replace(response, headers={**_HEADERS, **_PAGE, **more, **response.headers})
