"""Small readings of answers that need no server."""

import time
from email.utils import formatdate

import pytest

from fetcher.answers import printable, retry_after


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("99999999999999999999", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("Fri, 99 Dec 99999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_within_bounds(header: str, expected: float | None) -> None:
    assert retry_after(header) == expected


def test_retry_after_may_be_a_moment() -> None:
    told = retry_after(formatdate(time.time() + 60, usegmt=True))
    assert told is not None
    assert 55 < told <= 60


def test_an_excerpt_holds_nothing_that_breaks_a_line() -> None:
    assert printable(" a\r\nb\x1b[0m\u202e\x00 ") == "a b [0m"
    assert len(printable("x" * 1000)) == 200
