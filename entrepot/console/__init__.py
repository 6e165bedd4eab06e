"""The console: pages for people about a running cache, at `http.debug.addr`.

It is a process of its own. What it tells it reads from storage, the queue and the numbers that the
machine's processes publish; nothing it does takes part in a pull, and all of it is bounded: so many
connections, so many pages made at once, so many seconds, so much of a list.
"""
