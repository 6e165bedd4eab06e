"""Every path in the storage folder is made here, and only from validated values.

The registry's tree is distribution's (registry/storage/paths.go), to the letter; ours lies beside it.

    <rootdirectory>/
      docker/registry/v2/
        blobs/<alg>/<2 hex>/<hex>/data            a blob: layer, config or manifest
        repositories/<name>/
          _layers/<alg>/<hex>/link                "this repository has this blob"
          _manifests/revisions/<alg>/<hex>/link   "... this manifest"
          _uploads/<id>/{data,startedat}          another registry's unfinished push
          _manifests/tags/<tag>/current/link      what the tag points to; mtime: last use
          _manifests/tags/<tag>/index/<alg>/<hex>/link
                                                  what it pointed to; mtime: when the upstream last said so
      entrepot/
        fills/<alg>/<2 hex>/<hex>/                a blob being filled (common.fills)
        claims/<2 hex>/<hex>/                     other work being done, by hash of its key
        references/<alg>/<2 hex>/<hex>/<kind>.<hash of repository>
                                                  who links a blob (common.links)
        taglists/<2 hex>/<hash of repository[:after]>.json
        referrers/<2 hex>/<hash of repository@digest>.json
        trash/<unix time>.<alg>.<hex>             vacuumed blobs, until their grace is over
        quarantine/<alg>.<hex>                    blobs found damaged, for people to look at
        adopted                                   all links have references; mtime: when last looked
        upstreams/<name>.json                     until when an upstream wants to be left alone
        processes/<role>.<unique name>            who is alive; mtime: when it last said so
        scrubbed                                  mtime: when the last scrub of all blobs began
        tmp/                                      files about to be renamed into place
        queue/                                    the embedded broker's
"""

import hashlib

from common.digest import Digest
from common.messages import Kind
from common.reference import RepositoryName, Tag

_LINKS = {Kind.LAYER: "_layers", Kind.MANIFEST: "_manifests/revisions"}


def name_hash(text: str) -> str:
    """A file name for a text that may be longer than a file name can be."""
    return hashlib.sha256(text.encode()).hexdigest()[:40]


class Layout:
    """The paths below one `storage.filesystem.rootdirectory`."""

    def __init__(self, root: str) -> None:
        """Take the root as configured; nothing is created."""
        self.root = root
        self.registry = f"{root}/docker/registry/v2"
        self.repositories = f"{self.registry}/repositories"
        self.blobs = f"{self.registry}/blobs"
        self.own = f"{root}/entrepot"
        self.fills = f"{self.own}/fills"
        self.claims = f"{self.own}/claims"
        self.reference_index = f"{self.own}/references"
        self.tag_lists = f"{self.own}/taglists"
        self.referrer_lists = f"{self.own}/referrers"
        self.adopted = f"{self.own}/adopted"
        self.trash = f"{self.own}/trash"
        self.quarantine = f"{self.own}/quarantine"
        self.scrubbed = f"{self.own}/scrubbed"
        self.temporary = f"{self.own}/tmp"
        self.upstreams = f"{self.own}/upstreams"
        self.processes = f"{self.own}/processes"

    def blob_folder(self, digest: Digest) -> str:
        """The folder of a blob's data."""
        return f"{self.blobs}/{_spread(digest)}"

    def blob(self, digest: Digest) -> str:
        """A blob's data."""
        return f"{self.blobs}/{_spread(digest)}/data"

    def link(self, kind: Kind, repository: RepositoryName, digest: Digest) -> str:
        """The file that makes a blob a member of a repository."""
        return f"{self.links(kind, repository)}/{digest.algorithm}/{digest.hex}/link"

    def links(self, kind: Kind, repository: RepositoryName) -> str:
        """The folder of a repository's links."""
        return f"{self.repositories}/{repository}/{_LINKS[kind]}"

    def manifests(self, repository: RepositoryName) -> str:
        """The folder of a repository's manifests and tags."""
        return f"{self.repositories}/{repository}/_manifests"

    def uploads(self, repository: RepositoryName) -> str:
        """The folder of a repository's unfinished pushes; another registry's, never ours."""
        return f"{self.repositories}/{repository}/_uploads"

    def tags(self, repository: RepositoryName) -> str:
        """The folder of a repository's tags."""
        return f"{self.manifests(repository)}/tags"

    def tag(self, repository: RepositoryName, tag: Tag) -> str:
        """The folder of a tag."""
        return f"{self.tags(repository)}/{tag}"

    def tag_current(self, repository: RepositoryName, tag: Tag) -> str:
        """The file that says what a tag points to."""
        return f"{self.tag(repository, tag)}/current/link"

    def tag_index(self, repository: RepositoryName, tag: Tag, digest: Digest) -> str:
        """The file that says a tag points or pointed to `digest`."""
        return f"{self.tag(repository, tag)}/index/{digest.algorithm}/{digest.hex}/link"

    def fill(self, digest: Digest) -> str:
        """The folder of a blob's fill."""
        return f"{self.fills}/{_spread(digest)}"

    def claim(self, key: str) -> str:
        """The folder of a claim on work that is not a blob's fill."""
        hashed = name_hash(key)
        return f"{self.claims}/{hashed[:2]}/{hashed}"

    @property
    def limit_claim(self) -> str:
        """The claim of the janitor that keeps the size limit; fills wait for its word while it lives."""
        return self.claim("size")

    def references(self, digest: Digest) -> str:
        """The folder of the references to a blob."""
        return f"{self.reference_index}/{_spread(digest)}"

    def reference(self, kind: Kind, repository: RepositoryName, digest: Digest) -> str:
        """One reference to a blob."""
        return f"{self.references(digest)}/{kind.value}.{name_hash(repository)}"

    def tag_list(self, repository: RepositoryName, after: str | None = None) -> str:
        """The upstream's list of a repository's tags, or what it has behind `after`, as last heard."""
        hashed = name_hash(f"{repository}:{after}" if after else repository)
        return f"{self.tag_lists}/{hashed[:2]}/{hashed}.json"

    def referrer_list(self, repository: RepositoryName, subject: Digest) -> str:
        """The upstream's list of what refers to a manifest, as last heard."""
        hashed = name_hash(f"{repository}@{subject}")
        return f"{self.referrer_lists}/{hashed[:2]}/{hashed}.json"

    def upstream(self, name: str) -> str:
        """What is known of an upstream, by its configured name; no name begins with `_`."""
        return f"{self.upstreams}/{name or '_default'}.json"


def _spread(digest: Digest) -> str:
    hexadecimal = digest.hex
    return f"{digest.algorithm}/{hexadecimal[:2]}/{hexadecimal}"
