"""What a page is about: a repository, or one image or layer of it, as an address names it."""

from dataclasses import dataclass
from http import HTTPStatus

from common.digest import Digest
from common.errors import InvalidInput
from common.reference import RepositoryName, Tag
from entrepot.console.web import Refusal
from entrepot.failure import Misused
from entrepot.storage import target


@dataclass(frozen=True, slots=True)
class Target:
    """`reference` None: all of the repository."""

    repository: RepositoryName
    reference: Tag | Digest | None

    def __str__(self) -> str:
        """As it was named: `repository`, `repository:tag`, `repository@digest`."""
        if self.reference is None:
            return self.repository
        between = "@" if isinstance(self.reference, Digest) else ":"
        return f"{self.repository}{between}{self.reference}"

    @property
    def page(self) -> str:
        """Where it is shown."""
        return f"/cached/{self}"


def target_of(text: str) -> Target:
    """What `text` names, by the name it is stored under; raises Refusal."""
    try:
        name, reference = target(text)
        return Target(RepositoryName(name), reference)
    except (InvalidInput, Misused) as error:
        raise Refusal(HTTPStatus.NOT_FOUND, "There can be no repository of this name.") from error


def absent(what: Target) -> Refusal:
    """Nothing of it is cached."""
    return Refusal(HTTPStatus.NOT_FOUND, f"Nothing of {what} is cached.")
