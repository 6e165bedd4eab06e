import re
from dataclasses import replace
from email.message import Message
from http import HTTPStatus
from pathlib import Path

import pytest

from common.config import Config
from entrepot.console.rights import FIELD, Doorkeeper, is_loopback
from entrepot.console.web import Refusal, Request
from tests.console.counter import PEER, configured


def asked(**headers: str) -> Request:
    message = Message()
    for name, value in {"Host": "localhost:5001", **headers}.items():
        message[name.replace("_", "-")] = value
    return Request("POST", "/evict", {}, message, {}, PEER)


def at(config: Config, addr: str) -> Config:
    return replace(config, http=replace(config.http, debug=replace(config.http.debug, addr=addr)))


def may_change(config: Config) -> bool:
    """Whether a visitor may who shows all that a page of the console would have given."""
    door = Doorkeeper(config)
    visitor = door.admit(asked())
    cookie = f"entrepot-console={visitor.session}"
    request = replace(asked(Cookie=cookie), form={FIELD: visitor.token})
    again = door.admit(request)
    assert (again.session, again.token) == (visitor.session, visitor.token)
    if not again.barred:
        door.check_change(request, again)
        return True
    with pytest.raises(Refusal, match=re.escape(again.barred)) as refused:
        door.check_change(request, again)
    assert refused.value.status == HTTPStatus.FORBIDDEN
    return False


@pytest.mark.parametrize(
    ("addr", "is_local"),
    [
        ("localhost:5001", True),
        ("127.0.0.1:5001", True),
        ("127.9.9.9:5001", True),
        ("[::1]:5001", True),
        (":5001", False),
        ("0.0.0.0:5001", False),
        ("[::]:5001", False),
        ("10.0.0.1:5001", False),
        ("localhost.example:5001", False),
        ("127.1:5001", False),
    ],
)
def test_only_at_the_loopback_things_may_be_changed_without_an_account(
    tmp_path: Path, addr: str, is_local: bool
) -> None:
    config = at(configured(tmp_path), addr)
    assert is_loopback(config.http.debug) == is_local
    assert may_change(config) == is_local


def test_nobody_changes_anything_during_maintenance(tmp_path: Path) -> None:
    config = configured(tmp_path)
    readonly = replace(config.maintenance.readonly, enabled=True)
    frozen = replace(config, maintenance=replace(config.maintenance, readonly=readonly))
    assert (may_change(config), may_change(frozen)) == (True, False)


def test_a_token_is_good_for_its_session_and_its_process(tmp_path: Path) -> None:
    config = configured(tmp_path)
    door = Doorkeeper(config)
    one, other = door.admit(asked()), door.admit(asked())
    assert one.session != other.session
    for keeper, session in ((door, other.session), (Doorkeeper(config), one.session)):
        request = replace(asked(Cookie=f"entrepot-console={session}"), form={FIELD: one.token})
        with pytest.raises(Refusal):
            keeper.check_change(request, keeper.admit(request))


@pytest.mark.parametrize("cookie", ["", "entrepot-console=", "entrepot-console=<b>", "a=b;;=;\x00"])
def test_a_session_that_is_not_of_our_making_is_none(tmp_path: Path, cookie: str) -> None:
    visitor = Doorkeeper(configured(tmp_path)).admit(asked(Cookie=cookie))
    assert len(visitor.session) == 22
    assert visitor.session.replace("-", "").replace("_", "").isalnum()
