"""Digests as names."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.digest import Digest, parse_digest
from common.errors import InvalidDigest, InvalidInput

_HEX = "0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "a" * 63 + "\n",
        "sha256:" + "a" * 64 + "\n",
        " sha256:" + "a" * 64,
        "sha512:" + "a" * 64,
        "sha384:" + "a" * 96,
        "md5:" + "a" * 32,
        "sha256:../../../../../../etc/passwd",
        "sha256:" + "a" * 30 + "/../" + "a" * 30,
        "sha256:" + "\u0661" * 64,
        "sha256-" + "a" * 64,
    ],
)
def test_anything_but_the_two_registered_forms_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest):
        Digest(text)


def test_a_refused_text_is_a_clients_mistake_and_is_not_repeated_at_length() -> None:
    with pytest.raises(InvalidInput) as raised:
        Digest("x" * 100_000)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(("algorithm", "length"), [("sha256", 64), ("sha512", 128)])
def test_a_digest_is_the_hash_of_its_content(algorithm: str, length: int) -> None:
    digest = Digest.of(b"content", algorithm)
    assert digest == f"{algorithm}:{hashlib.new(algorithm, b'content').hexdigest()}"
    assert (digest.algorithm, len(digest.hex)) == (algorithm, length)
    assert digest.matches(b"content")
    assert not digest.matches(b"content ")


@given(content=st.binary(), algorithm=st.sampled_from(["sha256", "sha512"]))
def test_hashing_piece_by_piece_names_the_same(content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)
    hasher = digest.hasher()
    for start in range(0, len(content), 3):
        hasher.update(content[start : start + 3])
    assert hasher.hexdigest() == digest.hex


@given(st.text(alphabet=_HEX, min_size=64, max_size=64))
def test_every_hash_is_accepted_and_stays_as_written(hexadecimal: str) -> None:
    assert parse_digest(f"sha256:{hexadecimal}") == f"sha256:{hexadecimal}"


def test_parsing_refuses_every_time_it_is_asked() -> None:
    for _ in range(2):
        with pytest.raises(InvalidDigest):
            parse_digest("sha256:short")
