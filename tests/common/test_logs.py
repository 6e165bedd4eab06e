"""Logs, seen from a process of their own: setting them up changes the whole process."""

import json
import os
import pty
import subprocess
import sys
from typing import Any

_PROGRAM = """
import logging
from common import logs

log = logs.get("part")  # as modules do, before anything is set up
logs.set_up({level!r}, {formatter!r}, site="here")
log.debug("detail")
log.info("something happened", number=1)
logging.getLogger("library").warning("library speaks")
"""


def _lines(level: str, formatter: str) -> list[str]:
    program = _PROGRAM.format(level=level, formatter=formatter)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == ""
    return ended.stderr.splitlines()


def test_a_logger_made_before_the_set_up_obeys_it() -> None:
    events: list[dict[str, Any]] = [json.loads(line) for line in _lines("info", "json")]
    assert [event["event"] for event in events] == ["something happened", "library speaks"]
    assert events[0]["component"] == "part"
    assert events[0]["number"] == 1
    assert {event["site"] for event in events} == {"here"}


def test_the_level_decides_what_is_said() -> None:
    assert len(_lines("debug", "text")) == 3
    assert len(_lines("warn", "text")) == 1
    assert _lines("error", "text") == []


def test_what_nobody_has_chosen_is_json_where_no_terminal_is() -> None:
    assert [json.loads(line)["event"] for line in _lines("info", "")] == [
        "something happened",
        "library speaks",
    ]


def test_what_nobody_has_chosen_is_text_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    program = _PROGRAM.format(level="info", formatter="")
    with os.fdopen(ours, "rb", buffering=0) as reader:
        with os.fdopen(theirs, "wb") as terminal:
            subprocess.run([sys.executable, "-c", program], stderr=terminal, check=True)
        said = reader.read(4096).decode()
    assert "something happened" in said
    assert not said.startswith("{")
