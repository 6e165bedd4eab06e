"""Clients that pull an image as containerd does: what is cut short is asked for again from there."""

import hashlib
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.parts.images import MANIFEST

# containerd's resolver tries a request five times; pauses in seconds.
_PAUSES = (0.5, 1.0, 2.0, 4.0)


class LostError(Exception):
    """A pull that a real client would have given up."""


@dataclass
class Pull:
    """One whole pull: seconds it took, what was received, requests that had to be sent again."""

    seconds: float
    received: int
    again: int


def pull(port: int, repository: str, tag: str) -> Pull:
    """Pull through the loopback's `port`, checking every digest; raises LostError."""
    customer, began = _Customer(port), time.monotonic()
    manifest = json.loads(customer.fetch(f"/v2/{repository}/manifests/{tag}"))
    for each in (manifest["config"], *manifest["layers"]):
        body = customer.fetch(f"/v2/{repository}/blobs/{each['digest']}")
        if f"sha256:{hashlib.sha256(body).hexdigest()}" != each["digest"]:
            raise LostError(f"wrong bytes for {each['digest']}")
    return Pull(time.monotonic() - began, customer.received, customer.again)


def crowd(count: int, port: int, repository: str, tag: str) -> list[Pull]:
    """So many pulls at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: pull(port, repository, tag), range(count)))


class _Customer:
    def __init__(self, port: int) -> None:
        self._port = port
        self.received = 0
        self.again = 0

    def fetch(self, path: str) -> bytes:
        body, told = bytearray(), []
        for pause in (*_PAUSES, None):
            try:
                if self._continue(path, body):
                    return bytes(body)
                told.append(f"cut at {len(body)}")
            except (OSError, http.client.HTTPException) as error:
                told.append(repr(error))
            if pause is not None:
                self.again += 1
                time.sleep(pause)
        raise LostError(f"{path}: {told}")

    def _continue(self, path: str, body: bytearray) -> bool:
        """Ask for what is missing; whether it came whole. Raises for an answer that is no success."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            headers = {"Accept": MANIFEST}
            if body:
                headers["Range"] = f"bytes={len(body)}-"
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status not in (200, 206):
                raise http.client.HTTPException(f"{response.status}: {response.read(500)!r}")
            if response.status == 200:
                body.clear()
            wanted = len(body) + int(response.headers["Content-Length"])
            while part := response.read1(1 << 18):
                body += part
                self.received += len(part)
            return len(body) == wanted
        finally:
            connection.close()
