"""The fetcher's part, played by a test: what it tells the frontend about a job."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from common.messages import FillCommitted, FillFailed, Message
from tests.frontend.stage import Answer, Stage


class Client:
    """Requests that run while the test goes on."""

    def __init__(self, front: Stage, pool: ThreadPoolExecutor) -> None:
        self._front, self._pool = front, pool

    def ask(self, path: str, method: str = "GET", **headers: str) -> "Future[Answer]":
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._pool.submit(self._front.ask, path, method, fields)


def fail(front: Stage, job: Message, **facts: Any) -> None:
    """Say that the job failed; with 502 unless told otherwise."""
    known = {"status": 502, "code": "UNKNOWN", "message": "no answer", "retryable": True}
    front.broker.emit(FillFailed(key=job.key, **{**known, **facts}))


def commit(front: Stage, job: Message) -> None:
    """Say that the job is done."""
    front.broker.emit(FillCommitted(key=job.key))


def error_code(answer: Answer) -> str:
    """The code in the specification's error document."""
    return str(json.loads(answer.body)["errors"][0]["code"])


def following(answer: Answer) -> str | None:
    """Where the Link header says the next page is."""
    link = answer.headers.get("link")
    if link is None:
        return None
    target, relation = link.split(";")
    assert relation.strip() == 'rel="next"'
    return target.strip().removeprefix("<").removesuffix(">")
