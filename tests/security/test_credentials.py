"""Who is given our credentials: the configured registry, and nobody it points at."""

import json
from pathlib import Path

import pytest

from common.errors import UpstreamError
from tests.fetcher.certificates import certificate
from tests.fetcher.client import BLOB, REPOSITORY, failure, fetched, upstream
from tests.fetcher.recording import Reply, Seen, serving
from tests.security.hostile import ACCOUNT, attacker, bearer, secrets_sent_to, wants_basic


@pytest.mark.parametrize(
    "realm",
    [
        "http://{attacker}/token",
        "http://{attacker}/token?service=x",
        "http://localhost:{port}/token",
        "http://registry.example@{attacker}/token",
        "http://{attacker}\\@127.0.0.1/token",
        "//{attacker}/token",
        "HTTP://{attacker}/token",
    ],
)
def test_cve_2026_33540_a_realm_elsewhere_gets_no_credentials(realm: str) -> None:
    with attacker() as thief:
        wanted = realm.format(attacker=f"127.0.0.1:{thief.port}", port=thief.port)
        with (
            serving(lambda _: bearer(wanted)) as registry,
            upstream(registry.url, **ACCOUNT) as client,
        ):
            assert not failure(client).retryable
        assert thief.seen == []


def test_cve_2026_33540_a_realm_never_steps_down_from_https_to_http(tmp_path: Path) -> None:
    cafile, context = certificate(tmp_path)
    with attacker() as thief:
        # Named as allowed, so that it is the step down alone that is refused.
        host = f"127.0.0.1:{thief.port}"
        with (
            serving(lambda _: bearer(f"http://{host}/token"), context) as registry,
            upstream(registry.url, cafile=str(cafile), realmhosts=(host,), **ACCOUNT) as client,
        ):
            assert not failure(client).retryable
        assert thief.seen == []


def test_cve_2026_33540_a_token_server_cannot_send_the_credentials_on() -> None:
    with attacker() as thief:

        def registry(seen: Seen) -> Reply:
            if seen.path == "/token":
                return Reply(307, headers={"Location": f"{thief.url}/token"})
            return bearer(f"{server.url}/token")

        with serving(registry) as server, upstream(server.url, **ACCOUNT) as client:
            failure(client)
            assert secrets_sent_to(server)
        assert thief.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_ghsa_vh4v_2xq2_g5cg_authorization_does_not_follow_a_redirect(status: int) -> None:
    with attacker() as thief:

        def registry(seen: Seen) -> Reply:
            moved = Reply(status, headers={"Location": f"{thief.url}/blob"})
            return wants_basic(seen) or moved

        with serving(registry) as server, upstream(server.url, **ACCOUNT) as client:
            fetched(client)
            assert secrets_sent_to(server)
        assert len(thief.seen) == 1
        assert "authorization" not in thief.seen[0].headers
        assert secrets_sent_to(thief) == []


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_ghsa_vh4v_2xq2_g5cg_the_challenge_of_a_redirects_target_is_not_met(scheme: str) -> None:
    def storage(_: Seen) -> Reply:
        # The realm would be allowed: it is the registry's own host.
        return Reply(401, headers={"WWW-Authenticate": f'{scheme} realm="{server.url}/token"'})

    with serving(storage) as thief:

        def registry(_: Seen) -> Reply:
            return Reply(307, headers={"Location": f"{thief.url}/blob"})

        with serving(registry) as server, upstream(server.url, **ACCOUNT) as client:
            failure(client)
            # Nor are the credentials shown at home because a stranger asks for them.
            assert secrets_sent_to(server) == []
            assert len(server.seen) == 1
        assert len(thief.seen) == 1
        assert secrets_sent_to(thief) == []


def test_ghsa_vh4v_2xq2_g5cg_authorization_is_not_taken_up_again_on_a_way_back() -> None:
    with serving(lambda _: Reply(307, headers={"Location": f"{server.url}/back"})) as thief:

        def registry(seen: Seen) -> Reply:
            if seen.path == "/back":
                return Reply(body=BLOB)
            return wants_basic(seen) or Reply(307, headers={"Location": thief.url})

        with serving(registry) as server, upstream(server.url, **ACCOUNT) as client:
            assert fetched(client) == BLOB
            assert "authorization" not in server.asked("/back")[0].headers


def test_a_list_of_tags_is_not_followed_to_another_host() -> None:
    with attacker() as thief:

        def registry(seen: Seen) -> Reply:
            link = {"Link": f'<{thief.url}/v2/library/alpine/tags/list?last=a>; rel="next"'}
            page = json.dumps({"tags": ["a"]}).encode()
            return wants_basic(seen) or Reply(200, page, link)

        with (
            serving(registry) as server,
            upstream(server.url, **ACCOUNT) as client,
            pytest.raises(UpstreamError, match="refused a next page"),
        ):
            client.tags(REPOSITORY)
        assert thief.seen == []


def test_netrc_and_proxies_of_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with attacker() as thief:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, thief.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with serving(lambda _: Reply(body=BLOB)) as server, upstream(server.url) as client:
            assert fetched(client) == BLOB
            assert all("authorization" not in seen.headers for seen in server.seen)
        assert thief.seen == []


def test_cookies_are_not_kept() -> None:
    def registry(_: Seen) -> Reply:
        return Reply(200, BLOB, {"Set-Cookie": "session=1; Path=/"})

    with serving(registry) as server, upstream(server.url) as client:
        fetched(client)
        fetched(client)
        assert all("cookie" not in seen.headers for seen in server.seen)
