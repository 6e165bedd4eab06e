"""Hashing beside the writing."""

import threading

import pytest

from common.digest import Digest
from fetcher.hashing import Hashing

PIECE = bytes(range(256)) * 1024
DIGEST = Digest.of(b"")


def digest_of(pieces: int) -> str:
    return Digest.of(PIECE * pieces).hex


@pytest.mark.parametrize("pieces", [0, 1, 16, 17, 18, 200])
def test_however_much_it_is_the_hash_is_that_of_all(pieces: int) -> None:
    hashed = Hashing(DIGEST)
    for _ in range(pieces):
        hashed.update(PIECE)
    assert hashed.hexdigest() == digest_of(pieces)
    hashed.close()


def test_it_may_be_asked_for_in_between_and_gone_on_with() -> None:
    hashed = Hashing(DIGEST)
    for number in range(1, 40):
        hashed.update(PIECE)
        assert hashed.hexdigest() == digest_of(number)
    hashed.close()


def test_its_thread_ends_with_it_and_few_bytes_have_none() -> None:
    others = threads()
    few, many = Hashing(DIGEST), Hashing(DIGEST)
    few.update(PIECE)
    assert threads() <= others
    for _ in range(20):
        many.update(PIECE)
    (thread,) = threads() - others
    many.close()
    many.close()
    thread.join(10)
    assert not thread.is_alive()


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "hashing"}


def test_where_no_thread_is_to_be_had_it_is_hashed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    hashed = Hashing(DIGEST)
    for _ in range(20):
        hashed.update(PIECE)
    assert hashed.hexdigest() == digest_of(20)
    hashed.close()
