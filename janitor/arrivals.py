"""Events that tell of something new in storage."""

from collections import deque

from common.blobstore import FileBlobStore
from common.digest import Digest
from common.errors import InvalidInput
from common.links import Links
from common.messages import Event, FillCommitted, Kind
from common.reference import RepositoryName, Tag
from common.tags import Tags
from janitor.candidates import Candidate
from janitor.contents import contents
from janitor.ranking import Ranking
from janitor.usage import Usage

# Between two looks at them. More are left to the next survey.
_MOST = 10_000


class Arrivals:
    """Hears of them on the broker's thread, which must not wait for storage, and keeps them."""

    def __init__(
        self, usage: Usage, ranking: Ranking, links: Links, tags: Tags, blobs: FileBlobStore
    ) -> None:
        """Tell `usage` and `ranking`."""
        self._usage = usage
        self._ranking = ranking
        self._links = links
        self._tags = tags
        self._blobs = blobs
        self._heard: deque[str] = deque(maxlen=_MOST)

    def hear(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, FillCommitted):
            self._heard.append(event.key)

    def forget(self) -> None:
        """Let go of what was heard."""
        self._heard.clear()

    def settle(self) -> None:
        """Have what was heard of counted and ranked."""
        while self._heard:
            subject, _, rest = self._heard.popleft().partition(":")
            try:
                self._settle(subject, rest)
            except InvalidInput:  # not a key of ours
                continue

    def _settle(self, subject: str, rest: str) -> None:
        """By the job's key, see common.messages."""
        if subject == "tag":
            repository, _, tag = rest.rpartition(":")
            stored = self._tags.read(RepositoryName(repository), Tag(tag))
            # Tags are confirmed again and again; what is told of is seldom new.
            if stored is not None and self._usage.arrived(stored.digest):
                self._rank(Kind.MANIFEST, RepositoryName(repository), stored.digest, Tag(tag))
        elif subject in {"blob", "manifest"}:
            repository, _, text = rest.rpartition("@")
            digest = Digest(text)
            self._usage.arrived(digest)
            kind = Kind.LAYER if subject == "blob" else Kind.MANIFEST
            self._rank(kind, RepositoryName(repository), digest)

    def _rank(self, kind: Kind, repository: RepositoryName, digest: Digest, *tags: Tag) -> None:
        used = self._links.last_use(kind, repository, digest)
        if used is None:
            return
        self._ranking.add(Candidate(used, kind is Kind.LAYER, repository, digest, tags))
        if kind is Kind.MANIFEST:
            # Some of its layers may have been here, unused for long.
            self._ranking.spare(repository, contents(self._blobs, digest), used)
