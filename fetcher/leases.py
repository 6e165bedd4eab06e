"""The claims this process holds, kept alive by one thread however many they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

from common import logs
from common.claims import Claim, Claims
from common.errors import LeaseLost
from common.metrics.catalogue import CLAIMS, CLAIMS_HELD

log = logs.get(__name__)


class Lease:
    """A claim with a heartbeat."""

    def __init__(self, claim: Claim) -> None:
        """Take over a claim just acquired."""
        self._claim = claim
        self._lost = False
        # A heartbeat must not use the claim's file descriptor after its release: the number may
        # be another file's by then.
        self._lock = Lock()
        self._released = False

    @property
    def generation(self) -> int:
        """The claim's generation."""
        return self._claim.generation

    def check(self) -> None:
        """Raise LeaseLost if the last heartbeat found the claim taken over; costs nothing."""
        if self._lost:
            raise LeaseLost

    def confirm(self) -> None:
        """Raise LeaseLost unless storage says, now, that the claim is ours."""
        self.check()
        self._claim.check()

    def beat(self) -> None:
        """Tell that we live, or learn that we were taken for dead."""
        with self._lock:
            if self._released:
                return
            try:
                self._claim.beat()
            except LeaseLost:
                self._lost = True
                CLAIMS.of("lost").add()
                log.warning("a claim was taken over", folder=self._claim.folder)
            except OSError as error:
                # Not lost yet: others wait for the whole lease, and the commit asks again.
                log.warning("a heartbeat failed", folder=self._claim.folder, reason=error.strerror)

    def release(self) -> None:
        """Give the claim up; if storage does not let us, it goes stale by itself."""
        with self._lock:
            self._released = True
            try:
                self._claim.release()
            except OSError as error:
                log.warning("a claim stays", folder=self._claim.folder, reason=error.strerror)


class Leases:
    """All of this process's leases; `close` ends the heartbeats."""

    def __init__(self, claims: Claims) -> None:
        """Begin beating, three times a lease: two may be late before anybody takes over."""
        self._claims = claims
        self._held: set[Lease] = set()
        self._lock = Lock()
        self._closing = Event()
        self._thread = Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    @contextmanager
    def hold(self, folder: str) -> Iterator[Lease | None]:
        """The lease on the work of `folder`, given up at the end; None while another has it."""
        claim = self._claims.acquire(folder)
        if claim is None:
            CLAIMS.of("refused").add()
            yield None
            return
        CLAIMS.of("taken").add()
        CLAIMS_HELD.of().add()
        lease = Lease(claim)
        with self._lock:
            self._held.add(lease)
        try:
            yield lease
        finally:
            with self._lock:
                self._held.discard(lease)
            CLAIMS_HELD.of().add(-1)
            lease.release()

    def is_held(self, folder: str) -> bool:
        """Whether anybody who lives works in `folder`."""
        return self._claims.is_held(folder)

    def _beat(self) -> None:
        while not self._closing.wait(self._claims.lease / 3):
            with self._lock:
                held = list(self._held)
            for lease in held:
                lease.beat()

    def close(self) -> None:
        """Stop the heartbeats and leave nothing behind; what is still held is left to go stale."""
        self._closing.set()
        self._thread.join()
        self._claims.close()
