"""The stateless part that clients talk to: hits from storage, misses through the queue.

It holds no upstream credentials and opens no connection to any upstream.
"""
