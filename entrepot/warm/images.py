"""Images as people name them (distribution's reference/normalize.go, which docker uses too)."""

from dataclasses import dataclass

from common.digest import Digest
from common.errors import InvalidInput, InvalidName
from common.reference import RepositoryName, Tag

_HUB = "docker.io"
_HUB_AS_WELL = {"index.docker.io", "registry-1.docker.io"}
_OFFICIAL = "library/"


@dataclass(frozen=True, slots=True)
class Image:
    """A repository at a registry (`host`, with its port where one is written), and what of it."""

    host: str
    repository: RepositoryName
    reference: Tag | Digest

    def __str__(self) -> str:
        """In full."""
        separator = "@" if isinstance(self.reference, Digest) else ":"
        return f"{self.host}/{self.repository}{separator}{self.reference}"


def parse(text: str) -> Image:
    """The image that `text` names; raises InvalidInput.

    What comes before the first slash is a host where it could be nothing else: it has a dot or a
    colon in it, or is `localhost`. Without one Docker Hub is meant, whose images without an owner
    are in `library/`. With a digest beside it a tag says nothing; without either it is `latest`.
    """
    name, at, digest = text.partition("@")
    name, tag = _split_tag(name)
    host, slash, rest = name.partition("/")
    if not slash or not _is_host(host):
        host, rest = _HUB, name
    host = _HUB if host in _HUB_AS_WELL else host
    if host == _HUB and "/" not in rest:
        rest = _OFFICIAL + rest
    if host != host.lower() or not host:
        raise InvalidName(text[:160])
    reference: Tag | Digest = Tag("latest" if tag is None else tag)
    return Image(host, RepositoryName(rest), Digest(digest) if at else reference)


def parse_all(texts: list[str]) -> tuple[list[Image], list[str]]:
    """The images, each once, in this order; and what is none."""
    images: dict[Image, None] = {}
    wrong = []
    for text in texts:
        try:
            images[parse(text)] = None
        except InvalidInput:
            wrong.append(text)
    return list(images), wrong


def _split_tag(name: str) -> tuple[str, str | None]:
    before, colon, tag = name.rpartition(":")
    # A colon before a slash leads a port.
    return (before, tag) if colon and "/" not in tag else (name, None)


def _is_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"
