"""The sections `health`, `notifications`, `storage.maintenance`, `http.debug`, and `log`'s rest."""

from collections.abc import Callable
from typing import Any

import pytest

from common.config import Config, show
from tests.common.configuring import MINIMAL, config, loaded, problem, problems

SECRET = "hush-hush"

# distribution's documentation, section by section.
HEALTH = """\
health:
  storagedriver:
    enabled: true
    interval: 20s
    threshold: 3
  file:
    - file: /path/to/checked/file
      interval: 10s
  http:
    - uri: http://server.to.check/must/return/200
      headers:
        Authorization: [Basic hush-hush]
      statuscode: 204
      timeout: 3s
      interval: 10s
      threshold: 3
  tcp:
    - addr: redis-server.domain.com:6379
      timeout: 3s
      interval: 10s
      threshold: 3
"""
NOTIFICATIONS = """\
notifications:
  events:
    includereferences: true
  endpoints:
    - name: alistener
      disabled: false
      url: https://me:hush-hush@my.listener.com/event?token=hush-hush
      headers: {Authorization: [Bearer hush-hush]}
      timeout: 500ms
      threshold: 5
      backoff: 2s
      ignoredmediatypes: [application/octet-stream]
      ignore:
        mediatypes: [application/json]
        actions: [push]
"""
MAINTENANCE = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: /srv/cache
  maintenance:
    uploadpurging: {enabled: true, age: 48h, interval: 12h, dryrun: true}
    readonly: {enabled: true}
proxy:
  remoteurl: https://registry-1.docker.io
"""


def test_the_documented_health_section_is_read_without_a_word() -> None:
    found = loaded(MINIMAL + HEALTH)
    health = found.config.health
    assert found.warnings == ()
    assert (health.storagedriver.enabled, health.storagedriver.interval) == (True, 20.0)
    assert health.storagedriver.threshold == 3
    assert [check.file for check in health.file] == ["/path/to/checked/file"]
    (http,) = health.http
    assert http.uri.reveal() == "http://server.to.check/must/return/200"
    assert (http.statuscode, http.timeout, http.interval, http.threshold) == (204, 3.0, 10.0, 3)
    assert http.headers["Authorization"][0].reveal() == "Basic hush-hush"
    assert health.tcp[0].addr == "redis-server.domain.com:6379"


def test_the_documented_notifications_section_is_read_without_a_word() -> None:
    found = loaded(MINIMAL + NOTIFICATIONS)
    assert found.warnings == ()
    assert found.config.notifications.events.includereferences
    (endpoint,) = found.config.notifications.active
    assert endpoint.url.reveal() == "https://me:hush-hush@my.listener.com/event?token=hush-hush"
    assert endpoint.url.host == "my.listener.com"
    assert (endpoint.timeout, endpoint.threshold, endpoint.backoff) == (0.5, 5, 2.0)
    assert endpoint.ignoredmediatypes == ["application/octet-stream"]
    assert endpoint.ignore.actions == ["push"]


def test_what_they_leave_out_is_as_in_distribution() -> None:
    text = (
        "health: {storagedriver: {enabled: true}, http: [{uri: 'http://a'}]}\n"
        "notifications: {endpoints: [{name: a, url: 'http://a'}]}\n"
    )
    found = config(MINIMAL + text)
    assert (found.health.storagedriver.interval, found.health.http[0].statuscode) == (10.0, 200)
    (endpoint,) = found.notifications.endpoints
    assert (endpoint.timeout, endpoint.threshold, endpoint.backoff) == (1.0, 10, 1.0)
    assert not config().health.checks_something
    assert config().notifications.active == []


def test_a_disabled_endpoint_needs_nothing_and_is_told_nothing() -> None:
    text = "notifications: {endpoints: [{name: a, disabled: true}]}\n"
    assert config(MINIMAL + text).notifications.active == []


def test_maintenance_is_read() -> None:
    found = loaded(MAINTENANCE)
    purging = found.config.maintenance.uploadpurging
    assert found.warnings == ()
    assert found.config.maintenance.readonly.enabled
    assert (purging.enabled, purging.age, purging.interval) == (True, 172_800.0, 43_200.0)
    assert purging.dryrun


def test_uploads_are_purged_after_a_week_when_nothing_is_written() -> None:
    maintenance = config().maintenance
    purging = maintenance.uploadpurging
    assert not maintenance.readonly.enabled
    assert (purging.enabled, purging.age, purging.interval) == (True, 604_800.0, 86_400.0)
    assert not purging.dryrun


@pytest.mark.parametrize("text", [MINIMAL + HEALTH.replace("hush", "x"), MAINTENANCE])
def test_what_is_shown_of_it_amounts_to_the_same(text: str) -> None:
    shown = show(config(text)).replace("'***'", "Basic x-x")
    assert config(shown) == config(text)


def test_its_secrets_are_in_no_repr_and_not_shown() -> None:
    text = MINIMAL + HEALTH + NOTIFICATIONS
    assert SECRET not in f"{loaded(text)!r} {show(config(text))}"
    assert "url: https://***@my.listener.com/event?***\n" in show(config(text))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("health: {file: [{interval: 10s}]}", "health.file.0.file: expected what to check"),
        ("health: {http: [{statuscode: 200}]}", "health.http.0.uri: expected what to check"),
        ("health: {http: [{uri: 'ftp://a'}]}", "health.http.0.uri: expected an address"),
        ("health: {http: [{uri: '/path'}]}", "health.http.0.uri: expected an address"),
        ("health: {tcp: [{addr: a}]}", "health.tcp.0.addr: expected host:port"),
        (
            "health: {http: [{uri: 'http://a', headers: {'X A': [b]}}]}",
            "health.http.0.headers.X A: expected the name of a header",
        ),
        (
            'health: {http: [{uri: "http://a", headers: {X-A: ["b\\r\\nC: d"]}}]}',
            "health.http.0.headers.X-A.0: expected a header's value",
        ),
        ("health: {tcp: [{addr: 'a:1', threshold: -1}]}", "health.tcp.0.threshold: expected a who"),
        ("notifications: {endpoints: [{name: a}]}", "notifications.endpoints.0.url: expected wh"),
        (
            "notifications: {endpoints: [{name: a, url: a}]}",
            "notifications.endpoints.0.url: expected an address",
        ),
        ("http: {debug: {addr: '5001'}}", "http.debug.addr: expected host:port"),
        ("log: {formatter: xml}", "log.formatter: expected one of text, json, logstash"),
        ("log: {fields: {request_id: x}}", "log.fields.request_id: expected another name"),
    ],
)
def test_what_is_wrong_in_it_is_named(written: str, shown: str) -> None:
    assert problem(f"{MINIMAL}{written}\n").startswith(f"config.yml:7: {shown}")


def test_what_is_checked_twice_is_named_twice() -> None:
    text = f"{MINIMAL}health: {{tcp: [{{addr: 'a:1'}}, {{addr: 'a:1'}}]}}\n"
    assert [found.key for found in problems(text)] == ["health.tcp.0.addr", "health.tcp.1.addr"]


def test_a_file_checks_threshold_is_answered_as_distribution_treats_it() -> None:
    found = loaded(f"{MINIMAL}health: {{file: [{{file: /x, threshold: 3}}]}}\n")
    assert [warning.split(": ")[1] for warning in found.warnings] == ["health.file.0.threshold"]


_OVERRIDES: list[tuple[str, str, Callable[[Config], Any], Any]] = [
    ("HEALTH_STORAGEDRIVER_ENABLED", "true", lambda c: c.health.storagedriver.enabled, True),
    ("HEALTH_HTTPCHECKERS_0_URI", "http://a", lambda c: c.health.http[0].uri.reveal(), "http://a"),
    ("HEALTH_FILECHECKERS_0_FILE", "/a", lambda c: c.health.file[0].file, "/a"),
    ("HEALTH_TCPCHECKERS", "[{addr: 'a:1'}]", lambda c: c.health.tcp[0].addr, "a:1"),
    (
        "NOTIFICATIONS_ENDPOINTS_0_URL",
        "http://a",
        lambda c: c.notifications.active[0].url.reveal(),
        "http://a",
    ),
    (
        "NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES",
        "true",
        lambda c: c.notifications.events.includereferences,
        True,
    ),
    (
        "STORAGE_MAINTENANCE_READONLY_ENABLED",
        "true",
        lambda c: c.maintenance.readonly.enabled,
        True,
    ),
    (
        "STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED",
        "false",
        lambda c: c.maintenance.uploadpurging.enabled,
        False,
    ),
    ("STORAGE_MAINTENANCE", "{readonly: {enabled: true}}", lambda c: c.maintenance.readonly, True),
    ("HTTP_DEBUG_PROMETHEUS_ENABLED", "true", lambda c: c.http.debug.prometheus.enabled, True),
    ("HTTP_DEBUG_PROMETHEUS_PATH", "/m", lambda c: c.http.debug.prometheus.path, "/m"),
    ("HTTP_DEBUG_PROMETHEUS_FOLDER", "/f", lambda c: c.http.debug.prometheus.folder, "/f"),
    ("HTTP_DEBUG_ADDR", "localhost:5001", lambda c: c.http.debug.listen, ("localhost", 5001)),
    ("LOG_FORMATTER", "logstash", lambda c: c.log.formatter, "logstash"),
]


@pytest.mark.parametrize(("name", "value", "read", "expected"), _OVERRIDES)
def test_variables_are_named_as_in_go(
    name: str, value: str, read: Callable[[Config], Any], expected: Any
) -> None:
    found = loaded(MINIMAL, {f"REGISTRY_{name}": value})
    assert found.warnings == ()
    assert getattr(read(found.config), "enabled", read(found.config)) == expected
