"""deploy/compose.yml run as containers. Not part of `make test`, as it needs a container engine:
`make test-stack`; its tests are in running.py.
"""
