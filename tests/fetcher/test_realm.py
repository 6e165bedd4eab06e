"""Which realms may be sent credentials."""

import pytest

from common.errors import UpstreamError
from fetcher.origin import Origin
from fetcher.realm import check_realm

HUB = "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("home", "realm", "realmhosts"),
    [
        (HUB, "https://auth.docker.io/token", ()),
        (HUB, "https://registry-1.docker.io/token", ()),
        (HUB, "https://AUTH.Docker.IO/token", ()),
        (HUB, "https://auth.docker.io:8443/token?a=b", ()),
        ("https://ghcr.io", "https://ghcr.io/token", ()),
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", ()),
        ("https://registry.example.co.uk", "https://auth.example.co.uk/", ()),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", ()),
        ("http://[::1]:5000", "http://[::1]:5000/token", ()),
        ("http://registry:5000", "http://registry:5000/token", ()),
        ("http://a.test", "https://a.test/token", ("a.test",)),
        (HUB, "https://login.example.com/token", ("login.example.com",)),
        (HUB, "https://login.example.com:8443/token", ("Login.example.com:8443",)),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", ("127.0.0.1:5001",)),
        ("http://[::1]:5000", "http://[::1]:5001/token", ("[::1]",)),
    ],
)
def test_a_realm_of_the_registrys_own_or_a_configured_one_is_allowed(
    home: str, realm: str, realmhosts: tuple[str, ...]
) -> None:
    check_realm(Origin.of(home), realm, realmhosts)


@pytest.mark.parametrize(
    ("home", "realm", "realmhosts"),
    [
        (HUB, "https://evil.example/token", ()),
        (HUB, "https://docker.io.evil.example/token", ()),
        (HUB, "https://evildocker.io/token", ()),
        (HUB, "http://auth.docker.io/token", ()),
        (HUB, "http://auth.docker.io/token", ("auth.docker.io",)),
        (HUB, "https://auth.docker.io@evil.example/token", ()),
        (HUB, "https://evil.example\\.docker.io/token", ()),
        (HUB, "https://evil.example#.docker.io/token", ()),
        (HUB, "https://evil.example?.docker.io/token", ()),
        (HUB, "https://127.0.0.1/token", ()),
        (HUB, "https://[::1]/token", ()),
        (HUB, "https://localhost/token", ()),
        (HUB, "//auth.docker.io/token", ()),
        (HUB, "file:///etc/passwd", ()),
        (HUB, "", ()),
        (HUB, "https://auth.d\u043ecker.io/token", ()),
        (HUB, "https://auth.docker.io:99999/token", ()),
        (HUB, "https://login.example.com/token", ("login.example.com:8443",)),
        (HUB, "https://a.login.example.com/token", ("login.example.com",)),
        ("https://a.github.io", "https://b.github.io/token", ()),
        ("https://a.co.uk", "https://b.co.uk/token", ()),
        ("https://registry.freedesktop.org", "https://gitlab.freedesktop.org/", ()),
        ("http://registry:5000", "http://token:5000/", ()),
        ("http://localhost:5000", "http://localhost:5001/", ()),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/", ()),
        ("http://127.0.0.1:5000", "http://1.0.0.1:5000/", ()),
        ("http://[::1]:5000", "http://[::1]:5001/", ()),
        ("http://10.0.1", "http://10.1.1", ()),
        ("http://a.0x7f000001", "http://b.0x7f000001", ()),
    ],
)
def test_any_other_realm_is_refused(home: str, realm: str, realmhosts: tuple[str, ...]) -> None:
    with pytest.raises(UpstreamError, match="refused") as caught:
        check_realm(Origin.of(home), realm, realmhosts)
    assert not caught.value.retryable
