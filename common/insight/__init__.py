"""What people want to know of a running cache, and the little they may do about it.

All of it is read from storage and the queue, so that any process on any machine that has both can
tell: the command line, the console. Nothing here is on a client's way, nothing asks a
role, and every question is bounded, or a page of an answer that is long.
"""
