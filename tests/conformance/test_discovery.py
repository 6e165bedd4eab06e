"""OCI distribution-spec, "Content Discovery": lists of tags and of referrers."""

import json
from typing import Any

import pytest

from common.digest import Digest
from common.mediatypes import OCI_INDEX
from tests.conformance.conftest import Place
from tests.conformance.contents import ARTIFACT, SIGNATURE, TAGS
from tests.system.cluster import Got


def tags_in(place: Place, got: Got) -> list[str]:
    assert got.status == 200, got.body
    listed = json.loads(got.body)
    assert listed["name"] == place.name
    tags: list[str] = listed["tags"]
    return tags


def every_tag(place: Place) -> list[str]:
    return sorted(place.upstream.content.repositories["conformance/repo1"].tags)


def next_page(got: Got) -> str | None:
    link = got.headers.get("link")
    if link is None:
        return None
    target, _, relation = link.partition(">;")
    assert relation.strip() == 'rel="next"'
    return target.removeprefix("<")


def test_all_tags_are_listed_in_order(place: Place) -> None:
    tags = tags_in(place, place.get("tags/list"))
    assert tags == every_tag(place)
    assert {*TAGS} <= {*tags}


@pytest.mark.parametrize("count", [1, 2, 7])
def test_n_tags_are_listed_and_a_link_leads_on(place: Place, count: int) -> None:
    got = place.get(f"tags/list?n={count}")
    assert tags_in(place, got) == every_tag(place)[:count]
    following = next_page(got)
    assert following is not None
    assert tags_in(place, place.cache.get(following)) == every_tag(place)[count : 2 * count]


def test_links_lead_through_all_tags(place: Place) -> None:
    tags: list[str] = []
    path: str | None = f"/v2/{place.name}/tags/list?n=9"
    while path is not None:
        got = place.cache.get(path)
        tags += tags_in(place, got)
        path = next_page(got)
    assert tags == every_tag(place)


def test_fewer_than_n_come_only_at_the_end(place: Place) -> None:
    everything = every_tag(place)
    got = place.get(f"tags/list?n=5&last={everything[-3]}")
    assert tags_in(place, got) == everything[-2:]
    assert next_page(got) is None


def test_n_of_zero_is_an_empty_list_without_a_link(place: Place) -> None:
    got = place.get("tags/list?n=0")
    assert tags_in(place, got) == []
    assert next_page(got) is None


@pytest.mark.parametrize("at", [0, 5, -1])
def test_a_list_begins_after_last_with_and_without_n(place: Place, at: int) -> None:
    everything = every_tag(place)
    after = [tag for tag in everything if tag > everything[at]]
    assert tags_in(place, place.get(f"tags/list?last={everything[at]}")) == after
    assert tags_in(place, place.get(f"tags/list?n=2&last={everything[at]}")) == after[:2]


def test_the_tags_of_an_unknown_repository_are_404(place: Place) -> None:
    other = place.name.replace("repo1", "unknown")
    got = place.cache.get(f"/v2/{other}/tags/list")
    assert (got.status, json.loads(got.body)["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


def descriptors_in(got: Got) -> list[dict[str, Any]]:
    assert (got.status, got.headers["content-type"]) == (200, OCI_INDEX), got.body
    index = json.loads(got.body)
    assert (index["schemaVersion"], index["mediaType"]) == (2, OCI_INDEX)
    descriptors: list[dict[str, Any]] = index["manifests"]
    return descriptors


def test_referrers_are_listed_with_their_type_and_annotations(place: Place) -> None:
    assert len(place.referrers) == 6
    for subject, expected in place.referrers.items():
        got = place.get(f"referrers/{subject}")
        assert descriptors_in(got) == expected
        assert "oci-filters-applied" not in got.headers


@pytest.mark.parametrize("kind", [ARTIFACT, SIGNATURE, "application/vnd.oci.image.config.v1+json"])
def test_referrers_are_filtered_by_artifact_type_and_that_is_said(place: Place, kind: str) -> None:
    escaped = kind.replace("+", "%2B")
    for subject, listed in place.referrers.items():
        got = place.get(f"referrers/{subject}?artifactType={escaped}")
        expected = [each for each in listed if each.get("artifactType") == kind]
        assert descriptors_in(got) == expected
        assert got.headers["oci-filters-applied"] == "artifactType"


def test_without_referrers_the_list_is_empty(place: Place) -> None:
    for digest in (Digest.of(b"made up"), Digest.of(b"made up", "sha512")):
        assert descriptors_in(place.get(f"referrers/{digest}")) == []
    stored = place.made["image-sha256"].root
    assert place.get(f"manifests/{stored}").status == 200
    assert descriptors_in(place.get(f"referrers/{stored}")) == []


def test_the_referrers_of_a_manifest_that_is_missing_are_listed(place: Place) -> None:
    for algorithm in ("sha256", "sha512"):
        made = place.made[f"subject-missing-{algorithm}"]
        (missing,) = made.absent
        assert place.get(f"manifests/{missing}").status == 404
        assert descriptors_in(place.get(f"referrers/{missing}")) == made.referrers[missing]


def test_every_referrer_can_be_pulled(place: Place) -> None:
    for listed in place.referrers.values():
        for descriptor in listed:
            got = place.get(f"manifests/{descriptor['digest']}")
            assert got.headers["content-type"] == descriptor["mediaType"]
            assert len(got.body) == descriptor["size"]


@pytest.mark.parametrize("digest", ["latest", "sha256:zz", "sha256:" + "0" * 63, "md5:" + "0" * 32])
def test_the_referrers_of_what_is_no_digest_are_400(place: Place, digest: str) -> None:
    assert place.get(f"referrers/{digest}").status == 400
