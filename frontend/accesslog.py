"""A line for every request, where `log.accesslog.disabled: false` asks for it.

Of the query only `ns` is told: signatures and tokens travel in queries.
"""

from urllib.parse import parse_qs

from common import logs
from frontend import request_ids
from frontend.callers import Callers
from frontend.observing import Seen

_LONGEST = 300

_log = logs.always("access")


class AccessLog:
    """Logs what it observes."""

    def __init__(self, callers: Callers) -> None:
        """`callers` know who asks."""
        self._callers = callers

    def __call__(self, seen: Seen) -> None:
        """Write the line."""
        scope = seen.scope
        fields = {"namespace": _namespace(scope["query_string"])} if scope["query_string"] else {}
        if not seen.whole:
            fields["ended"] = "early"
        _log.info(
            "request",
            method=scope["method"],
            path=scope["path"][:_LONGEST],
            status=seen.status,
            bytes=seen.sent,
            seconds=round(seen.seconds, 4),
            client=self._callers.current(),
            user_agent=seen.asked(b"user-agent")[:_LONGEST],
            request_id=request_ids.of(scope),
            **fields,
        )


def _namespace(query: bytes) -> str:
    if b"ns=" not in query:
        return ""
    # Ours is one of very few parameters; what has many is no request of ours.
    try:
        found = parse_qs(query[:1024].decode("latin-1"), max_num_fields=8)
    except ValueError:
        return ""
    return found.get("ns", [""])[0][:_LONGEST]
