"""The real parts that the tests are made with: brokers, registries, clients, an upstream that fails.

Each is a context manager, listens on the loopback only, keeps to a folder it is given, and ends
its processes even when the test run is interrupted.
"""
