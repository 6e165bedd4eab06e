"""What is remembered of an upstream that refused, or did not answer."""

import asyncio

import pytest

from common.errors import BrokerUnavailable, UpstreamError
from common.messages import FillCommitted, Job, ListTags
from common.reference import RepositoryName
from common.source import Source
from frontend.asking import Asking
from frontend.desk import Desk, Look
from frontend.errors import Crowded, OutOfPatience
from frontend.memory import Refusals
from tests.waiting import until

JOB = ListTags(source=Source("", RepositoryName("library/app")))


class Refusing(Desk):
    """A desk whose every errand ends the same way, and that counts them."""

    def __init__(self, outcome: Exception) -> None:
        self.asked = 0
        self._outcome = outcome

    async def fulfil(self, job: Job, look: Look[object], patience: float) -> object:  # type: ignore[override]
        self.asked += 1
        raise self._outcome


def ask(asking: Asking, older: str | None) -> tuple[str, bool]:
    async def look(_done: FillCommitted | None) -> str | None:
        return None

    return asyncio.run(asking.ask(JOB, look, older))


@pytest.mark.parametrize("status", [404, 502])
def test_a_refusal_is_forgotten_in_time_however_often_it_was_asked_for(status: int) -> None:
    desk = Refusing(UpstreamError("no", status=status))
    asking = Asking(desk, Refusals(seconds=0.3), 1.0)

    def asked_again() -> bool:
        with pytest.raises(UpstreamError):
            ask(asking, None)
        return desk.asked == 2

    until(asked_again, within=10, what="a second question")


@pytest.mark.parametrize(
    "outcome",
    [UpstreamError("no", status=502), OutOfPatience("late"), BrokerUnavailable("gone")],
)
def test_with_something_to_give_nobody_waits_again_at_once(outcome: Exception) -> None:
    desk = Refusing(outcome)
    asking = Asking(desk, Refusals(), 1.0)
    assert ask(asking, "older") == ("older", True)
    assert ask(asking, "older") == ("older", True)
    assert desk.asked == 1


@pytest.mark.parametrize("outcome", [OutOfPatience("late"), BrokerUnavailable("gone")])
def test_with_nothing_to_give_it_is_asked_again_at_once(outcome: Exception) -> None:
    desk = Refusing(outcome)
    asking = Asking(desk, Refusals(), 1.0)
    for _ in range(2):
        with pytest.raises(type(outcome)):
            ask(asking, None)
    assert desk.asked == 2


def test_a_crowd_here_says_nothing_of_the_upstream() -> None:
    desk = Refusing(Crowded("too many"))
    asking = Asking(desk, Refusals(), 1.0)
    assert ask(asking, "older") == ("older", True)
    assert ask(asking, "older") == ("older", True)
    assert desk.asked == 2


def test_not_there_is_an_answer_whatever_was_there_before() -> None:
    asking = Asking(Refusing(UpstreamError("no", status=404)), Refusals(), 1.0)
    for _ in range(2):
        with pytest.raises(UpstreamError):
            ask(asking, "older")


@pytest.mark.parametrize("outcome", [OutOfPatience("late"), BrokerUnavailable("gone")])
def test_who_has_nothing_to_give_any_more_asks_though_others_did_not_wait(
    outcome: Exception,
) -> None:
    desk = Refusing(outcome)
    asking = Asking(desk, Refusals(), 1.0)
    assert ask(asking, "older") == ("older", True)
    with pytest.raises(type(outcome)):
        ask(asking, None)  # the older answer has expired meanwhile
    assert desk.asked == 2
