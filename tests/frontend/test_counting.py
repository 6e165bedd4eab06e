"""What a frontend measures of itself."""

import asyncio
from typing import Any

import pytest

from frontend import counting
from frontend.counting import LoopLag


def test_the_loops_lag_is_measured_until_another_thread_says_so_which_leaves_the_timer_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "_TICK", 0.01)
    timers: list[asyncio.TimerHandle] = []

    async def measure() -> None:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def noted(*args: Any) -> asyncio.TimerHandle:
            timers.append(call_later(*args))
            return timers[-1]

        monkeypatch.setattr(loop, "call_later", noted)
        lag = LoopLag()
        lag.start()
        while len(timers) < 3:  # noqa: ASYNC110 - a sleep of some length would be a timer, too
            await asyncio.sleep(0)
        await asyncio.to_thread(lag.close)
        assert not any(timer.cancelled() for timer in timers)
        so_far = len(timers)
        while loop.time() < timers[-1].when():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        for _ in range(3):  # turns of the loop: the last has rung then
            await asyncio.sleep(0)
        assert len(timers) == so_far

    asyncio.run(measure())
