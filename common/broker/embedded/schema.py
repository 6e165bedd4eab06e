"""The ledger's tables.

A row of `job` waits (`owner` is null) until `due_ms`, or runs with its owner until `lease_ms`;
both are milliseconds since 1970, by this machine's clock. `delay_ms` is how long it was to wait in
all: by that is seen that the clock was set back. Of a key at most one row waits in each
queue; that makes a publication idempotent. `attempts` counts the times it was handed out.
"""

import sqlite3

# Told from a file of another shape by SQLite's own `user_version`.
VERSION = 2

_STATEMENTS = (
    """CREATE TABLE job (
        id INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        key TEXT NOT NULL,
        body BLOB NOT NULL,
        due_ms INTEGER NOT NULL,
        delay_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        owner TEXT,
        lease_ms INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE UNIQUE INDEX job_waiting ON job (queue, key) WHERE owner IS NULL",
    "CREATE INDEX job_due ON job (queue, due_ms, id) WHERE owner IS NULL",
    "CREATE INDEX job_running ON job (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX job_key ON job (key)",
    """CREATE TABLE dead (
        id INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        key TEXT NOT NULL,
        body BLOB NOT NULL,
        attempts INTEGER NOT NULL,
        reason TEXT NOT NULL,
        died_ms INTEGER NOT NULL
    )""",
)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file; raises sqlite3.DatabaseError for a file of another shape."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    if version or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise sqlite3.DatabaseError("not a queue of this version")
    connection.execute("BEGIN IMMEDIATE")
    for statement in _STATEMENTS:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
