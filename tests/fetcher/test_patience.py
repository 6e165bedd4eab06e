import threading
import time

import pytest

from common.errors import UpstreamError
from fetcher.patience import LONGEST_OBEDIENCE, LONGEST_VAIN_WAIT, Patience, Stopping
from fetcher.unasked import Unasked


def failing(times: int, error: UpstreamError, asked: list[int]) -> str:
    asked.append(1)
    if len(asked) <= times:
        raise error
    return "answer"


def test_a_passing_failure_is_asked_again() -> None:
    asked: list[int] = []
    patience = Patience(3, threading.Event())

    assert patience.ask(lambda: failing(2, UpstreamError("down"), asked)) == "answer"
    assert len(asked) == 3


def test_the_last_try_s_error_is_what_is_told() -> None:
    asked: list[int] = []
    error = UpstreamError("down")

    with pytest.raises(UpstreamError) as caught:
        Patience(2, threading.Event()).ask(lambda: failing(9, error, asked))

    assert caught.value is error
    assert len(asked) == 2


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError("not there", status=404, retryable=False),
        UpstreamError("later", retry_after=LONGEST_OBEDIENCE + 1),
        Unasked("not asked", LONGEST_VAIN_WAIT + 1),
    ],
    ids=["lasting", "asks for too long a pause", "was not even asked"],
)
def test_asking_again_is_no_use(error: UpstreamError) -> None:
    asked: list[int] = []

    with pytest.raises(UpstreamError):
        Patience(5, threading.Event()).ask(lambda: failing(9, error, asked))

    assert len(asked) == 1


def test_a_short_retry_after_is_obeyed() -> None:
    asked: list[int] = []
    before = time.monotonic()

    Patience(5, threading.Event()).ask(
        lambda: failing(1, UpstreamError("busy", retry_after=0.5), asked)
    )

    assert time.monotonic() - before >= 0.5


def test_pauses_grow_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    stopping = threading.Event()

    def wait(seconds: float | None = None) -> bool:
        waited.append(seconds or 0.0)
        return False

    monkeypatch.setattr(stopping, "wait", wait)
    monkeypatch.setattr("fetcher.patience.random.uniform", lambda _low, high: high)
    patience = Patience(9, stopping)
    for _ in range(8):
        patience.pause(UpstreamError("down"))

    assert waited == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_a_pause_ends_when_the_process_is_to_stop() -> None:
    stopping = threading.Event()
    threading.Timer(0.1, stopping.set).start()
    before = time.monotonic()

    with pytest.raises(Stopping):
        Patience(5, stopping).pause(UpstreamError("busy", retry_after=9.0))

    assert time.monotonic() - before < 5


def test_what_brought_something_does_not_count() -> None:
    patience = Patience(2, threading.Event())
    for _ in range(4):
        patience.renew()
        patience.pause(UpstreamError("cut short"))

    with pytest.raises(UpstreamError):
        patience.pause(UpstreamError("cut short"))
