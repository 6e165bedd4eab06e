"""A frontend that is told to end before it has begun, and one that cannot begin."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.process import Process
from tests.waiting import until

# Before anything of ours is imported. At one of two places the worker has the master end, which has
# the worker end, and goes on once that has come: in the one it is just forked, and nothing is its own
# yet; in the other it has set its handlers, and its loop does not run.
EARLY = """\
import os
import signal
import time

from gunicorn import glogging
from gunicorn.workers import gasgi


def end_early():
    os.kill(os.getppid(), signal.SIGTERM)
    deadline = time.monotonic() + 3
    while signal.SIGTERM not in signal.sigpending() and time.monotonic() < deadline:
        time.sleep(0.01)


load, info = gasgi.ASGIWorker.load_wsgi, glogging.Logger.info


def load_late(self):
    end_early()
    load(self)


def say_late(self, msg, *args, **kwargs):
    if msg.startswith("Booting worker"):
        end_early()
    info(self, msg, *args, **kwargs)


"""
FORKED, BOOTING = "glogging.Logger.info = say_late\n", "gasgi.ASGIWorker.load_wsgi = load_late\n"


# The first thing that a worker needs and a machine may be short of.
SHORT = """\
import errno
import os


def eventfd(*_):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


os.eventfd = eventfd
"""


@contextmanager
def ended(tmp_path: Path, before_all: str) -> Iterator[Process]:
    """A frontend that has ended by itself, where `before_all` ran before anything of ours."""
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "root")}},
        "http": {"addr": "127.0.0.1:0", "draintimeout": "60s"},
        "proxy": {"remoteurl": "http://127.0.0.1:1"},
        "frontend": {"workers": 1},
    }
    (tmp_path / "sitecustomize.py").write_text(before_all)
    file = tmp_path / "config.yml"
    file.write_text(json.dumps(config))
    process = Process(
        [sys.executable, "-m", "entrepot", "frontend", str(file)],
        log=tmp_path / "log",
        env={"PYTHONPATH": str(tmp_path)},
    )
    try:
        until(lambda: process.exit_code is not None, 30, "the frontend to end")
        yield process
    finally:
        process.kill()


@pytest.mark.parametrize("place", [FORKED, BOOTING], ids=["forked", "booting"])
def test_a_worker_that_is_ended_while_it_boots_ends(tmp_path: Path, place: str) -> None:
    with ended(tmp_path, EARLY + place) as process:
        assert process.exit_code == 0


def test_a_worker_that_cannot_begin_ends_and_answers_nobody_with_errors(tmp_path: Path) -> None:
    with ended(tmp_path, SHORT) as process:
        # Not 2, with which the supervisor would give up.
        assert process.exit_code == 3
        assert "Too many open files" in process.output()
