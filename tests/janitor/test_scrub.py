"""The janitor's slow look at every byte."""

import os
import threading
import time
from pathlib import Path

import pytest

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.seals import Seal, break_seal, read_seal, write_seal
from janitor import scrub
from janitor.examine import Bandwidth, Examiner, Verdict
from janitor.scrub import Scrub
from tests.janitor.house import DAY, House

INTERVAL = 30 * DAY


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def scrubbing(house: House, interval: float = INTERVAL, rate: int = 0) -> Scrub:
    return Scrub(
        house.layout,
        house.blobs,
        house.claims,
        interval=interval,
        rate=rate,
        stop=threading.Event(),
    )


def damage(house: House, digest: Digest) -> Path:
    """Change a byte, as a disk would: the file says nothing of it."""
    path = Path(house.layout.blob(digest))
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    return path


def seal_of_old(house: House, digest: Digest, age: float) -> None:
    path = house.layout.blob(digest)
    write_seal(path, Seal(os.stat(path).st_size, time.time() - age))


def again(house: House) -> None:
    """Have a day pass since the last round."""
    stamp = house.claims.now() - DAY - 1
    os.utime(house.layout.scrubbed, (stamp, stamp))


def test_a_damaged_blob_that_is_due_is_put_aside_and_the_others_stay(house: House) -> None:
    good, bad = house.fill("a", b"good"), house.fill("a", b"bad")
    seal_of_old(house, bad, INTERVAL + 1)
    path = damage(house, bad)

    assert scrubbing(house)() == pytest.approx(DAY, abs=60)

    assert not path.exists()
    assert Path(house.layout.quarantine, f"sha256.{bad.hex}").exists()
    assert house.blobs.size(good) == 4
    assert house.has("a", bad)  # the link stays: the next pull fetches what it is for


def test_what_was_verified_lately_is_not_read_again(house: House) -> None:
    path = damage(house, house.fill("a", b"content"))
    scrubbing(house)()
    assert path.exists()


def test_what_was_never_verified_here_is_read_in_the_first_round(house: House) -> None:
    bad, good = house.fill("a", b"one"), house.fill("a", b"other")
    for digest in (bad, good):
        break_seal(house.layout.blob(digest))
    path = damage(house, bad)

    scrubbing(house)()

    assert not path.exists()
    seal = read_seal(house.layout.blob(good))
    assert seal is not None
    assert seal.size == 5


def test_a_blob_cut_short_is_put_aside(house: House) -> None:
    digest = house.fill("a", b"content")
    seal_of_old(house, digest, INTERVAL + 1)
    os.truncate(house.layout.blob(digest), 3)
    scrubbing(house)()
    assert not os.path.exists(house.layout.blob(digest))


def test_rounds_are_a_day_apart_also_after_a_restart(house: House) -> None:
    scrubbing(house)()
    digest = house.fill("a", b"content")
    seal_of_old(house, digest, INTERVAL + 1)
    path = damage(house, digest)
    assert scrubbing(house)() == pytest.approx(DAY, abs=60)
    assert path.exists()
    again(house)
    scrubbing(house)()
    assert not path.exists()


def test_another_janitor_scrubs_and_this_one_does_not(house: House) -> None:
    claim = house.claims.acquire(house.layout.claim("scrub"))
    assert claim is not None
    assert scrubbing(house)() == house.claims.lease
    assert not os.path.exists(house.layout.scrubbed)
    claim.release()


def test_a_stop_ends_a_slow_round_at_once_and_it_is_begun_again(house: House) -> None:
    digest = house.fill("a", b"x" * 3_000_000)
    seal_of_old(house, digest, INTERVAL + 1)
    stop = threading.Event()
    slow = Scrub(house.layout, house.blobs, house.claims, interval=INTERVAL, rate=1000, stop=stop)
    round_ = threading.Thread(target=slow)
    round_.start()
    stop.set()
    round_.join(10)
    assert not round_.is_alive()
    assert not os.path.exists(house.layout.scrubbed)
    assert scrubbing(house)() > 0


def test_what_lay_in_quarantine_for_long_is_removed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = house.fill("a", b"content")
    seal_of_old(house, digest, INTERVAL + 1)
    damage(house, digest)
    scrubbing(house)()
    (aside,) = Path(house.layout.quarantine).iterdir()
    again(house)
    scrubbing(house)()
    assert aside.exists()
    again(house)
    monkeypatch.setattr(scrub, "_KEPT", 0.0)
    scrubbing(house)()
    assert not aside.exists()


def test_a_commit_while_a_damaged_blob_is_read_is_left_alone(house: House) -> None:
    content = b"x" * 2_500_000
    digest = house.fill("a", content)
    damage(house, digest)
    examiner = Examiner(house.layout, house.blobs, Bandwidth(0, time.sleep))

    def commit(_count: int) -> None:
        os.unlink(house.layout.blob(digest))
        FileBlobStore(house.layout).put(digest, content)

    assert examiner.examine(digest, commit) is Verdict.CORRUPT
    assert house.blobs.size(digest) == len(content)
    assert examiner.examine(digest, lambda _count: None) is Verdict.RIGHT


def test_a_blob_that_is_gone_is_nobodys_fault(house: House) -> None:
    examiner = Examiner(house.layout, house.blobs, Bandwidth(0, time.sleep))
    assert examiner.examine(Digest.of(b"never here"), lambda _count: None) is Verdict.GONE


def test_bandwidth_is_bounded_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("janitor.examine.time.monotonic", lambda: 100.0)
    rests: list[float] = []
    bandwidth = Bandwidth(1000, rests.append)
    for _ in range(4):
        bandwidth.spend(500)
    assert rests == pytest.approx([0.5, 1.0, 1.5, 2.0])
