"""The ledger's dead letters, each question inside the transaction of whoever calls."""

import sqlite3
from collections.abc import Collection, Iterator

from common.broker.letters import DeadLetter, is_chosen, letter, queue_of
from common.messages import Queue

_Row = tuple[int, str, str, bytes, DeadLetter]


class Graveyard:
    """Rows of `dead`, the oldest first. Any method may raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """As the ledger, made anew for each transaction."""
        self._connection = connection

    def letters(self, limit: int) -> list[DeadLetter]:
        """The oldest `limit` of them."""
        return [found for *_, found in self._rows(limit)]

    def chosen(self, ids: Collection[str] | None) -> list[tuple[int, Queue | None, str, bytes]]:
        """Row, queue, key and body of those that `ids` mean, None for all."""
        return [
            (row, queue_of(found), key, body)
            for row, _, key, body, found in self._rows(-1)
            if is_chosen(found, ids)
        ]

    def remove(self, row: int) -> None:
        """It is no letter any more."""
        self._connection.execute("DELETE FROM dead WHERE id = ?", (row,))

    def _rows(self, limit: int) -> Iterator[_Row]:
        query = (
            "SELECT id, queue, key, body, attempts, reason, died_ms FROM dead ORDER BY id LIMIT ?"
        )
        rows = self._connection.execute(query, (limit,)).fetchall()
        for row, queue, key, body, attempts, reason, died_ms in rows:
            yield row, queue, key, body, letter(queue, body, reason, attempts, died_ms)
