"""OCI distribution-spec, "Pull": manifests, blobs, and whether they exist.

Everything twice: when nothing of it is here, and when it is.
"""

import pytest

from common.digest import Digest
from tests.conformance.conftest import Place
from tests.conformance.contents import ALGORITHMS, TAGS

TWICE = ("from the upstream", "from storage")


@pytest.mark.parametrize("tag", TAGS)
def test_a_manifest_by_tag_is_what_was_pushed(place: Place, tag: str) -> None:
    made = place.made[tag]
    media_type, body = made.manifests[made.root]
    for _ in TWICE:
        got = place.get(f"manifests/{tag}")
        assert (got.status, got.body) == (200, body)
        assert got.headers["content-type"] == media_type
        assert got.headers["docker-content-digest"] == made.root


@pytest.mark.parametrize("tag", TAGS)
def test_every_manifest_by_digest_is_what_was_pushed(place: Place, tag: str) -> None:
    for digest, (media_type, body) in place.made[tag].manifests.items():
        for _ in TWICE:
            got = place.get(f"manifests/{digest}")
            assert (got.status, got.body) == (200, body)
            assert got.headers["content-type"] == media_type
            assert got.headers["docker-content-digest"] == digest


@pytest.mark.parametrize("tag", TAGS)
def test_every_blob_is_what_was_pushed(place: Place, tag: str) -> None:
    for digest, body in place.made[tag].blobs.items():
        for _ in TWICE:
            got = place.get(f"blobs/{digest}")
            assert (got.status, got.body, got.cut) == (200, body, False)
            assert got.headers["docker-content-digest"] == digest
            assert got.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("tag", TAGS)
def test_head_tells_that_manifests_exist_their_digest_and_size(place: Place, tag: str) -> None:
    made = place.made[tag]
    references = [tag, *made.manifests]
    for reference in references:
        digest = made.root if reference == tag else Digest(reference)
        got = place.get(f"manifests/{reference}", "HEAD")
        assert (got.status, got.body) == (200, b"")
        assert got.headers["docker-content-digest"] == digest
        assert got.headers["content-length"] == str(len(made.manifests[digest][1]))


@pytest.mark.parametrize("tag", TAGS)
def test_head_tells_that_blobs_exist_their_digest_and_size(place: Place, tag: str) -> None:
    for digest, body in place.made[tag].blobs.items():
        got = place.get(f"blobs/{digest}", "HEAD")
        assert (got.status, got.body) == (200, b"")
        assert got.headers["docker-content-digest"] == digest
        assert got.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_what_is_not_in_the_repository_is_404(
    place: Place, kind: str, algorithm: str, method: str
) -> None:
    for _ in TWICE:
        got = place.get(f"{kind}/{Digest.of(b'nobody has this', algorithm)}", method)
        assert got.status == 404
        code = b"BLOB_UNKNOWN" if kind == "blobs" else b"MANIFEST_UNKNOWN"
        assert method == "HEAD" or code in got.body


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_tag_that_is_not_there_is_404(place: Place, method: str) -> None:
    assert place.get("manifests/missing-tag", method).status == 404


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_what_another_repository_has_is_404(place: Place, kind: str) -> None:
    made = place.made["image-sha256"]
    digest = made.root if kind == "manifests" else next(iter(made.blobs))
    assert place.get(f"{kind}/{digest}").status == 200
    other = place.name.replace("repo1", "repo2")
    assert place.cache.get(f"/v2/{other}/{kind}/{digest}").status == 404


@pytest.mark.parametrize(
    "reference",
    [
        "sha256:baddigeststring",
        "sha256:" + "0" * 63,
        "sha512:" + "0" * 64,
        "md5:" + "0" * 32,
        ".tag",
        "-tag",
        "t" * 129,
        "a b",
    ],
)
def test_what_is_neither_tag_nor_digest_is_not_found_or_bad(place: Place, reference: str) -> None:
    assert place.get(f"manifests/{reference.replace(' ', '%20')}").status in {400, 404}


@pytest.mark.parametrize("name", ["UPPER/case", "a//b", "a/../b", "-a/b", "a_/b", "a/b:c"])
def test_what_is_no_name_is_refused(place: Place, name: str) -> None:
    assert place.cache.get(f"/v2/{name}/manifests/latest").status in {400, 404}


@pytest.mark.parametrize(
    ("asked", "part", "said"),
    [
        ("bytes=0-3", slice(0, 4), "bytes 0-3/{size}"),
        ("bytes=4-", slice(4, None), "bytes 4-{last}/{size}"),
        ("bytes=-3", slice(-3, None), "bytes {from_end}-{last}/{size}"),
    ],
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_range_of_a_blob_is_that_part(
    place: Place, algorithm: str, asked: str, part: slice, said: str
) -> None:
    made = place.made[f"no-layers-{algorithm}"]
    for digest, body in made.blobs.items():
        size = len(body)
        if size < 4:
            continue
        got = place.get(f"blobs/{digest}", Range=asked)
        assert (got.status, got.body) == (206, body[part])
        expected = said.format(size=size, last=size - 1, from_end=size - 3)
        assert got.headers["content-range"] == expected


def test_a_range_beyond_a_blob_is_416(place: Place) -> None:
    digest, body = next(iter(place.made["image-sha256"].blobs.items()))
    got = place.get(f"blobs/{digest}", Range=f"bytes={len(body)}-")
    assert (got.status, got.headers["content-range"]) == (416, f"bytes */{len(body)}")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_layer_that_is_elsewhere_is_404_and_nobody_goes_there(
    place: Place, algorithm: str
) -> None:
    """Its `urls` are the client's to follow, if it will; entrepot asks the upstream alone."""
    made = place.made[f"nondistributable-{algorithm}"]
    (absent,) = made.absent
    place.get(f"manifests/{made.tag}")
    assert place.get(f"blobs/{absent}").status == 404
    asked = [exchange.status for exchange in place.upstream.seen(f"*/blobs/{absent}")]
    assert asked
    assert set(asked) == {404}
    assert place.elsewhere.seen() == []
