"""Who holds a claim."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from common.owner import decode_owner, this_process

_SAY_OWNER = """
import sys
from common.owner import this_process

sys.stdout.write(this_process().encode().decode())
sys.stdout.flush()
sys.stdin.read()
"""


def test_this_process_lives() -> None:
    assert not this_process().is_dead()
    assert this_process().pid == os.getpid()


def test_an_owner_survives_being_written() -> None:
    assert decode_owner(this_process().encode()) == this_process()


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"[]", b"{}", b"\xff", b'{"pid": 1}'])
def test_what_is_not_whole_is_nobody(text: bytes) -> None:
    assert decode_owner(text) is None


def test_another_process_lives_until_it_is_killed() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _SAY_OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        owner = decode_owner(os.read(child.stdout.fileno(), 4096))
        assert owner is not None
        assert owner.pid == child.pid
        assert not owner.is_dead()
        child.kill()
        # A zombie is dead too: its parent may never fetch it.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert owner.is_dead()
        child.wait()
        assert owner.is_dead()


def test_a_process_id_used_again_is_somebody_else() -> None:
    assert replace(this_process(), started="1").is_dead()


def test_of_processes_elsewhere_nothing_is_known() -> None:
    here = replace(this_process(), started="1")
    assert not replace(here, boot="another").is_dead()
    assert not replace(here, namespace="pid:[1]").is_dead()


def test_a_forked_child_is_not_its_parent() -> None:
    before = this_process()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, this_process().encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        owner = decode_owner(pipe.read())
    os.waitpid(child, 0)
    assert owner is not None
    assert owner.pid == child != before.pid
    assert owner.is_dead()
