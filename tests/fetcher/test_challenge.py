"""Challenges in all the shapes RFC 9110 allows, and in some it does not."""

import time

import pytest

from fetcher.challenge import Challenge, parse_challenges

TOKEN = Challenge("bearer", {"realm": "https://a.test/token", "service": "a.test"})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [Challenge("basic")]),
        ('Bearer realm="https://a.test/token",service="a.test"', [TOKEN]),
        ('bearer  REALM = "https://a.test/token" , service=a.test', [TOKEN]),
        (
            'Basic realm="a, b=\\"c\\"", Bearer realm="https://a.test/token",service="a.test"',
            [Challenge("basic", {"realm": 'a, b="c"'}), TOKEN],
        ),
        (
            'Negotiate, NTLM abc/def==, ,Bearer realm="https://a.test/token", service="a.test"',
            [Challenge("negotiate"), Challenge("ntlm"), TOKEN],
        ),
        (
            'Bearer scope="repository:a:pull,push",realm=x',
            [Challenge("bearer", {"scope": "repository:a:pull,push", "realm": "x"})],
        ),
        ('Bearer realm="a", realm="b"', [Challenge("bearer", {"realm": "a"})]),
        ('Bearer realm=""', [Challenge("bearer", {"realm": ""})]),
        ('Bearer realm="never closed', [Challenge("bearer")]),
        ('realm="no scheme"', []),
        ("Bearer realm=a b c", [Challenge("bearer")]),
        ('"', []),
        ("=,=", []),
    ],
)
def test_a_header_is_read(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges(header) == expected


@pytest.mark.parametrize("unit", ["a", "a=", 'a="', '"', "\\", ",", "a ", 'a="b",', "Basic ", "=="])
def test_no_header_takes_long(unit: str) -> None:
    begun = time.process_time()
    parse_challenges("Bearer " + unit * 100_000)
    assert time.process_time() - begun < 2
