"""The chaos run: everything fails at random, nothing may be lost, wrong or left behind.

`python -m tests.chaos --minutes 20 --queue embedded --seed 1`; docs/reliability.md says what it
does and what its ledger means.

    plan           what is run, for how long, how often what fails
    goods          what the upstream has, and what is therefore right
    mood           the upstream that misbehaves at random
    fleet          the processes behind a load balancer: killed, stopped, started again
    queues         the two queue modes, and how each is broken
    deeds          the seeded schedule of what is done to all of these
    shoppers       clients that pull, abort and pull again, and judge every answer
    disturbances   what was disturbed when: what an answer that failed may be put down to
    vitals         memory and open files over time
    audit          what lies in the storage folder
    ledger         what must hold at the end, and whether it does
    conductor      all of it, in order
"""
