"""Where a fetcher can be made to connect: to what is configured, and no further inwards."""

import json
import socket
from pathlib import Path
from urllib.parse import quote

import pytest

from common.broker.embedded.broker import EmbeddedBroker
from common.broker.opening import open_broker
from common.digest import Digest
from common.errors import UpstreamError
from common.messages import Queue
from fetcher.settings import UpstreamSettings
from fetcher.transport import Transport
from tests.fetcher.certificates import certificate
from tests.fetcher.client import BLOB, DIGEST, failure, upstream
from tests.fetcher.recording import Reply, Seen, serving
from tests.parts.counting import Upstream as Registry
from tests.parts.folders import names_below
from tests.security.hostile import attacker
from tests.system.cluster import cluster
from tests.waiting import until

REPOSITORY = "library/app"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.0.1:8080/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[fd00::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://167772161/",
        "http://0x0a000001/",
        "http://224.0.0.1/",
    ],
)
def test_cve_2026_2376_a_redirect_into_networks_around_us_is_refused(target: str) -> None:
    def registry(_: Seen) -> Reply:
        return Reply(307, headers={"Location": target})

    with serving(registry) as server, upstream(server.url) as client:
        error = failure(client)
        assert not error.retryable
        assert "refused to connect" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::1]"])
def test_ghsa_g2rq_jv54_wcpr_a_public_registry_leads_to_no_service_of_this_machine(
    host: str,
) -> None:
    with attacker() as inside:
        transport = Transport(UpstreamSettings(name="", remoteurl="https://8.8.8.8"))
        with pytest.raises(UpstreamError, match="leads to loopback addresses"):
            transport.send("GET", f"http://{host}:{inside.port}/", {})
        transport.close()
        assert inside.seen == []


def test_ghsa_g2rq_jv54_wcpr_a_second_hop_is_judged_as_the_first() -> None:
    with serving(lambda _: Reply(307, headers={"Location": "http://10.0.0.1/"})) as storage:

        def registry(_: Seen) -> Reply:
            return Reply(307, headers={"Location": storage.url})

        with serving(registry) as server, upstream(server.url) as client:
            assert "refused to connect" in str(failure(client))
        assert len(storage.seen) == 1


def test_a_name_is_resolved_once_and_the_judged_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the second answer for the name would be the loopback."""
    plain = socket.getaddrinfo
    asked: list[str] = []

    def rebinding(host: str, port: int, *args: object, **facts: object) -> object:
        if host != "rebound.example":
            return plain(host, port, *args, **facts)  # type: ignore[arg-type]
        asked.append(host)
        # TEST-NET-1 leads nowhere, and is not public: RFC 5737.
        return plain("127.0.0.1" if len(asked) > 1 else "203.0.113.1", port, *args, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with attacker() as inside:
        settings = UpstreamSettings(
            name="", remoteurl="https://8.8.8.8", connect_timeout=0.2, read_timeout=0.5
        )
        transport = Transport(settings)
        with pytest.raises(UpstreamError):
            transport.send("GET", f"http://rebound.example:{inside.port}/", {})
        transport.close()
        assert len(asked) == 1
        assert inside.seen == []


def test_https_never_leads_to_http(tmp_path: Path) -> None:
    cafile, context = certificate(tmp_path)
    with attacker() as plain:

        def registry(_: Seen) -> Reply:
            return Reply(307, headers={"Location": plain.url})

        with (
            serving(registry, context) as server,
            upstream(server.url, cafile=str(cafile)) as client,
        ):
            assert not failure(client).retryable
        assert plain.seen == []


def test_cve_2020_15157_foreign_urls_of_layers_are_never_asked(tmp_path: Path) -> None:
    """The same as GHSA-qvqc-4c52-x6qp: a manifest says where else a layer is to be had."""
    foreign = Digest.of(b"a layer of somebody else's")
    with attacker() as elsewhere, Registry() as registry:
        config = registry.add_blob(REPOSITORY, b"{}")
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor("application/vnd.oci.image.config.v1+json", config, 2),
            "layers": [
                {
                    **descriptor(
                        "application/vnd.oci.image.layer.nondistributable.v1.tar", foreign, 26
                    ),
                    "urls": [f"{elsewhere.url}/layer"],
                }
            ],
        }
        body = json.dumps(manifest).encode()
        registry.add_manifest(REPOSITORY, "v1", body, MANIFEST_TYPE)
        with cluster(tmp_path / "cache", registry.url) as cache:
            assert cache.get(f"/v2/{REPOSITORY}/manifests/v1").body == body
            assert cache.blob(REPOSITORY, foreign).status == 404
            assert registry.seen(f"*/blobs/{foreign}")
        assert elsewhere.seen == []


def descriptor(media_type: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def test_ghsa_chwm_m7g7_685g_a_message_cannot_name_an_address(tmp_path: Path) -> None:
    with attacker() as elsewhere, Registry() as registry:
        kept = registry.add_blob(REPOSITORY, BLOB)
        with cluster(tmp_path / "cache", registry.url) as cache:
            broker = open_broker(f"sqlite://{cache.root}/entrepot/queue/queue.sqlite", name="test")
            host = f"127.0.0.1:{elsewhere.port}"
            try:
                for number, message in enumerate(forged(host, elsewhere.url)):
                    put_raw(broker, f"forged {number}", message)
                assert cache.blob(REPOSITORY, kept).status == 200
                until(lambda: broker.depth(Queue.INTERACTIVE) == 0, 20)
            finally:
                broker.close()
            below = names_below(tmp_path)
        assert elsewhere.seen == []
        assert not below & {"evil", "outside"}


def forged(host: str, url: str) -> list[dict[str, object]]:
    """What somebody who can write to the queue would try."""
    plain = {"type": "fetch-blob", "v": 1, "digest": DIGEST, "request_id": ""}
    return [
        {**plain, "source": {"upstream": host, "repository": REPOSITORY}},
        {**plain, "source": {"upstream": url, "repository": REPOSITORY}},
        {**plain, "source": {"upstream": "", "repository": f"../../{host}/{REPOSITORY}"}},
        {**plain, "source": {"upstream": "..", "repository": "outside/evil"}},
        {**plain, "source": {"upstream": "", "repository": "../../../outside"}},
        {**plain, "remoteurl": url, "source": {"upstream": "", "repository": "evil"}},
        {**plain, "source": {"upstream": "", "repository": "x"}, "digest": "sha256:../../evil"},
        {
            "type": "resolve-tag",
            "v": 1,
            "tag": "../../evil",
            "source": {"upstream": "", "repository": REPOSITORY},
        },
    ]


def put_raw(broker: object, key: str, message: dict[str, object]) -> None:
    assert isinstance(broker, EmbeddedBroker)
    body = json.dumps(message).encode()
    broker._scribe.submit(lambda ledger: ledger.put(Queue.INTERACTIVE, key, body, 0)).result(10)
    broker._post.send("work", b"work")


def test_nora_1188_a_name_has_one_upstream_and_ns_is_no_address(tmp_path: Path) -> None:
    """nora's issue 1188: what one upstream does not have must not be looked for at another."""
    with attacker() as elsewhere, Registry() as public, Registry() as private:
        public.add_blob("org/app", BLOB)
        public.add_blob("private.example/org/app", BLOB)
        host = f"127.0.0.1:{elsewhere.port}"
        proxy = {"upstreams": [{"name": "private.example", "remoteurl": private.url}]}
        with cluster(tmp_path / "cache", public.url, proxy=proxy) as cache:
            assert cache.blob("private.example/org/app", DIGEST).status == 404
            assert cache.get(f"/v2/org/app/blobs/{DIGEST}?ns=private.example").status == 404
            assert public.seen() == []
            assert private.seen(f"/v2/org/app/blobs/{DIGEST}")
            for namespace in (host, f"http://{host}", f"{host}/v2/x", f"../{host}"):
                path = f"/v2/org/app/blobs/{DIGEST}?ns={quote(namespace)}"
                assert cache.get(path).status == 404
        assert elsewhere.seen == []
