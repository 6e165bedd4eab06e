"""All processes of a session, however they are related: what a started program is answerable for."""

from contextlib import suppress
from pathlib import Path


def members(session: int) -> dict[int, str]:
    """The living processes of `session` and their titles (/proc/<pid>/cmdline)."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                # Behind the command in parentheses, which may hold anything: state, parent,
                # group, session (proc(5)).
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] not in {"Z", "X"}:
                    title = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(folder.name)] = title.decode(errors="replace").strip()
    return found
