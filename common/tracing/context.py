"""W3C Trace Context, level 1 (www.w3.org/TR/trace-context-1): which trace something belongs to."""

import re
import secrets
from dataclasses import dataclass, replace

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

# Section 3.3.1.5: so much is to be passed on at least.
_LONGEST_STATE = 512
_STATE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace; ids and flags in lower-case hex, `state` the tracestate that came along."""

    trace_id: str
    span_id: str
    flags: str
    state: str = ""

    @property
    def traceparent(self) -> str:
        """As the header has it."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def child(self) -> "Trace":
        """A new place below this one."""
        return replace(self, span_id=secrets.token_hex(8))


def parse(traceparent: str, tracestate: str = "") -> Trace | None:
    """What two headers say; None when that is nothing valid, which then counts as nothing at all.

    Of later versions what this one knows is taken (section 3.2.4), and only the flag that the
    version has: sampled.
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) * int(span_id, 16):
        return None
    fits = len(tracestate) <= _LONGEST_STATE and _STATE.fullmatch(tracestate)
    return Trace(trace_id, span_id, f"{int(flags, 16) & 1:02x}", tracestate if fits else "")
