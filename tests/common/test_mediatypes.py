"""What a manifest is, from its bytes alone."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.mediatypes import (
    DOCKER_LIST,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA_1,
    UNKNOWN,
    media_type_of,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({"mediaType": DOCKER_LIST, "manifests": []}, DOCKER_LIST),
        ({"schemaVersion": 2, "manifests": []}, OCI_INDEX),
        ({"schemaVersion": 2, "layers": []}, OCI_MANIFEST),
        ({"mediaType": 7, "manifests": []}, OCI_INDEX),
        ({"mediaType": "text/html", "layers": []}, OCI_MANIFEST),
        ({"mediaType": "application/x; charset=utf-8"}, OCI_MANIFEST),
        ({"mediaType": "application/x\r\nSet-Cookie: a=b"}, OCI_MANIFEST),
        ({"mediaType": "application/" + "x" * 200}, OCI_MANIFEST),
        ([], UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_type_is_stated_or_shown(manifest: Any, expected: str) -> None:
    assert media_type_of(json.dumps(manifest).encode()) == expected


@pytest.mark.parametrize("stated", [{}, *({"mediaType": each} for each in sorted(SCHEMA_1))])
def test_schema_1_is_known_for_what_it_is(stated: dict[str, str]) -> None:
    assert media_type_of(json.dumps({"schemaVersion": 1, **stated}).encode()) in SCHEMA_1


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 100_000, b"NaN"])
def test_what_is_no_manifest_is_unknown(body: bytes) -> None:
    assert media_type_of(body) == UNKNOWN


@given(st.dictionaries(st.sampled_from(["mediaType", "schemaVersion", "manifests"]), _JSON))
def test_whatever_is_in_it_a_type_is_fit_for_a_header(manifest: dict[str, Any]) -> None:
    assert re.fullmatch(r"application/[!-~]+", media_type_of(json.dumps(manifest).encode()))
