"""One cache in front of two upstreams that have the same content.

One has the referrers API. The other has not, as many registries; clients that pushed there kept
the list of referrers under a tag. What the specification wants is wanted of both.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from common.digest import Digest
from common.mediatypes import OCI_INDEX
from fetcher.referrers import schema_tag
from tests.conformance.contents import REPOSITORY, Made, make_all
from tests.parts.counting import Upstream
from tests.system.cluster import Cluster, Got, cluster

NAMED = "tags.example"


@dataclass
class Place:
    """The repository as clients reach it through the cache, and where it really is."""

    cache: Cluster
    upstream: Upstream
    elsewhere: Upstream
    name: str
    made: dict[str, Made]

    def get(self, rest: str, method: str = "GET", **headers: str) -> Got:
        """The answer about the repository, below its name."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.cache.get(f"/v2/{self.name}/{rest}", method, fields)

    @property
    def referrers(self) -> dict[Digest, list[dict[str, object]]]:
        """What refers to what, of all kinds."""
        return {
            subject: list(descriptors)
            for made in self.made.values()
            for subject, descriptors in made.referrers.items()
        }


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    with Upstream() as modern, Upstream() as plain, Upstream() as elsewhere:
        modern.content.most_referrers = 1  # so that there are pages to put together
        made = make_all(modern.content, elsewhere.url)
        make_all(plain.content, elsewhere.url)
        proxy = {"upstreams": [{"name": NAMED, "remoteurl": plain.url}], "tagttl": "1h"}
        folder = tmp_path_factory.mktemp("conformance")
        with cluster(folder, modern.url, proxy=proxy) as cache:
            through = {
                "api": Place(cache, modern, elsewhere, REPOSITORY, made),
                "tag-schema": Place(cache, plain, elsewhere, f"{NAMED}/{REPOSITORY}", made),
            }
            for subject, listed in through["api"].referrers.items():
                index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
                plain.add_manifest(
                    REPOSITORY, schema_tag(subject), json.dumps(index).encode(), OCI_INDEX
                )
            yield through


@pytest.fixture(scope="session", params=["api", "tag-schema"])
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Place:
    """Either upstream's repository."""
    return places[request.param]
