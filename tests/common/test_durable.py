"""Files that are there whole or not at all."""

import errno
import os
import threading
from pathlib import Path

import pytest

from common.durable import (
    in_folder,
    make_folder,
    move_into_place,
    remove_empty_folders,
    remove_file,
    sync_folder,
    syncing_together,
    unique_name,
    write_file,
    write_fleeting_file,
)


def _write(path: Path, content: bytes, root: Path) -> None:
    write_file(str(path), content, temporary=str(root / "tmp"))


def test_a_written_file_holds_its_content_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file"
    _write(target, b"one", tmp_path)
    _write(target, b"", tmp_path)
    _write(target, b"two" * 100_000, tmp_path)
    assert target.read_bytes() == b"two" * 100_000
    assert list((tmp_path / "tmp").iterdir()) == []


def test_readers_see_the_old_content_or_the_new_and_never_less(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file"
    contents = [bytes([value]) * 50_000 for value in range(8)]
    _write(target, contents[0], tmp_path)
    ended = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not ended.is_set():
            seen.append(target.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for content in contents * 5:
        _write(target, content, tmp_path)
    ended.set()
    reader.join()
    assert seen
    assert set(seen) <= set(contents)


def test_a_rename_whose_reply_was_lost_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file server did it, and to the same request sent again says that there is no such file."""
    rename, target = os.rename, tmp_path / "folder" / "file"

    def reply_is_lost(source: str, into: str) -> None:
        rename(source, into)
        raise FileNotFoundError(errno.ENOENT, "sent again", source)

    target.parent.mkdir()
    monkeypatch.setattr(os, "rename", reply_is_lost)
    _write(target, b"one", tmp_path)
    below = str(tmp_path)
    write_fleeting_file(str(target), b"two", temporary=str(tmp_path / "tmp"), below=below)
    assert target.read_bytes() == b"two"


def test_a_rename_of_what_is_not_there_fails_and_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(FileNotFoundError):
        move_into_place(str(tmp_path / "gone"), str(tmp_path / "there"))
    with pytest.raises(FileNotFoundError):
        move_into_place(str(tmp_path / "gone"), str(tmp_path / "folder" / "file"))
    assert not (tmp_path / "folder").exists()


def test_a_rename_whose_file_somebody_took_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "another").touch()

    def taken(source: str, into: str) -> None:
        raise FileNotFoundError(errno.ENOENT, "taken", source)

    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "rename", taken)
    with pytest.raises(FileNotFoundError):
        move_into_place(str(tmp_path / "file"), str(tmp_path / "another"))


def test_a_folder_that_only_seems_to_be_there_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of a file server remembers for a while what another machine has removed."""
    monkeypatch.setattr("os.path.isdir", lambda _path: True)
    target = tmp_path / "a" / "b" / "file"
    _write(target, b"one", tmp_path)
    assert target.read_bytes() == b"one"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.mkdir()
    (target / "inhabitant").touch()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the file system
        _write(target, b"content", tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (target / "inhabitant").exists()


def test_an_action_is_repeated_when_its_folder_is_tidied_away_before_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    calls: list[int] = []

    def create() -> str:
        calls.append(1)
        if len(calls) < 3:
            remove_empty_folders(str(folder), up_to=str(tmp_path))
        (folder / "file").touch(exist_ok=False)
        return "made"

    assert in_folder(str(folder), create) == "made"
    assert len(calls) == 3


def test_a_folder_is_made_again_when_its_parents_are_tidied_away_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a" / "b" / "c"
    disturbances = iter([folder.parent, folder.parent, folder.parent])
    mkdir = os.mkdir

    def disturbed(path: str, mode: int = 0o777) -> None:
        if path == str(folder) and (parent := next(disturbances, None)):
            remove_empty_folders(str(parent), up_to=str(tmp_path))
        mkdir(path, mode)

    monkeypatch.setattr(os, "mkdir", disturbed)
    in_folder(str(folder), (folder / "file").touch)
    assert (folder / "file").exists()


def test_an_action_that_never_finds_its_folder_fails_in_the_end(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        in_folder(str(tmp_path / "a"), lambda: os.rename(tmp_path / "missing", tmp_path / "b"))


def test_two_who_make_and_tidy_the_same_folders_do_not_disturb_each_other(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        path = tmp_path / "x" / "y" / "z" / name
        try:
            for _ in range(60):
                _write(path, b"content", tmp_path)
                assert path.read_bytes() == b"content"
                assert remove_file(str(path))
                remove_empty_folders(str(path.parent), up_to=str(tmp_path))
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not (tmp_path / "x").exists()


def test_moving_replaces_what_is_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    _write(target, b"old", tmp_path)
    source.write_bytes(b"new")
    move_into_place(str(source), str(target))
    assert target.read_bytes() == b"new"
    assert not source.exists()


def test_tidying_stops_at_the_first_inhabited_folder_and_at_the_top(tmp_path: Path) -> None:
    make_folder(str(tmp_path / "top" / "a" / "b" / "c"))
    (tmp_path / "top" / "a" / "file").touch()
    remove_empty_folders(str(tmp_path / "top" / "a" / "b" / "c"), up_to=str(tmp_path / "top"))
    assert (tmp_path / "top" / "a").is_dir()
    assert not (tmp_path / "top" / "a" / "b").exists()
    (tmp_path / "top" / "a" / "file").unlink()
    remove_empty_folders(str(tmp_path / "top" / "a"), up_to=str(tmp_path / "top"))
    assert list((tmp_path / "top").iterdir()) == []


def test_tidying_never_goes_above_its_top(tmp_path: Path) -> None:
    (tmp_path / "toplike").mkdir()
    remove_empty_folders(str(tmp_path / "toplike"), up_to=str(tmp_path / "top"))
    assert (tmp_path / "toplike").is_dir()


def test_removing_says_whether_there_was_anything(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert remove_file(str(tmp_path / "file"))
    assert not remove_file(str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert not remove_file(str(tmp_path / "file" / "below"))


def test_syncing_a_folder_that_is_gone_is_fine(tmp_path: Path) -> None:
    sync_folder(str(tmp_path / "gone"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(str(tmp_path / "file"))


def test_unique_names_differ() -> None:
    assert len({unique_name() for _ in range(1000)}) == 1000


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are synced, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def noting(fd: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noting)
    return paths


def test_a_file_is_synced_before_its_name_and_every_folder_that_was_made_after_it(
    tmp_path: Path, synced: list[str]
) -> None:
    _write(tmp_path / "a" / "b" / "file", b"content", tmp_path)
    content, *folders = synced
    assert content.startswith(f"{tmp_path}/tmp/")
    assert folders == [str(tmp_path), f"{tmp_path}/a", f"{tmp_path}/a/b"]


def test_what_is_done_together_syncs_each_folder_once_at_the_end(
    tmp_path: Path, synced: list[str]
) -> None:
    folder = str(tmp_path / "a")
    with syncing_together():
        _write(tmp_path / "a" / "one", b"1", tmp_path)
        with syncing_together():
            _write(tmp_path / "a" / "two", b"2", tmp_path)
        # Seen by everybody already; of what is synced there is the content alone.
        assert (tmp_path / "a" / "two").read_bytes() == b"2"
        assert len(synced) == 2
        assert all(path.startswith(f"{tmp_path}/tmp/") for path in synced)
    assert synced[2:] == [str(tmp_path), folder]


def test_folders_are_synced_also_when_what_is_done_together_fails(
    tmp_path: Path, synced: list[str]
) -> None:
    def fail_halfway() -> None:
        with syncing_together():
            make_folder(str(tmp_path / "made"))
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - our own
        fail_halfway()
    assert synced == [str(tmp_path)]


def test_of_fleeting_files_nothing_is_synced_but_the_folder_they_are_below(
    tmp_path: Path, synced: list[str]
) -> None:
    own = tmp_path / "own"
    target = own / "claims" / "file"
    write_fleeting_file(str(target), b"content", temporary=str(own / "tmp"), below=str(own))
    assert target.read_bytes() == b"content"
    assert list((own / "tmp").iterdir()) == []
    # `own` itself holds lasting things too.
    assert synced == [str(tmp_path)]
    make_folder(str(own / "lasting" / "thing"))
    assert synced[1:] == [str(own), str(own / "lasting")]
