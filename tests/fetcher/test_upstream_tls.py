"""TLS: verified, with one's own authorities, or not at all where that is configured."""

from pathlib import Path

import pytest

from fetcher.upstream import Upstream, UpstreamSettings
from tests.fetcher.certificates import certificate
from tests.fetcher.client import BLOB, failure, fetched, upstream
from tests.fetcher.recording import Reply, Seen, serving


def whole(_: Seen) -> Reply:
    return Reply(body=BLOB)


def test_an_unknown_authority_is_refused_for_good(tmp_path: Path) -> None:
    _, context = certificate(tmp_path)
    with serving(whole, context) as server, upstream(server.url) as client:
        error = failure(client)
        assert (error.status, error.retryable) == (502, False)
        assert "certificate is not trusted" in str(error)
        assert server.seen == []


def test_a_configured_authority_is_trusted(tmp_path: Path) -> None:
    cafile, context = certificate(tmp_path)
    with serving(whole, context) as server, upstream(server.url, cafile=str(cafile)) as client:
        assert fetched(client) == BLOB


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    cafile, context = certificate(tmp_path, "subjectAltName=DNS:other.test")
    with serving(whole, context) as server, upstream(server.url, cafile=str(cafile)) as client:
        assert not failure(client).retryable


def test_insecure_takes_any_certificate_from_the_upstream(tmp_path: Path) -> None:
    _, context = certificate(tmp_path, "subjectAltName=DNS:other.test")
    with serving(whole, context) as server, upstream(server.url, insecure=True) as client:
        assert fetched(client) == BLOB


def test_insecure_does_not_extend_to_other_hosts(tmp_path: Path) -> None:
    _, context = certificate(tmp_path)
    with serving(whole, context) as cdn:
        target = Reply(307, headers={"Location": f"https://localhost:{cdn.port}/"})
        with serving(lambda _: target) as registry, upstream(registry.url, insecure=True) as client:
            assert "certificate is not trusted" in str(failure(client))


def test_plain_http_behind_an_https_url_is_a_passing_error() -> None:
    with serving(whole) as server, upstream(server.url.replace("http:", "https:")) as client:
        error = failure(client)
        assert (error.status, error.retryable) == (502, True)


def test_a_missing_file_of_authorities_is_found_at_once(tmp_path: Path) -> None:
    settings = UpstreamSettings(name="", remoteurl="https://a.test", cafile=str(tmp_path / "no"))
    with pytest.raises(OSError, match="No such file"):
        Upstream(settings)


@pytest.mark.parametrize("url", ["", "registry.test", "ftp://a.test", "https://u:p@a.test"])
def test_an_upstream_that_is_no_plain_url_is_found_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Upstream(UpstreamSettings(name="", remoteurl=url))


@pytest.mark.parametrize("entry", ["", "https://a.test", "a.test/token", "a b", "a:port"])
def test_a_realm_host_that_is_none_is_found_at_once(entry: str) -> None:
    settings = UpstreamSettings(name="", remoteurl="https://a.test", realmhosts=(entry,))
    with pytest.raises(ValueError, match=r"URL|[Pp]ort|host"):
        Upstream(settings)


def test_the_password_is_not_in_the_settings_repr() -> None:
    settings = UpstreamSettings(name="", remoteurl="https://a.test", password="topsecret")
    assert "topsecret" not in repr(settings)
