"""What a frontend's resources work with, made once per worker process."""

from dataclasses import dataclass

from common.blobstore import FileBlobStore
from common.broker import Broker
from common.claims import Claims
from common.links import Links
from common.paths import Layout
from common.referrers import ReferrerLists
from common.tags import TagLists, Tags
from frontend.ahead import Ahead
from frontend.contents import Contents
from frontend.desk import Desk
from frontend.memory import Refusals
from frontend.naming import Naming
from frontend.tails import Tails


@dataclass(frozen=True, slots=True)
class Terms:
    """How one upstream's content is kept; seconds, `mark_interval` see common.links."""

    tagttl: float
    mark_interval: float


@dataclass(frozen=True, slots=True)
class Services:
    """The parts, ready to be used."""

    naming: Naming
    terms: dict[str, Terms]
    layout: Layout
    blobs: FileBlobStore
    contents: Contents
    links: Links
    tags: Tags
    tag_lists: TagLists
    referrer_lists: ReferrerLists
    claims: Claims
    broker: Broker
    desk: Desk
    ahead: Ahead
    tails: Tails
    refusals: Refusals
