"""What must hold at the end, whether it does, and what was done to find out."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """One thing that must hold."""

    what: str
    holds: bool
    figures: str


@dataclass
class Ledger:
    """The lines, what was done, and details for whoever looks into a line that does not hold."""

    lines: list[Line] = field(default_factory=list)
    done: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    courses: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """By process: seconds, megabytes, open files."""

    def enter(self, what: str, *, holds: bool, figures: str) -> None:
        """Add a line."""
        self.lines.append(Line(what, holds, figures))

    @property
    def balances(self) -> bool:
        """Whether all of it holds."""
        return all(line.holds for line in self.lines)

    def as_json(self) -> str:
        """All of it, for machines."""
        return json.dumps({"balances": self.balances, **asdict(self)}, indent=2, default=str)

    def as_text(self) -> str:
        """All of it, for people."""
        parts = ["What was done"]
        for name, value in self.done.items():
            parts.append(f"  {name}: {_shown(value)}")
        parts.append("What holds")
        parts.extend(
            f"  {'ok ' if line.holds else 'NOT'}  {line.what}: {line.figures}"
            for line in self.lines
        )
        if not self.balances:
            parts.append("Details")
            parts.extend(f"  {name}: {value}" for name, value in self.details.items() if value)
        parts.append("The ledger balances." if self.balances else "The ledger does not balance.")
        return "\n".join(parts)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in sorted(value.items())) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
