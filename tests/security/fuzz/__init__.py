"""A whole machine under random requests and random answers; `python -m tests.security.fuzz --help`."""
