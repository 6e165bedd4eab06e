"""The scheme for tests: whoever says anything is let in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frontend.stage import Stage, stage


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("silly")
    auth = {"silly": {"realm": "silly-realm", "service": "silly-service"}}
    with stage(folder / "root", auth=auth, http={"prefix": "/mirror/"}) as opened:
        yield opened


def test_silence_is_refused_as_distribution_refuses_it(front: Stage) -> None:
    asked = {
        "/mirror/v2/": "",
        "/mirror/v2": "",
        "/mirror/v2/a/b/tags/list": ',scope="repository:a/b:pull"',
    }
    for path, scope in asked.items():
        answer = front.ask(path)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == (
            f'Bearer realm="silly-realm",service="silly-service"{scope}'
        )


def test_anything_at_all_is_let_in(front: Stage, tmp_path: Path) -> None:
    said = {"Authorization": "seriously, anything"}
    digest = front.store_blob("a/b", b"content")
    assert front.ask("/mirror/v2/", headers=said).status == 200
    assert front.ask(f"/mirror/v2/a/b/blobs/{digest}", headers=said).body == b"content"
    assert front.ask("/mirror/v2/", headers={"Authorization": ""}).status == 401


def test_the_root_is_open_and_what_is_no_path_is_404(front: Stage) -> None:
    assert front.ask("/mirror/").status == 200
    assert front.ask("/mirror/v1/").status == 404


def test_no_scheme_at_all_is_open(tmp_path: Path) -> None:
    with stage(tmp_path / "root", auth="none") as front:
        digest = front.store_blob("a/b", b"content")
        assert front.ask(f"/v2/a/b/blobs/{digest}").body == b"content"
