"""What upstreams say of the requests they still allow."""

import pytest
from requests.structures import CaseInsensitiveDict
from structlog.testing import capture_logs

from fetcher.quota import Allowance, Quota, allowance_in


def headers(limit: str, remaining: str) -> CaseInsensitiveDict[str]:
    return CaseInsensitiveDict({"ratelimit-limit": limit, "ratelimit-remaining": remaining})


@pytest.mark.parametrize(
    ("limit", "remaining", "heard"),
    [
        ("100;w=21600", "76;w=21600", Allowance(100, 76, 21600)),
        ("100; w=21600", " 0 ", Allowance(100, 0, 21600)),
        ("200", "7", Allowance(200, 7, None)),
        ("100, 100;w=60", "5", Allowance(100, 5, None)),
    ],
)
def test_the_headers_are_read_as_registries_send_them(
    limit: str, remaining: str, heard: Allowance
) -> None:
    assert allowance_in(headers(limit, remaining)) == heard


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [("", ""), ("100;w=21600", ""), ("many", "1"), ("-1", "1"), ("9" * 40, "1"), ("1e3", "1")],
)
def test_headers_that_make_no_sense_say_nothing(limit: str, remaining: str) -> None:
    assert allowance_in(headers(limit, remaining)) is None


def test_the_last_one_heard_counts() -> None:
    quota = Quota("hub")
    assert quota.allowance is None
    for remaining in ("50", "49"):
        quota.heed(headers("100", remaining))
    quota.heed(CaseInsensitiveDict())
    assert quota.allowance == Allowance(100, 49, None)


def test_people_are_told_once_when_little_is_left_and_once_when_nothing_is() -> None:
    quota = Quota("hub")
    with capture_logs() as lines:
        for remaining in (100, 50, 11, 10, 9, 1, 0, 0, 100, 10):
            quota.heed(headers("100;w=21600", f"{remaining};w=21600"))
    told = [(line["event"], line["remaining"]) for line in lines]
    low, out = "little is left of the upstream's limit", "the upstream's limit is used up"
    assert told == [(low, 10), (out, 0), (low, 10)]
