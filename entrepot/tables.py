"""Tables and times for people."""

import time
from collections.abc import Sequence

_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines with aligned columns, the last one as long as it likes."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def span(seconds: float) -> str:
    """A length of time in its largest unit: `3 h`."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "0 s"


def ago(moment: float | None) -> str:
    """How long a moment (unix seconds) is past; `-` where it is not known."""
    return "-" if not moment else f"{span(max(0.0, time.time() - moment))} ago"


def until(moment: float | None) -> str:
    """How long a moment is ahead; None: never comes."""
    if moment is None:
        return "never"
    left = moment - time.time()
    return f"in {span(left)}" if left > 0 else "due"
