"""Pulls told to a real webhook, in distribution's envelopes."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from common.config.notifications import Endpoint
from common.config.secret import WebAddress
from frontend.notifications.outbox import Outbox
from frontend.notifications.pulls import Composer, Told, pull_of
from frontend.observing import Seen
from tests.frontend.listener import Listener, listening
from tests.frontend.stage import stage
from tests.waiting import until

CONFIG = b'{"config": true}'
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "c", "digest": "sha256:" + "1" * 64, "size": 2},
    "layers": [{"mediaType": "l", "digest": "sha256:" + "2" * 64, "size": 3}],
}
BODY = json.dumps(MANIFEST).encode()


def _section(listener: Listener, **more: Any) -> dict[str, Any]:
    endpoint = {
        "name": "hook",
        "url": listener.url,
        "headers": {"Authorization": ["Bearer hush-hush"]},
        "backoff": "50ms",
        # An answer that comes later than this has the same events sent again.
        "timeout": "20s",
        **more,
    }
    return {"endpoints": [endpoint], "events": {"includereferences": True}}


def test_a_pull_is_told_as_distribution_tells_it(tmp_path: Path) -> None:
    with (
        listening() as listener,
        stage(tmp_path / "s", notifications=_section(listener)) as on,
    ):
        blob = on.store_blob("library/app", b"x" * 1000)
        manifest = on.store_manifest("library/app", BODY, tag="1")
        agent = {"User-Agent": "docker/1", "X-Request-ID": "trace-7"}
        on.ask("/v2/library/app/manifests/1", headers=agent)
        on.ask(f"/v2/library/app/manifests/{manifest}", "HEAD")
        on.ask(f"/v2/library/app/blobs/{blob}", headers={"Range": "bytes=0-9"})
        until(lambda: len(listener.events) == 3)
    by_tag, by_digest, layer = listener.events
    host = by_tag["request"]["host"]
    assert by_tag["action"] == "pull"
    assert by_tag["target"] == {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": manifest,
        "size": len(BODY),
        "length": len(BODY),
        "repository": "library/app",
        "url": f"http://{host}/v2/library/app/manifests/{manifest}",
        "tag": "1",
        "references": [MANIFEST["config"], *MANIFEST["layers"]],  # type: ignore[misc]
    }
    assert by_tag["request"]["id"] == "trace-7"
    assert by_tag["request"]["method"] == "GET"
    assert by_tag["request"]["useragent"] == "docker/1"
    assert by_tag["request"]["addr"].startswith("127.0.0.1:")
    assert by_tag["source"]["addr"].endswith(host.rpartition(":")[2])
    assert (by_digest["request"]["method"], "tag" in by_digest["target"]) == ("HEAD", False)
    assert by_digest["source"] == by_tag["source"]
    assert layer["target"] == {
        "mediaType": "application/octet-stream",
        "digest": blob,
        "size": 1000,
        "length": 1000,
        "repository": "library/app",
        "url": f"http://{host}/v2/library/app/blobs/{blob}",
    }
    assert len({event["id"] for event in listener.events}) == 3
    envelope = listener.envelopes[0]
    assert envelope.headers["content-type"] == (
        "application/vnd.docker.distribution.events.v1+json"
    )
    assert envelope.headers["authorization"] == "Bearer hush-hush"
    assert envelope.path == "/callback?token=hush-hush"


def test_what_is_no_pull_is_not_told(tmp_path: Path) -> None:
    section_of = {"ignore": {"mediatypes": ["application/octet-stream"]}}
    with (
        listening() as listener,
        stage(tmp_path / "s", notifications=_section(listener, **section_of)) as on,
    ):
        blob = on.store_blob("library/app", b"x")
        manifest = on.store_manifest("library/app", BODY, tag="1")
        path = f"/v2/library/app/manifests/{manifest}"
        on.ask("/v2/")
        on.ask("/v2/library/app/blobs/sha256:nonsense")
        on.ask(path, headers={"If-None-Match": f'"{manifest}"'})
        on.ask(f"/v2/library/app/blobs/{blob}")
        on.ask(path, headers={"X-Request-ID": "the-only-one"})
        until(lambda: listener.events)
    assert [event["request"]["id"] for event in listener.events] == ["the-only-one"]


def test_an_endpoint_that_fails_is_tried_until_it_takes_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        listening() as listener,
        stage(tmp_path / "s", notifications=_section(listener, threshold=2)) as on,
    ):
        listener.refusals = 4
        blob = on.store_blob("library/app", b"x")
        for _ in range(3):
            on.ask(f"/v2/library/app/blobs/{blob}")
        until(lambda: len(listener.events) == 3)
    logged = capfd.readouterr().err
    assert "notifications are not taken" in logged
    assert "answered 500" in logged
    assert "notifications are taken again" in logged
    assert "hush" not in logged


def test_a_hanging_endpoint_holds_up_no_pull_and_is_told_before_the_end(tmp_path: Path) -> None:
    with listening() as listener:
        listener.hold.clear()
        with stage(tmp_path / "s", notifications=_section(listener)) as on:
            blob = on.store_blob("library/app", b"x")
            on.ask("/v2/")  # the worker has started by then
            began = time.monotonic()
            for _ in range(20):
                assert on.ask(f"/v2/library/app/blobs/{blob}").status == 200
            assert time.monotonic() - began < 15
            assert listener.events == []
            listener.hold.set()
        # The frontend has ended by now.
        assert len(listener.events) == 20


@pytest.mark.parametrize("streams", [0, 1], ids=["at once", "when streams took all the time"])
def test_what_is_lost_at_the_end_is_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], streams: int
) -> None:
    with listening() as listener, ExitStack() as opened:
        listener.refusals = 10_000
        section = _section(listener)
        http = {"draintimeout": "1s"}
        log = {"formatter": "json"}
        with stage(tmp_path / "s", notifications=section, http=http, log=log) as on:
            blob = on.store_blob("library/app", b"x")
            for _ in range(3):
                on.ask(f"/v2/library/app/blobs/{blob}")
            large = on.store_blob("library/app", bytes(64 * 1024 * 1024))
            for _ in range(streams):
                opened.callback(on.open(f"/v2/library/app/blobs/{large}").close)
            until(lambda: listener.tries > 1)
    lost = [line for line in capfd.readouterr().err.splitlines() if "notifications lost" in line]
    assert [json.loads(line)["lost"] for line in lost] == [3]


def _seen(**scope: Any) -> Seen:
    return Seen(
        {
            "method": "GET",
            "scheme": "https",
            "path": "/mirror/v2/ghcr.io/org/app/manifests/1",
            "headers": [(b"host", b"mirror.example"), (b"user-agent", b"x")],
            **scope,
        },
        status=200,
        headers=[
            (b"docker-content-digest", b"sha256:" + b"a" * 64),
            (b"content-type", b"t"),
            (b"content-length", b"7"),
        ],
        sent=7,
        whole=True,
    )


def _composer(**more: Any) -> Composer:
    settings: dict[str, Any] = {
        "stored": lambda name, namespace: f"{namespace}/{name}" if namespace else name,
        "address": "",
        "prefix": "/mirror",
        "relative": False,
        "manifest": None,
        "source": {},
        **more,
    }
    return Composer(**settings)


def test_an_events_address_is_the_one_that_clients_see() -> None:
    pull = pull_of(_seen(), "/mirror", "c")
    assert pull is not None
    tail = f"/mirror/v2/ghcr.io/org/app/manifests/sha256:{'a' * 64}"
    assert _composer().event(pull)["target"]["url"] == f"https://mirror.example{tail}"
    seen_as = _composer(address="https://other.example").event(pull)
    assert seen_as["target"]["url"] == f"https://other.example{tail}"
    assert _composer(relative=True).event(pull)["target"]["url"] == tail


def test_a_repository_chosen_by_ns_is_told_by_the_name_it_is_stored_under() -> None:
    seen = _seen(path="/mirror/v2/org/app/manifests/1")
    seen.headers = [*seen.headers, (b"oci-namespace", b"ghcr.io")]
    pull = pull_of(seen, "/mirror", "c")
    assert pull is not None
    target = _composer().event(pull)["target"]
    assert target["repository"] == "ghcr.io/org/app"
    assert target["url"].endswith("?ns=ghcr.io")


def test_who_is_known_is_the_actor_and_nobody_is_nobody() -> None:
    known, unknown = pull_of(_seen(**{"entrepot.user": "ada"}), "", "c"), pull_of(_seen(), "", "c")
    assert known is None
    assert unknown is None
    known = pull_of(_seen(**{"entrepot.user": "ada"}), "/mirror", "c")
    unknown = pull_of(_seen(), "/mirror", "c")
    assert known is not None
    assert unknown is not None
    assert _composer().event(known)["actor"] == {"name": "ada"}
    assert _composer().event(unknown)["actor"] == {}


def test_an_answer_that_was_cut_is_no_pull() -> None:
    seen = _seen()
    seen.whole = False
    assert pull_of(seen, "/mirror", "c") is None


def test_what_there_is_no_room_for_is_counted_and_the_newest_stay() -> None:
    with listening() as listener:
        outbox = Outbox(Endpoint(url=WebAddress(listener.url), timeout=5.0), most=5)
        pull = pull_of(_seen(), "/mirror", "c")
        assert pull is not None
        told = [Told(pull, _composer()) for _ in range(12)]
        for each in told:
            outbox.put(each)
        assert (outbox.waiting, outbox.lost) == (5, 7)
        outbox.start()
        outbox.close(5.0)
    kept = [each.event()["id"] for each in told[7:]]
    assert [event["id"] for event in listener.events] == kept
    assert (outbox.delivered, outbox.lost, outbox.waiting) == (5, 7, 0)


def test_every_event_is_delivered_or_counted_while_the_line_overflows() -> None:
    with listening() as listener:
        listener.hold.clear()
        outbox = Outbox(Endpoint(url=WebAddress(listener.url), timeout=20.0), most=5)
        outbox.start()
        pull = pull_of(_seen(), "/mirror", "c")
        assert pull is not None
        told = [Told(pull, _composer()) for _ in range(100)]
        for each in told:
            outbox.put(each)
        listener.hold.set()
        outbox.close(10.0)
    assert outbox.delivered + outbox.lost == 100
    assert outbox.delivered == len(listener.events) >= 5


def test_what_cannot_be_composed_is_lost_and_the_rest_told() -> None:
    def broken(_digest: str) -> bytes:
        raise ZeroDivisionError

    with listening() as listener:
        outbox = Outbox(Endpoint(url=WebAddress(listener.url), timeout=5.0))
        pull = pull_of(_seen(), "/mirror", "c")
        assert pull is not None
        outbox.put(Told(pull, _composer(manifest=broken)))
        outbox.start()
        until(lambda: outbox.lost == 1)
        outbox.put(Told(pull, _composer()))
        outbox.close(5.0)
    assert (outbox.delivered, outbox.lost, len(listener.events)) == (1, 1, 1)
