"""Paths, compared with distribution's own layout."""

from hypothesis import given
from hypothesis import strategies as st

from common.digest import Digest
from common.messages import Kind
from common.paths import Layout, name_hash
from common.reference import RepositoryName, Tag

_LAYOUT = Layout("/storage")
_DIGEST = Digest("sha256:ab" + "c" * 62)
_HEX = "ab" + "c" * 62
_REPOSITORY = RepositoryName("org/app")
_TAG = Tag("v1")


def test_blobs_lie_where_distribution_has_them() -> None:
    folder = f"/storage/docker/registry/v2/blobs/sha256/ab/{_HEX}"
    assert _LAYOUT.blob_folder(_DIGEST) == folder
    assert _LAYOUT.blob(_DIGEST) == f"{folder}/data"


def test_links_lie_where_distribution_has_them() -> None:
    repository = "/storage/docker/registry/v2/repositories/org/app"
    assert (
        _LAYOUT.link(Kind.LAYER, _REPOSITORY, _DIGEST) == f"{repository}/_layers/sha256/{_HEX}/link"
    )
    assert (
        _LAYOUT.link(Kind.MANIFEST, _REPOSITORY, _DIGEST)
        == f"{repository}/_manifests/revisions/sha256/{_HEX}/link"
    )


def test_tags_lie_where_distribution_has_them() -> None:
    tag = "/storage/docker/registry/v2/repositories/org/app/_manifests/tags/v1"
    assert _LAYOUT.tag_current(_REPOSITORY, _TAG) == f"{tag}/current/link"
    assert _LAYOUT.tag_index(_REPOSITORY, _TAG, _DIGEST) == f"{tag}/index/sha256/{_HEX}/link"


def test_files_of_our_own_lie_outside_the_registrys_tree() -> None:
    ours = [
        _LAYOUT.fill(_DIGEST),
        _LAYOUT.claim("key"),
        _LAYOUT.references(_DIGEST),
        _LAYOUT.reference(Kind.LAYER, _REPOSITORY, _DIGEST),
        _LAYOUT.tag_list(_REPOSITORY),
        _LAYOUT.referrer_list(_REPOSITORY, _DIGEST),
        _LAYOUT.trash,
        _LAYOUT.temporary,
        _LAYOUT.adopted,
    ]
    assert all(path.startswith("/storage/entrepot/") for path in ours)
    assert len(set(ours)) == len(ours)


def test_two_kinds_of_link_to_one_blob_have_two_references() -> None:
    paths = {_LAYOUT.reference(kind, _REPOSITORY, _DIGEST) for kind in Kind}
    assert len(paths) == len(Kind)


@given(st.text())
def test_a_hashed_name_fits_into_a_file_name(text: str) -> None:
    assert len(name_hash(text)) == 40
    assert name_hash(text).isalnum()


@given(
    name=st.from_regex(
        r"[a-z0-9]{1,9}([._-][a-z0-9]{1,9}){0,2}(/[a-z0-9]{1,9}){0,3}", fullmatch=True
    ),
    content=st.binary(),
)
def test_every_path_stays_below_the_root(name: str, content: bytes) -> None:
    repository, digest = RepositoryName(name), Digest.of(content)
    paths = [
        *(_LAYOUT.link(kind, repository, digest) for kind in Kind),
        *(_LAYOUT.reference(kind, repository, digest) for kind in Kind),
        _LAYOUT.blob(digest),
        _LAYOUT.tag_index(repository, _TAG, digest),
    ]
    for path in paths:
        assert path.startswith("/storage/")
        assert not {"", ".", ".."} & set(path[1:].split("/"))
