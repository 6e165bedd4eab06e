"""A process full of clients that send what `requests` makes, and judge every answer."""

import asyncio
import json
import re
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.security.fuzz.requests import Requests, Wire

# Seconds without a byte after which a client has seen enough: what it sent was no whole request.
_ENOUGH = 1.0
# The same for an answer that must come, however busy the machine is.
_DUE = 30.0
_WITH_CAUSE = {502, 503, 504}
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) ?[^\r\n]*\r\n")
_AT_ONCE = 24


@dataclass
class Report:
    """What a process of clients has seen."""

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def blame(self, what: str, wire: Wire, answer: bytes) -> None:
        """Note an answer that must not be."""
        if len(self.wrong) < 20:
            self.wrong.append(f"{what}: {b''.join(wire.pieces)[:600]!r} got {answer[:600]!r}")


async def fuzz(port: int, seed: int, count: int, misses: float) -> Report:
    """Send `count` requests from many addresses, some at the same time."""
    report, requests = Report(), Requests(seed, misses)

    async def client(number: int) -> None:
        turn = 0
        while report.sent < count:
            wire = requests.next()
            report.sent += len(wire.methods)
            turn += 1
            # The whole of 127/8 is this machine: many clients, none of them over its bounds.
            source = f"127.{seed % 200 + 1}.{number + 1}.{turn % 200 + 1}"
            judge(report, wire, await exchange(port, source, wire))

    await asyncio.gather(*(client(number) for number in range(_AT_ONCE)))
    return report


async def exchange(port: int, source: str, wire: Wire) -> bytes:
    """All that comes back for `wire`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    answer = b""
    with suppress(OSError):
        for piece in wire.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if wire.ends:
            writer.write_eof()
        answer = await everything(reader, patience=_patience(wire))
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return answer


def _patience(wire: Wire) -> float:
    """Seconds to wait for the first byte."""
    if wire.due:
        return _DUE
    return _ENOUGH if wire.pieces[1:] else 4 * _ENOUGH


async def everything(reader: asyncio.StreamReader, patience: float) -> bytes:
    """What is received until the end, or until nothing comes any more."""
    parts = []
    with suppress(TimeoutError, OSError):
        while part := await asyncio.wait_for(reader.read(1 << 18), patience):
            parts.append(part)
            patience = _ENOUGH
    return b"".join(parts)


def judge(report: Report, wire: Wire, answer: bytes) -> None:
    """Count the answers, and blame what is none."""
    rest = answer
    if wire.due and not answer:
        report.blame("nothing", wire, answer)
    for method in [*wire.methods, ""]:
        if not rest:
            break
        line = _STATUS_LINE.match(rest)
        head, ended, body = rest.partition(b"\r\n\r\n")
        if line is None or not ended:
            report.blame("no HTTP", wire, rest)
            return
        status = int(line[1])
        report.statuses[str(status)] += 1
        length = _length(head)
        bodiless = method == "HEAD" or status < 200 or status in {204, 304}
        size = 0 if bodiless or length is None else length
        if status >= 400:
            _judge_error(report, wire, status, None if bodiless else body[:size])
        if b"x-injected" in head.lower():
            report.blame("an injected header", wire, rest)
        # What is not told its length, or was taken for HEAD by one of us only, ends the reading.
        if length is None and not bodiless:
            return
        if bodiless and method == "HEAD" and body.startswith(b'{"errors"'):
            # What was to be a HEAD was changed into something else, or cannot be read at all.
            return
        rest = body[size:]
        if method not in {"GET", "HEAD"} and rest and not _STATUS_LINE.match(rest):
            return


def _length(head: bytes) -> int | None:
    found = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else None


def _judge_error(report: Report, wire: Wire, status: int, body: bytes | None) -> None:
    if status >= 500 and status not in _WITH_CAUSE:
        report.blame(f"{status}", wire, body or b"")
    if not body:
        return
    try:
        first = json.loads(body)["errors"][0]
        sound = bool(first["code"]) and isinstance(first["message"], str)
    except (ValueError, LookupError, TypeError):
        sound = False
    if not sound:
        report.blame(f"{status} without the specification's body", wire, body)


def main() -> None:
    """Port, seed, count, share of misses; the report on standard output."""
    port, seed, count = (int(argument) for argument in sys.argv[1:4])
    report = asyncio.run(fuzz(port, seed, count, float(sys.argv[4])))
    sys.stdout.write(
        json.dumps({"sent": report.sent, "statuses": report.statuses, "wrong": report.wrong})
    )


if __name__ == "__main__":
    main()
