"""A short run of the fuzz; the long one is `python -m tests.security.fuzz`."""

from pathlib import Path

from tests.security.fuzz.machine import run


def test_random_requests_and_answers_do_no_harm(tmp_path: Path) -> None:
    figures = run(tmp_path, seed=20, requests=4000, answers=400)
    assert figures.wrong == []
    assert figures.requests >= 4000
    assert figures.answers >= 400
    assert {"200", "400", "404"} <= figures.statuses.keys()
