"""Server-sent events: parts of pages as they change (html.spec.whatwg.org, "Server-sent events").

What is sent is made once a second for all who watch the same, and only while somebody does. A part
that is as it was is not sent again.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus

from common import logs
from entrepot.console.html import Html
from entrepot.console.web import Refusal, Response

_log = logs.get(__name__)

STREAMS = 16
_INTERVAL = 1.0
# Then the browser connects anew: whoever is gone without a word is found out.
_SECONDS = 300.0

Parts = Mapping[str, Html]
"""Of a page, by the id of the element that each is."""


class Events:
    """Streams of `topics`, each made by its function."""

    def __init__(self, topics: Mapping[str, Callable[[], Parts]]) -> None:
        self._topics = topics
        self._places = threading.BoundedSemaphore(STREAMS)
        self._watched: Counter[str] = Counter()
        self._made: dict[str, Parts] = {}
        self._turn = 0
        self._news = threading.Condition()
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def stream(self, topic: str) -> Response:
        """An answer that goes on; raises Refusal."""
        if topic not in self._topics:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing to watch by this name.")
        if not self._places.acquire(blocking=False):
            text = "Too many watch already."
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, **{"Retry-After": "10"})
        with self._news:
            if not self._watched[topic]:
                # Made for whoever watched last: it may have been like that hours ago.
                self._made.pop(topic, None)
            self._watched[topic] += 1
            self._news.notify_all()
        return Response(content_type="text/event-stream", stream=_Following(self, topic))

    def follow(self, topic: str) -> Iterator[bytes]:
        """Events as they come."""
        yield b"retry: 3000\n\n"
        sent: dict[str, Html] = {}
        end = time.monotonic() + _SECONDS
        turn = 0
        while time.monotonic() < end:
            with self._news:
                self._news.wait_for(
                    lambda turn=turn: self._turn != turn and topic in self._made,  # type: ignore[misc]
                    15.0,
                )
                turn, parts = self._turn, self._made.get(topic, {})
            changed = {name: part for name, part in parts.items() if sent.get(name) != part}
            sent.update(changed)
            # Also when nothing has changed: so it is noticed when nobody listens.
            yield b"".join(map(_event, changed.items())) or b":\n\n"

    def leave(self, topic: str) -> None:
        """One fewer watches."""
        with self._news:
            self._watched[topic] -= 1
        self._places.release()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._watched.total() > 0)
                topics = [topic for topic, count in self._watched.items() if count]
            made = {topic: self._make(topic) for topic in topics}
            with self._news:
                self._made = made
                self._turn += 1
                self._news.notify_all()
            time.sleep(_INTERVAL)

    def _make(self, topic: str) -> Parts:
        try:
            return self._topics[topic]()
        except Exception:  # noqa: BLE001 - whatever it was, it is made again in a second
            _log.exception("a part of the console broke", topic=topic)
            return {}


class _Following:
    def __init__(self, events: Events, topic: str) -> None:
        self._events = events
        self._topic = topic

    def __iter__(self) -> Iterator[bytes]:
        return self._events.follow(self._topic)

    def close(self) -> None:
        self._events.leave(self._topic)


def _event(part: tuple[str, Html]) -> bytes:
    name, content = part
    return f"data: {json.dumps({'id': name, 'html': content})}\n\n".encode()
