"""The queue of several machines: RabbitMQ 3.10 to 4.x, spoken to through pika and only from here.

    exchange entrepot.jobs.v1 (direct) ──interactive──▶ queue entrepot.interactive.v1  quorum
                                       ──prefetch─────▶ queue entrepot.prefetch.v1     quorum
                                       ──expiry───────▶ queue entrepot.expiry.v1       quorum
    exchange entrepot.wait.<step>.v1 (fanout, one a step of the ladder)
                    ──▶ queue entrepot.wait.<step>.v1  classic, its TTL is the step ──▶ jobs
    exchange entrepot.dead.v1 (fanout) ──▶ queue entrepot.dead.v1  quorum
    exchange entrepot.events.v1 (fanout) ──▶ one exclusive queue a subscribing process

What travels beside the body, in headers: `x-attempt`, which attempt this is (1 without it);
`x-due`, when it is due, in milliseconds since 1970 (at once without it); on dead letters
`x-reason`, `x-queue` and `x-died`, when that was, in milliseconds since 1970.

All of it is declared anew at each connection, and its names carry a version: an argument that
changes needs a new name, as a redeclaration with other arguments is refused (406).

Parts of a broker's connection run on one thread, the link's; everything in this package that is
not said to be for any thread is for that one.
"""
