import threading
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus

import pytest

from entrepot.console.events import STREAMS, Events, Parts
from entrepot.console.html import Html, el
from entrepot.console.web import Refusal, Response


class Made:
    """Parts as the test wants them, and how often they were made."""

    def __init__(self) -> None:
        self.parts: dict[str, Html] = {"a": el("p", "1"), "b": el("p", "same\nlines")}
        self.times = 0

    def __call__(self) -> Parts:
        self.times += 1
        return dict(self.parts)


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrepot.console.events._INTERVAL", 0.01)


def opened(response: Response) -> Iterator[bytes]:
    assert response.stream is not None
    assert response.content_type == "text/event-stream"
    return iter(response.stream)


def test_what_changed_is_sent_and_what_did_not_is_not(pace: None) -> None:
    made = Made()
    response = Events({"x": made}).stream("x")
    assert response.stream is not None
    with closing(response.stream):
        pieces = opened(response)
        assert next(pieces) == b"retry: 3000\n\n"
        first = next(pieces)
        assert first.count(b"data: ") == 2
        assert b"same\\nlines" in first
        made.parts["a"] = el("p", "2")
        following = (piece for piece in pieces if piece != b":\n\n")
        assert next(following) == b'data: {"id": "a", "html": "<p>2</p>"}\n\n'


def test_all_who_watch_are_told_of_one_look(pace: None) -> None:
    made = Made()
    events = Events({"x": made})
    responses = [events.stream("x") for _ in range(STREAMS)]
    streams = [opened(response) for response in responses]
    for _ in range(3):
        for stream in streams:
            next(stream)
    # One look a turn, and the next may have been made before its turn is counted.
    assert made.times <= events._turn + 1
    for response in responses:
        assert response.stream is not None
        response.stream.close()


def test_who_comes_when_nobody_watches_is_told_what_is_and_not_what_was(pace: None) -> None:
    made, go_on = Made(), threading.Event()

    def waits_at_the_second_look() -> Parts:
        if made.times:
            go_on.wait(20)
        return made()

    events = Events({"x": waits_at_the_second_look})
    assert b"<p>1</p>" in first_news(events)
    made.parts["a"] = el("p", "2")
    threading.Timer(0.2, go_on.set).start()
    assert b"<p>2</p>" in first_news(events)


def first_news(events: Events) -> bytes:
    """What somebody is told first who then leaves."""
    response = events.stream("x")
    assert response.stream is not None
    with closing(response.stream):
        return next(piece for piece in opened(response) if b"data: " in piece)


def test_beyond_so_many_nobody_is_taken_until_one_leaves(pace: None) -> None:
    events = Events({"x": Made()})
    responses = [events.stream("x") for _ in range(STREAMS)]
    with pytest.raises(Refusal) as refused:
        events.stream("x")
    assert refused.value.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert refused.value.headers == {"Retry-After": "10"}
    assert responses[0].stream is not None
    # Also one that was never read from has left its place.
    responses[0].stream.close()
    assert next(opened(events.stream("x")))


def test_a_part_that_breaks_is_made_again(pace: None) -> None:
    made = Made()

    def breaks_once() -> Parts:
        parts = made()
        if made.times == 1:
            raise ZeroDivisionError
        return parts

    response = Events({"x": breaks_once}).stream("x")
    assert any(piece.startswith(b"data: ") for piece in opened(response))


def test_what_there_is_none_of_is_not_watched() -> None:
    with pytest.raises(Refusal):
        Events({}).stream("x")
