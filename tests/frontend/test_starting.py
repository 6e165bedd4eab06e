"""A frontend that cannot begin."""

import json
import sys
from pathlib import Path

from tests.parts.process import Process
from tests.waiting import until

# The first thing that a worker needs and a machine may be short of.
SHORT = """\
import errno
import os


def eventfd(*_):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


os.eventfd = eventfd
"""


def test_a_worker_that_cannot_begin_ends_and_answers_nobody_with_errors(tmp_path: Path) -> None:
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "root")}},
        "http": {"addr": "127.0.0.1:0"},
        "proxy": {"remoteurl": "http://127.0.0.1:1"},
        "frontend": {"workers": 1},
    }
    (tmp_path / "sitecustomize.py").write_text(SHORT)
    file = tmp_path / "config.yml"
    file.write_text(json.dumps(config))
    process = Process(
        [sys.executable, "-m", "entrepot", "frontend", str(file)],
        log=tmp_path / "log",
        env={"PYTHONPATH": str(tmp_path)},
    )
    try:
        until(lambda: process.exit_code is not None, 30, "the frontend to end")
        # Not 2, with which the supervisor would give up.
        assert process.exit_code == 3
        assert "Too many open files" in process.output()
    finally:
        process.kill()
