import base64
import os
from http import HTTPStatus
from pathlib import Path

import bcrypt
import pytest

from entrepot.console.accounts import Accounts
from entrepot.console.web import Refusal
from frontend.auth.hashing import is_of


def basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def write(file: Path, **passwords: str) -> None:
    """A file of accounts, newer than the one before."""
    lines = [
        f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
        for name, password in passwords.items()
    ]
    new = file.with_name("new")
    new.write_text("".join(lines))
    os.replace(new, file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "users", ada="lovelace")
    return tmp_path / "users"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that bcrypt was asked about."""
    seen: list[bytes] = []

    def count(password: bytes, hashed: bytes) -> bool:
        seen.append(password)
        return is_of(password, hashed)

    monkeypatch.setattr("entrepot.console.accounts.is_of", count)
    return seen


def refused(accounts: Accounts, authorization: str, peer: str = "10.0.0.1") -> Refusal:
    with pytest.raises(Refusal) as caught:
        accounts.name_of(authorization, peer)
    return caught.value


def test_a_right_password_is_compared_once_for_a_while(file: Path, compared: list[bytes]) -> None:
    accounts = Accounts(str(file))
    for _ in range(5):
        assert accounts.name_of(basic("ada", "lovelace"), "10.0.0.1") == "ada"
    assert compared == [b"lovelace"]


def test_who_has_no_account_is_asked_for_one_and_not_told_which_part_was_wrong(file: Path) -> None:
    accounts = Accounts(str(file))
    told = {refused(accounts, basic(*each)).text for each in [("ada", "x"), ("eve", "lovelace")]}
    assert len(told) == 1
    refusal = refused(accounts, "")
    assert refusal.status == HTTPStatus.UNAUTHORIZED
    assert refusal.headers["WWW-Authenticate"].startswith('Basic realm="entrepot console"')


def test_who_is_taken_out_of_the_file_is_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontend.auth.passwords._LOOK_EVERY", 0.0)
    accounts = Accounts(str(file))
    assert accounts.name_of(basic("ada", "lovelace"), "") == "ada"
    write(file, grace="hopper")
    assert refused(accounts, basic("ada", "lovelace")).status == HTTPStatus.UNAUTHORIZED
    assert accounts.name_of(basic("grace", "hopper"), "") == "grace"
    file.unlink()
    assert refused(accounts, basic("grace", "hopper")).status == HTTPStatus.SERVICE_UNAVAILABLE


def test_who_guesses_is_slowed_down_and_nobody_else(file: Path, compared: list[bytes]) -> None:
    accounts = Accounts(str(file))
    statuses = [refused(accounts, basic("ada", f"{guess}")).status for guess in range(20)]
    assert statuses[:10] == [HTTPStatus.UNAUTHORIZED] * 10
    # One more is looked at each second.
    assert HTTPStatus.TOO_MANY_REQUESTS in statuses[10:]
    assert len(compared) < 20
    assert accounts.name_of(basic("ada", "lovelace"), "10.0.0.2") == "ada"
