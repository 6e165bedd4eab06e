"""All endpoints of one frontend process."""

import os
import socket
import time
import uuid

from common.blobstore import BlobStore
from common.config import Config
from common.digest import parse_digest
from common.errors import ContentMismatch, InvalidInput
from frontend.callers import Callers
from frontend.manifests import MAX_MANIFEST
from frontend.naming import Naming
from frontend.notifications.outbox import Outbox
from frontend.notifications.pulls import Composer, Told, pull_of
from frontend.observing import Seen


class Notifier:
    """Tells the endpoints of the pulls it observes."""

    def __init__(self, config: Config, naming: Naming, blobs: BlobStore) -> None:
        """Nothing is told before `start`."""
        self._callers = Callers(config.http.trustedproxies)
        self._behind_proxies = bool(config.http.trustedproxies)
        self._prefix = config.http.prefix
        self._naming = naming
        self._blobs = blobs
        self._composer = Composer(
            stored=self._stored,
            address=config.http.host,
            prefix=config.http.prefix,
            relative=config.http.relativeurls,
            manifest=(self._manifest if config.notifications.events.includereferences else None),
            source={"addr": _own_address(config), "instanceID": str(uuid.uuid4())},
        )
        self.outboxes = [Outbox(endpoint) for endpoint in config.notifications.active]

    def start(self) -> None:
        """Begin to tell; after the fork, as there are threads."""
        for outbox in self.outboxes:
            outbox.start()

    def __call__(self, seen: Seen) -> None:
        """Take an answer in."""
        pull = pull_of(seen, self._prefix, self._address(seen))
        if pull is not None:
            told = Told(pull, self._composer)
            for outbox in self.outboxes:
                outbox.put(told)

    def close(self, within: float) -> None:
        """Tell what waits, for `within` seconds in all; what is lost is logged."""
        deadline = time.monotonic() + within
        for outbox in self.outboxes:
            outbox.close(max(deadline - time.monotonic(), 0.0))

    def _address(self, seen: Seen) -> str:
        if self._behind_proxies:
            return self._callers.current()
        host, port = (*(seen.scope.get("client") or ()), "", "")[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"

    def _stored(self, name: str, namespace: str | None) -> str:
        try:
            return self._naming.resolve(name, namespace).stored
        except InvalidInput:
            return name

    def _manifest(self, digest: str) -> bytes | None:
        try:
            return self._blobs.read(parse_digest(digest), MAX_MANIFEST)
        except (InvalidInput, ContentMismatch, OSError):
            return None


def _own_address(config: Config) -> str:
    host = socket.gethostname() or os.uname().nodename
    return host if config.http.net == "unix" else f"{host}:{config.http.listen[1]}"
