"""Upstreams as the tests open them: impatient, and closed afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from common.digest import Digest
from common.errors import UpstreamError
from common.reference import RepositoryName, Tag
from fetcher.upstream import Upstream, UpstreamSettings

REPOSITORY = RepositoryName("library/alpine")
TAG = Tag("latest")
BLOB = bytes(range(256)) * 4096  # 1 MiB
DIGEST = Digest.of(BLOB)
BLOB_PATH = f"/v2/{REPOSITORY}/blobs/{DIGEST}"


@contextmanager
def upstream(url: str, **settings: Any) -> Iterator[Upstream]:
    """An upstream at `url`; `settings` as UpstreamSettings has them."""
    quick = {"connect_timeout": 2.0, "read_timeout": 5.0}
    opened = Upstream(UpstreamSettings(name="hub", remoteurl=url, **(quick | settings)))
    try:
        yield opened
    finally:
        opened.close()


def fetched(client: Upstream, **where: Any) -> bytes:
    """All the bytes of BLOB that the upstream gives from there on."""
    with client.open_blob(REPOSITORY, DIGEST, **where) as stream:
        return b"".join(stream.chunks())


def failure(client: Upstream, **where: Any) -> UpstreamError:
    """The error that getting BLOB ends in."""
    with pytest.raises(UpstreamError) as caught:
        fetched(client, **where)
    return caught.value
