"""Dead letters: what nobody could do, kept for people to look at, try again or throw away.

What a letter is called (`id`) is made of what it holds, so it is the same in every backend and for
whoever looks; two that were one message and died in the same millisecond are one letter here.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from common.errors import UndecodableMessage
from common.messages import Queue, decode_message

MOST_LISTED = 1000
"""Letters that are listed at once, at most, whoever asks for more."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One of them; `died` in unix seconds, 0 where it is not known."""

    id: str
    queue: str
    key: str
    """What was asked for (common.messages); empty where nobody can decode the message."""
    reason: str
    attempts: int
    died: float


def letter(queue: str, body: bytes, reason: str, attempts: int, died_ms: int) -> DeadLetter:
    """A letter as a backend keeps it; `died_ms` in milliseconds since 1970."""
    hasher = hashlib.sha256(f"{queue}\0{reason}\0{died_ms}\0".encode())
    hasher.update(body)
    return DeadLetter(hasher.hexdigest()[:12], queue, _key(body), reason, attempts, died_ms / 1000)


def is_chosen(found: DeadLetter, ids: Collection[str] | None) -> bool:
    """Whether `ids` mean this one; None means all."""
    return ids is None or found.id in ids


def queue_of(found: DeadLetter) -> Queue | None:
    """Where the letter is to go when it is tried again; None: nowhere that is known here."""
    try:
        return Queue(found.queue)
    except ValueError:
        return None


def _key(body: bytes) -> str:
    try:
        return decode_message(body).key
    except UndecodableMessage:
        return ""
