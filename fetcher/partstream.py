"""What is asked of a blob's part on its way here."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self


class PartStream(Protocol):
    """A blob's part, whose connection more parts can be had by."""

    @property
    def offset(self) -> int:
        """Where it begins."""

    @property
    def end(self) -> int | None:
        """Where it ends."""

    @property
    def total(self) -> int | None:
        """The whole blob's size."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes; raises UpstreamError when they stop before the end."""

    def part(self, start: int, end: int) -> "PartStream":
        """Another part of the same blob, over a connection that is the caller's to account for."""

    def spare(self) -> Callable[[], None] | None:
        """One more connection that nobody else wants now, and how to give it back."""

    def in_trouble(self) -> None:
        """A part was not given: leave it at one connection for a while."""

    def close(self) -> None:
        """Let the connection go."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
