"""`auth` and `http.tls`: distribution's own samples, and what is wrong or doubtful."""

import pytest

from common.config import show
from tests.common.configuring import MINIMAL, config, loaded, problem, problems

# The samples of distribution's documentation ("Configuring a registry": auth, http.tls).
SILLY = """\
auth:
  silly:
    realm: silly-realm
    service: silly-service
"""
TOKEN = """\
auth:
  token:
    realm: token-realm
    service: token-service
    issuer: registry-token-issuer
    rootcertbundle: /etc/certs/bundle
    jwks: /path/to/jwks
    signingalgorithms:
        - EdDSA
        - HS256
        - ES512
"""
HTPASSWD = """\
auth:
  htpasswd:
    realm: basic-realm
    path: /path/to/htpasswd
"""
TLS = """\
http:
  addr: localhost:5000
  tls:
    certificate: /path/to/x509/public
    key: /path/to/x509/private
    clientcas:
      - /path/to/ca.pem
      - /path/to/another/ca.pem
    clientauth: require-and-verify-client-cert
    minimumtls: tls1.2
    ciphersuites:
      - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
      - TLS_AES_128_GCM_SHA256
"""


def tls(**settings: object) -> str:
    """A file whose `http.tls` says this."""
    return MINIMAL + f"http: {{tls: {settings}}}\n"


PAIR = {"certificate": "/c", "key": "/k"}


def test_the_sample_with_tokens_loads() -> None:
    found = config(MINIMAL + TOKEN).auth.token
    assert found is not None
    assert (found.realm, found.service) == ("token-realm", "token-service")
    assert found.issuer == "registry-token-issuer"
    assert (found.rootcertbundle, found.jwks) == ("/etc/certs/bundle", "/path/to/jwks")
    assert found.signingalgorithms == ["EdDSA", "HS256", "ES512"]
    assert "HS algorithm" in loaded(MINIMAL + TOKEN).warnings[0]


def test_the_sample_with_passwords_loads() -> None:
    found = config(MINIMAL + HTPASSWD).auth.htpasswd
    assert found is not None
    assert (found.realm, found.path) == ("basic-realm", "/path/to/htpasswd")


def test_the_silly_sample_loads_with_a_warning() -> None:
    found = config(MINIMAL + SILLY).auth.silly
    assert found is not None
    assert (found.realm, found.service) == ("silly-realm", "silly-service")
    assert "for tests only" in loaded(MINIMAL + SILLY).warnings[0]


def test_the_sample_with_tls_loads() -> None:
    found = config(MINIMAL + TLS).http.tls
    assert (found.certificate, found.key) == ("/path/to/x509/public", "/path/to/x509/private")
    assert found.clientcas == ("/path/to/ca.pem", "/path/to/another/ca.pem")
    assert (found.clientauth, found.minimumtls) == ("require-and-verify-client-cert", "tls1.2")
    assert found.ciphers == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert loaded(MINIMAL + TLS).warnings == ()


def test_variables_make_a_scheme() -> None:
    environ = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "Registry Realm",
        "REGISTRY_AUTH_HTPASSWD_PATH": "/auth/htpasswd",
        "REGISTRY_HTTP_TLS_CERTIFICATE": "/certs/domain.crt",
        "REGISTRY_HTTP_TLS_KEY": "/certs/domain.key",
    }
    found = loaded(MINIMAL, environ)
    assert found.config.auth.htpasswd is not None
    assert found.config.auth.htpasswd.path == "/auth/htpasswd"
    assert found.config.http.tls.certificate == "/certs/domain.crt"
    assert found.warnings == ()


@pytest.mark.parametrize("text", [SILLY, TOKEN, HTPASSWD, TLS, HTPASSWD + TLS])
def test_what_is_shown_amounts_to_the_same(text: str) -> None:
    before = config(MINIMAL + text)
    assert config(show(before)) == before


@pytest.mark.parametrize("text", ["auth: none", "auth: {none: {}}", "auth: {}", "auth:"])
def test_none_lets_everybody_in(text: str) -> None:
    assert loaded(f"{MINIMAL}{text}\n") == loaded(MINIMAL)


def test_only_one_scheme_may_be_chosen() -> None:
    both = HTPASSWD + SILLY.removeprefix("auth:\n")
    assert problem(MINIMAL + both) == (
        "config.yml:7: auth: expected one of htpasswd, token, silly, not several"
    )


@pytest.mark.parametrize(
    ("written", "missing"),
    [
        ("auth: htpasswd", {"auth.htpasswd.realm", "auth.htpasswd.path"}),
        ("auth: {silly: }", {"auth.silly.realm", "auth.silly.service"}),
        (
            "auth: token",
            {f"auth.token.{key}" for key in ("realm", "service", "issuer", "rootcertbundle")},
        ),
        (
            "auth: {token: {autoredirect: true, jwks: /j, issuer: i, service: s, realm: }}",
            set(),
        ),
        ("auth: {htpasswd: {realm: r, path: [/p]}}", {"auth.htpasswd.path"}),
        ('auth: {htpasswd: {realm: "a\\nb", path: /p}}', {"auth.htpasswd.realm"}),
        ("auth: {ldap: {}}", {"auth.ldap"}),
        ("auth: {htpasswd: {realm: r, file: /p}}", {"auth.htpasswd.file", "auth.htpasswd.path"}),
        (
            "auth: {token: {realm: r, jwks: /j, issuer: i, service: s, signingalgorithms: [none]}}",
            {"auth.token.signingalgorithms.0"},
        ),
    ],
)
def test_what_a_scheme_lacks_is_named(written: str, missing: set[str]) -> None:
    text = f"{MINIMAL}{written}\n"
    if not missing:
        assert config(text).auth.token is not None
    else:
        assert {found.key for found in problems(text)} == missing


def test_a_redirected_realm_has_distributions_path() -> None:
    text = MINIMAL + TOKEN.replace("realm: token-realm", "autoredirect: true")
    found = config(text).auth.token
    assert found is not None
    assert found.autoredirectpath == "/auth/token"


@pytest.mark.parametrize(
    ("http", "is_warned"),
    [
        ("", True),
        ("http: {net: unix, addr: /run/socket}\n", False),
        ("http: {tls: {certificate: /c, key: /k}}\n", False),
    ],
)
def test_passwords_in_the_open_are_warned_about(http: str, is_warned: bool) -> None:
    warnings = loaded(MINIMAL + HTPASSWD + http).warnings
    assert any("unencrypted" in warning for warning in warnings) == is_warned


def test_tls_begins_with_1_2_and_clients_must_show_a_certificate() -> None:
    assert config(tls(**PAIR)).http.tls.minimumtls == "tls1.2"
    asked = config(tls(**PAIR, clientcas=["/ca"])).http.tls
    assert asked.clientauth == "require-and-verify-client-cert"


def test_suites_of_1_3_alone_mean_1_3() -> None:
    found = config(tls(**PAIR, ciphersuites=["TLS_AES_128_GCM_SHA256"])).http.tls
    assert (found.minimumtls, found.ciphers) == ("tls1.3", "")


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"key": "/k"}, "http.tls.certificate"),
        ({"certificate": "/c"}, "http.tls.key"),
        ({"minimumtls": "tls1.3"}, "http.tls.certificate"),
        ({**PAIR, "clientauth": "verify-client-cert-if-given"}, "http.tls.clientcas"),
        ({**PAIR, "clientcas": ["/a"], "clientauth": "request-client-cert"}, "http.tls.clientauth"),
        ({**PAIR, "minimumtls": "tls1.0"}, "http.tls.minimumtls"),
        ({**PAIR, "ciphersuites": ["TLS_RSA_WITH_RC4_128_SHA"]}, "http.tls.ciphersuites.0"),
        ({"letsencrypt": {"email": "me@a.example"}}, "http.tls.letsencrypt"),
        ({**PAIR, "certfile": "/c"}, "http.tls.certfile"),
    ],
)
def test_what_does_not_fit_together_is_named(settings: dict[str, object], key: str) -> None:
    (found,) = problems(tls(**settings))
    assert found.key == key


def test_letsencrypt_is_answered_with_what_to_use() -> None:
    told = problem(tls(letsencrypt={"cachefile": "/c", "email": "a@b", "hosts": ["a"]}))
    assert "certbot" in told
    assert "read again when they change" in told
