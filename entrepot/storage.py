"""The storage folder and what is in it, as a command's arguments name it."""

import os

from common.config import Config
from common.digest import Digest
from common.errors import InvalidInput
from common.paths import Layout
from common.reference import RepositoryName, Tag
from entrepot.failure import Failure, Misused
from frontend.naming import naming

_LISTED = "`entrepot ls` lists the repositories that are cached"


def layout_of(config: Config) -> Layout:
    """The configured storage folder; raises Failure where it cannot be looked into."""
    root = config.storage.rootdirectory
    advice = "is the configuration the right one? Nothing has been cached where there is no folder"
    try:
        os.listdir(root)
    except OSError as error:
        raise Failure(f"{root}: {error.strerror}", advice) from error
    return Layout(root)


def repository_named(config: Config, text: str) -> RepositoryName:
    """The repository as it is stored, by any name a client might use for it; raises Misused."""
    upstreams = config.proxy.upstreams
    names = naming(
        {name: each.remoteurl for name, each in upstreams.items()},
        namespaces={name: each.namespaces for name, each in upstreams.items()},
    )
    try:
        return names.locate(text, None).stored
    except InvalidInput as error:
        raise Misused(
            f"{text[:160]}: no repository of an upstream that is configured", _LISTED
        ) from error


def target(text: str) -> tuple[str, Tag | Digest | None]:
    """The repository's name, and the tag or digest behind it; raises Misused."""
    name, at, digest = text.partition("@")
    before, colon, tag = name.rpartition(":")
    try:
        if at:
            return (before if colon and "/" not in tag else name), Digest(digest)
        if colon and "/" not in tag:
            return before, Tag(tag)
    except InvalidInput as error:
        raise Misused(f"{text[:200]}: expected REPOSITORY[:TAG|@DIGEST]", _LISTED) from error
    return name, None
