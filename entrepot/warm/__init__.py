"""`entrepot warm`: images pulled through the running cache, so that they are there when needed.

It is a client like any other, over HTTP: so it works with every deployment, needs neither the
storage folder nor the queue, and what it has pulled has been served once, whole and right.
"""
