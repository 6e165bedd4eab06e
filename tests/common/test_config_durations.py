"""Go durations and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import durations, sizes

_SECOND = 1_000_000_000
_LONGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("168h", 604_800 * _SECOND),
        ("1h30m", 5_400 * _SECOND),
        ("1.5s", 1_500_000_000),
        ("300ms", 300_000_000),
        (".5s", 500_000_000),
        ("1.s", _SECOND),
        ("2us", 2_000),
        ("2\u00b5s", 2_000),
        ("2\u03bcs", 2_000),
        ("7ns", 7),
        ("0.3ns", 0),
        ("-1.5h", -5_400 * _SECOND),
        ("+5s", 5 * _SECOND),
        ("1m1m", 120 * _SECOND),
        ("0", 0),
        ("60", 60),
        ("-1", -1),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, nanoseconds: int) -> None:
    assert durations.parse(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        ".s",
        "9999999h",
        "1 h",
        "1h 30m",
        "1d",
        "1H",
        "h1",
        "--1s",
        "1s-1s",
        "\u0663s",
        "1e3s",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what was expected
        durations.parse(text)


@given(st.integers(-_LONGEST, _LONGEST))
def test_a_duration_written_is_read_back(nanoseconds: int) -> None:
    assert durations.parse(durations.write(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (5_400 * _SECOND, "1h30m"),
        (61 * _SECOND, "1m1s"),
        (1_500_000_000, "1.5s"),
        (1_500_000, "1.5ms"),
        (-60 * _SECOND, "-1m"),
    ],
)
def test_durations_are_written_short(nanoseconds: int, text: str) -> None:
    assert durations.write(nanoseconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500GB", 500 * 10**9),
        ("10GiB", 10 * 2**30),
        ("1.5 MB", 1_500_000),
        ("1kB", 1_000),
        ("1KB", 1_000),
        ("1KiB", 1_024),
        ("12B", 12),
        ("0", 0),
        ("4096", 4_096),
    ],
)
def test_sizes_count_in_thousands_or_in_1024s(text: str, size: int) -> None:
    assert sizes.parse(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "10G", "10gb", "-1GB", "1.GB", "1,5GB", "1GBB", "\u0661GB"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what was expected
        sizes.parse(text)


@given(st.integers(0, 2**70))
def test_a_size_written_is_read_back(size: int) -> None:
    assert sizes.parse(sizes.write(size)) == size
