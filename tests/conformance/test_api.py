"""OCI distribution-spec, "API" and "Registry Proxying": support, errors, warnings, `ns`."""

import json

import pytest

from common.digest import Digest
from common.reference import RepositoryName, Tag
from tests.conformance.conftest import NAMED, Place
from tests.conformance.contents import REPOSITORY
from tests.frontend.stage import age
from tests.parts.faults import Status

# "Error Codes": no other may be in the JSON of a 4xx.
CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}
SHA = Digest.of(b"nobody has this")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_base_says_that_the_specification_is_implemented(place: Place, method: str) -> None:
    assert place.cache.get("/v2/", method).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v2/{REPOSITORY}/manifests/missing"),
        ("GET", f"/v2/{REPOSITORY}/manifests/.bad"),
        ("GET", f"/v2/{REPOSITORY}/manifests/{SHA}"),
        ("GET", f"/v2/{REPOSITORY}/blobs/{SHA}"),
        ("GET", f"/v2/{REPOSITORY}/blobs/latest"),
        ("GET", f"/v2/{REPOSITORY}/referrers/latest"),
        ("GET", f"/v2/{REPOSITORY}/tags/list?n=x"),
        ("GET", f"/v2/{REPOSITORY}/tags/list?ns=unknown.example"),
        ("GET", "/v2/UPPER/tags/list"),
        ("GET", "/v2/conformance/unknown/tags/list"),
        ("GET", "/v2/_catalog?n=x"),
        ("GET", "/elsewhere"),
        ("POST", f"/v2/{REPOSITORY}/blobs/uploads/"),
        ("PUT", f"/v2/{REPOSITORY}/manifests/latest"),
        ("PATCH", f"/v2/{REPOSITORY}/blobs/uploads/1"),
        ("DELETE", f"/v2/{REPOSITORY}/manifests/{SHA}"),
        ("DELETE", f"/v2/{REPOSITORY}/blobs/{SHA}"),
        ("GET", f"/v2/{REPOSITORY}/blobs/uploads/1"),
    ],
)
def test_a_4xx_has_errors_of_the_specifications_form_and_codes(
    place: Place, method: str, path: str
) -> None:
    got = place.cache.get(path, method)
    assert 400 <= got.status < 500
    assert got.headers["content-type"] == "application/json"
    errors = json.loads(got.body)["errors"]
    assert errors
    for error in errors:
        assert error["code"] in CODES
        assert isinstance(error["message"], str)


def test_a_range_that_cannot_be_had_has_a_code_of_the_specification(place: Place) -> None:
    digest, body = next(iter(place.made["image-sha256"].blobs.items()))
    got = place.get(f"blobs/{digest}", Range=f"bytes={len(body)}-")
    assert {error["code"] for error in json.loads(got.body)["errors"]} <= CODES


def test_a_warning_has_the_only_form_there_is(places: dict[str, Place]) -> None:
    """299, no agent, no date, at most 4096 bytes."""
    place = places["api"]
    tag = "image-sha256"
    assert place.get(f"manifests/{tag}").status == 200
    made = place.made[tag]
    index = place.cache.layout.tag_index(RepositoryName(REPOSITORY), Tag(tag), made.root)
    place.upstream.fail("*", Status(503), methods=("GET", "HEAD"))
    try:
        age(index, 7200)
        got = place.get(f"manifests/{tag}")
    finally:
        place.upstream.heal()
    assert (got.status, got.body) == (200, made.manifests[made.root][1])
    warning = got.headers["warning"]
    assert warning.startswith('299 - "')
    assert warning.endswith('"')
    assert warning.count('"') == 2
    assert len(warning) <= 4096


@pytest.mark.parametrize("rest", ["tags/list", "manifests/image-sha256", f"referrers/{SHA}"])
def test_ns_chooses_the_upstream_and_is_said_in_the_answer(
    places: dict[str, Place], rest: str
) -> None:
    cache = places["api"].cache
    got = cache.get(f"/v2/{REPOSITORY}/{rest}?ns={NAMED}")
    assert (got.status, got.headers["oci-namespace"]) == (200, NAMED)
    assert "oci-namespace" not in cache.get(f"/v2/{REPOSITORY}/{rest}").headers


def test_ns_chooses_the_upstream_of_a_blob(places: dict[str, Place]) -> None:
    place = places["api"]
    digest, body = next(iter(place.made["image-sha512"].blobs.items()))
    got = place.cache.get(f"/v2/{REPOSITORY}/blobs/{digest}?ns={NAMED}")
    assert (got.status, got.body, got.headers["oci-namespace"]) == (200, body, NAMED)


def test_an_unknown_ns_is_404(place: Place) -> None:
    got = place.cache.get(f"/v2/{REPOSITORY}/manifests/image-sha256?ns=unknown.example")
    assert (got.status, json.loads(got.body)["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
