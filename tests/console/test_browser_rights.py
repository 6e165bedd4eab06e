"""Who may do what at the console, seen in a browser."""

import base64
import http.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import bcrypt
import pytest
from playwright.sync_api import Page, expect

from common.reference import RepositoryName
from common.tags import Tags
from tests.common.insight.store import Store
from tests.console.house import ACCOUNT, House, house
from tests.parts.process import free_port

Open = Callable[..., Page]


def holding(folder: Path, **debug: Any) -> AbstractContextManager[House]:
    """A console and no more, and an image of library/app that it may evict."""
    Store(folder / "root").add_image("library/app", "1", [b"layer" * 1000])
    return house(folder, "console", **debug)


def is_there(built: House) -> bool:
    return Tags(built.layout).names(RepositoryName("library/app")) == ["1"]


def get(built: House, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(built.debug, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def post(built: House, path: str, fields: dict[str, str], **headers: str) -> int:
    connection = http.client.HTTPConnection(built.debug, timeout=20)
    try:
        connection.request("POST", path, urlencode(fields), headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One that asks who is there."""
    folder = tmp_path_factory.mktemp("asking")
    user, password = ACCOUNT
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    (folder / "users").write_text(f"{user}:{hashed}\n")
    with holding(folder, console={"htpasswd": str(folder / "users")}) as built:
        yield built


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One at the loopback that asks nobody."""
    with holding(tmp_path_factory.mktemp("plain")) as built:
        yield built


def test_who_has_an_account_looks_and_changes_things_in_its_name(
    asking: House, open_page: Open
) -> None:
    user, password = ACCOUNT
    page = open_page(asking.url, http_credentials={"username": user, "password": password})
    page.goto("/")
    expect(page.locator(".badge")).to_have_text(user)
    expect(page.locator("#live")).to_have_text("live")
    page.goto("/cached/library/app:1")
    page.get_by_role("link", name="Evict…").click()
    page.get_by_role("button", name="Evict").click()
    expect(page.get_by_text("Evicted.")).to_be_visible()
    assert not is_there(asking)
    (told,) = asking.events("evicted at the console")
    assert told["who"] == user
    assert password not in asking.log()


def test_who_has_none_sees_nothing(asking: House) -> None:
    for path in ("/", "/cached", "/queue", "/events?of=verify", "/static/x/console.css"):
        assert get(asking, path) == 401
    for account in ("ada:wrong", "nobody:lovelace", "ada"):
        encoded = base64.b64encode(account.encode()).decode()
        assert get(asking, "/", Authorization=f"Basic {encoded}") == 401
    assert get(asking, "/", Authorization="Basic ***") == 401
    assert get(asking, "/", Authorization="Bearer lovelace") == 401
    assert get(asking, "/debug/ready") == 200


def test_beyond_the_loopback_one_may_look_and_is_told_why_not_more(
    tmp_path: Path, open_page: Open
) -> None:
    # An address that is the loopback's, in a form that is not known to be: so nothing listens to
    # other machines here, and the console has to think that it does.
    port = free_port()
    with holding(tmp_path, addr=f"127.1:{port}") as built:
        page = open_page(built.url)
        page.goto("/cached/library/app")
        expect(page.locator(".badge")).to_have_text("read-only")
        page.get_by_role("link", name="Evict…").click()
        expect(page.get_by_role("status")).to_contain_text("Set http.debug.console.htpasswd")
        expect(page.get_by_role("button", name="Evict")).to_have_count(0)
        expect(page.get_by_role("link", name="Cancel")).to_have_count(0)
        for path in ("/evict", "/verify", "/queue/retry", "/queue/drop", "/verify/stop"):
            assert post(built, path, {"target": "library/app", "id": "all"}) == 403
        assert is_there(built)


def test_a_cache_that_is_read_only_for_maintenance_has_a_console_that_is(
    tmp_path: Path, open_page: Open
) -> None:
    with holding(tmp_path, maintenance={"readonly": {"enabled": True}}) as built:
        page = open_page(built.url)
        page.goto("/verify?target=library/app")
        expect(page.get_by_role("status")).to_contain_text("read-only for maintenance")
        expect(page.get_by_role("button", name="Verify")).to_have_count(0)


def test_a_form_of_another_page_does_nothing(plain: House, open_page: Open) -> None:
    page = open_page(plain.url)
    page.goto("/evict?target=library/app")
    token = page.locator("input[name=token]").get_attribute("value") or ""
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())
    fields = {"target": "library/app", "token": token}
    own = {"Cookie": cookie, "Origin": plain.url, "Sec-Fetch-Site": "same-origin"}
    for wrong in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Cookie": ""},
    ):
        assert post(plain, "/evict", fields, **{**own, **wrong}) == 403
    assert post(plain, "/evict", {"target": "library/app"}, **own) == 403
    assert post(plain, "/evict", {**fields, "token": "0" * 64}, **own) == 403
    assert get(plain, f"/evict?{urlencode(fields)}", **own) == 200
    assert is_there(plain)
    assert post(plain, "/evict", fields, **own) == 303
    assert not is_there(plain)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("10.0.0.1", 421),
        ("localhost", 200),
        ("localhost:80", 200),
        ("127.0.0.1", 200),
        ("[::1]:5001", 200),
    ],
)
def test_a_page_elsewhere_cannot_have_its_own_name_lead_here(
    plain: House, host: str, status: int
) -> None:
    assert get(plain, "/", Host=host) == status
