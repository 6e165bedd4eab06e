"""Parts: how they are asked for, and which answers are them."""

import pytest
import requests

from fetcher.ranges import Part


def partial(content_range: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 206
    response.headers["Content-Range"] = content_range
    return response


@pytest.mark.parametrize(
    ("part", "headers"),
    [
        (Part(), {}),
        (Part(5), {"Range": "bytes=5-"}),
        (Part(0, 10), {"Range": "bytes=0-9"}),
        (Part(5, 6), {"Range": "bytes=5-5"}),
    ],
)
def test_how_a_part_is_asked_for(part: Part, headers: dict[str, str]) -> None:
    assert part.headers == headers
    assert part.is_all == (not headers)


@pytest.mark.parametrize(
    ("part", "told", "total", "answered"),
    [
        (Part(5), "bytes 5-99/100", None, (100, 100)),
        (Part(5), "bytes 5-99/100", 100, (100, 100)),
        # Less of an open part than there is: it ends too soon, and the rest is asked for again.
        (Part(5), "bytes 5-49/100", None, (100, 100)),
        (Part(0, 10), "bytes 0-9/100", None, (10, 100)),
        (Part(0, 10), "bytes 0-3/4", None, (4, 4)),
        (Part(90, 110), "bytes 90-99/100", 100, (100, 100)),
    ],
)
def test_what_is_the_part(
    part: Part, told: str, total: int | None, answered: tuple[int, int]
) -> None:
    assert part.answered(partial(told), total) == answered


@pytest.mark.parametrize(
    ("part", "told", "total"),
    [
        (Part(5), "bytes 6-99/100", None),
        (Part(5), "bytes 5-99/100", 101),
        (Part(5), "bytes 5-100/100", None),
        (Part(5), "bytes 5-99/*", None),
        (Part(5), "bytes 5-4/100", None),
        (Part(5), "", None),
        (Part(0, 10), "bytes 0-8/100", None),
        (Part(0, 10), "bytes 0-10/100", None),
        (Part(0, 10), "octets 0-9/100", None),
        (Part(90, 110), "bytes 90-98/100", None),
    ],
)
def test_what_is_not(part: Part, told: str, total: int | None) -> None:
    assert part.answered(partial(told), total) is None


@pytest.mark.parametrize(
    ("told", "length", "is_it"),
    [("bytes 0-9/100", "10", True), ("bytes 0-0/1", "5000", False), ("bytes 0-3/4", "10", False)],
)
def test_an_answer_that_sends_another_part_than_it_says_is_none(
    told: str, length: str, *, is_it: bool
) -> None:
    response = partial(told)
    response.headers["Content-Length"] = length
    assert (Part(0, 10).answered(response, None) is not None) is is_it
