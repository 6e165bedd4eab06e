"""The queue of a single machine: one SQLite file, and a folder's worth of small files beside it.

    <folder>/queue.db           the ledger of jobs (the file the URL names)
    <folder>/queue.db-wal,-shm  SQLite's own
    <folder>/queue.db.lock      flock: whoever reads or writes the ledger
    <folder>/queue.db.broken    the last ledger that was found corrupt, for people
    <folder>/wake/<kind>.<id>   datagram sockets: a consumer's wake-ups, a subscriber's events
    <folder>/owners/<id>        flock: held as long as the consumer of that id lives

It needs a local file system. All of it may be removed at any time, running or not: what is in
storage is the truth, frontends ask again, the janitor's sweep publishes the expiries again.
"""
