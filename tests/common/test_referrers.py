"""Lists of referrers on a real folder."""

import json
from pathlib import Path

from common.digest import Digest
from common.mediatypes import OCI_INDEX
from common.paths import Layout
from common.reference import RepositoryName
from common.referrers import ReferrerLists, index_of

NAME = RepositoryName("org/app")
SUBJECT = Digest.of(b"subject")
DESCRIPTORS = [{"mediaType": "a/b", "digest": Digest.of(b"1"), "annotations": {"ü": "\ud800"}}]


def test_a_list_is_kept_in_the_form_that_clients_are_given(tmp_path: Path) -> None:
    lists = ReferrerLists(Layout(str(tmp_path)))
    assert lists.read(NAME, SUBJECT) is None
    lists.write(NAME, SUBJECT, DESCRIPTORS)
    listed = lists.read(NAME, SUBJECT)
    assert listed is not None
    assert json.loads(listed.index) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": DESCRIPTORS,
    }


def test_a_list_is_of_one_subject_of_one_repository(tmp_path: Path) -> None:
    lists = ReferrerLists(Layout(str(tmp_path)))
    lists.write(NAME, SUBJECT, DESCRIPTORS)
    assert lists.read(RepositoryName("org/other"), SUBJECT) is None
    assert lists.read(NAME, Digest.of(b"subject", "sha512")) is None


def test_a_list_can_be_forgotten_twice(tmp_path: Path) -> None:
    lists = ReferrerLists(Layout(str(tmp_path)))
    lists.write(NAME, SUBJECT, [])
    for _ in range(2):
        lists.forget(NAME, SUBJECT)
        assert lists.read(NAME, SUBJECT) is None


def test_an_index_of_nothing_is_one() -> None:
    assert json.loads(index_of([]))["manifests"] == []
