"""`REGISTRY_…` variables, by distribution's rules."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import Config
from common.config.model import Exec
from common.errors import ConfigError
from tests.common.configuring import MINIMAL, config, loaded, problem

TWO = MINIMAL + (
    "  upstreams:\n"
    "    - {name: a.example, remoteurl: 'https://a.example', username: u}\n"
    "    - {name: b.example, remoteurl: 'https://b.example'}\n"
)


def _names(found: Config) -> list[str]:
    return list(found.proxy.upstreams)


@pytest.mark.parametrize(
    ("environ", "read", "expected"),
    [
        ({"REGISTRY_LOG_LEVEL": "debug"}, lambda c: c.log.level, "debug"),
        ({"REGISTRY_LOGLEVEL": "error"}, lambda c: c.log.level, "error"),
        ({"REGISTRY_LOG_ACCESSLOG_DISABLED": "false"}, lambda c: c.log.accesslog_disabled, False),
        ({"REGISTRY_LOG_FIELDS": "{a: b}"}, lambda c: c.log.fields, {"a": "b"}),
        ({"REGISTRY_LOG_FIELDS_HOST": "x1"}, lambda c: c.log.fields, {"host": "x1"}),
        ({"REGISTRY_HTTP_ADDR": ":5001"}, lambda c: c.http.addr, ":5001"),
        ({"REGISTRY_HTTP_HEADERS": "{X-A: [b, c]}"}, lambda c: c.http.headers, {"X-A": ["b", "c"]}),
        ({"REGISTRY_HTTP_HEADERS_X-A": "[b]"}, lambda c: c.http.headers, {"x-a": ["b"]}),
        ({"REGISTRY_HTTP_DRAINTIMEOUT": "1m"}, lambda c: c.http.draintimeout, 60.0),
        ({"REGISTRY_HTTP": "{addr: ':1'}"}, lambda c: c.http.addr, ":1"),
        ({"REGISTRY_TAGS_MAXTAGS": "5"}, lambda c: c.tags.maxtags, 5),
        ({"REGISTRY_PROXY_TTL": "0"}, lambda c: c.proxy.upstreams[""].ttl, None),
        ({"REGISTRY_PROXY_TTL": ""}, lambda c: c.proxy.upstreams[""].ttl, 604_800.0),
        ({"REGISTRY_PROXY_TAGTTL": "5s"}, lambda c: c.proxy.upstreams[""].tagttl, 5.0),
        (
            {"REGISTRY_PROXY_PASSWORD": "0123"},
            lambda c: c.proxy.upstreams[""].password.reveal(),
            "0123",
        ),
        (
            {"REGISTRY_PROXY_PASSWORD": "yes"},
            lambda c: c.proxy.upstreams[""].password.reveal(),
            "yes",
        ),
        (
            {"REGISTRY_PROXY_PASSWORD": "'#a: b'"},
            lambda c: c.proxy.upstreams[""].password.reveal(),
            "#a: b",
        ),
        (
            {"REGISTRY_PROXY_REALMHOSTS": "[a.example, b.example]"},
            lambda c: c.proxy.upstreams[""].realmhosts,
            ("a.example", "b.example"),
        ),
        (
            {"REGISTRY_PROXY_REALMHOSTS_0": "a.example"},
            lambda c: c.proxy.upstreams[""].realmhosts,
            ("a.example",),
        ),
        (
            {"REGISTRY_PROXY_EXEC_COMMAND": "helper", "REGISTRY_PROXY_EXEC_LIFETIME": "12h"},
            lambda c: c.proxy.upstreams[""].exec,
            Exec("helper", 43_200.0),
        ),
        (
            {"REGISTRY_PROXY_PASSWORDFILE": "/run/secrets/password"},
            lambda c: c.proxy.upstreams[""].passwordfile,
            "/run/secrets/password",
        ),
        ({"REGISTRY_QUEUE_URL": "amqp://h"}, lambda c: c.queue.url, "amqp://h"),
        ({"REGISTRY_FETCHER_SLOTS": "3"}, lambda c: c.fetcher.slots, 3),
        ({"REGISTRY_JANITOR_GRACE": "0s"}, lambda c: c.janitor.grace, 0.0),
        (
            {"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/x"},
            lambda c: c.storage.rootdirectory,
            "/x",
        ),
    ],
)
def test_a_variable_sets_what_its_name_says(
    environ: Mapping[str, str], read: Callable[[Config], Any], expected: Any
) -> None:
    assert read(config(MINIMAL, environ)) == expected


@pytest.mark.parametrize("value", ["filesystem", "{filesystem: }", "{filesystem: {}}"])
def test_a_section_is_replaced_before_keys_in_it_are_set(value: str) -> None:
    text = MINIMAL.replace("  filesystem:\n", "  delete: {enabled: true}\n  filesystem:\n")
    found = loaded(text, {"REGISTRY_STORAGE": value})
    assert (found.config.storage.rootdirectory, found.warnings) == ("/var/lib/registry", ())
    # The order is that of the names, not that of the environment.
    environ = {"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/x", "REGISTRY_STORAGE": value}
    assert config(text, environ).storage.rootdirectory == "/x"


def test_a_replaced_section_forgets_what_the_file_said() -> None:
    text = MINIMAL + "http: {addr: ':1', prefix: /a}\n"
    http = config(text, {"REGISTRY_HTTP": "{addr: ':2'}"}).http
    assert (http.addr, http.prefix) == (":2", "")


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"REGISTRY_PROXY_UPSTREAMS_1_NAME": "c.example"}, ["", "a.example", "c.example"]),
        (
            {
                "REGISTRY_PROXY_UPSTREAMS_2_NAME": "c.example",
                "REGISTRY_PROXY_UPSTREAMS_2_REMOTEURL": "https://c.example",
            },
            ["", "a.example", "b.example", "c.example"],
        ),
        (
            {"REGISTRY_PROXY_UPSTREAMS_0": "{name: d.example, remoteurl: 'https://d.example'}"},
            ["", "d.example", "b.example"],
        ),
        ({"REGISTRY_PROXY_UPSTREAMS": "[]"}, [""]),
    ],
)
def test_lists_are_changed_and_lengthened_by_index(
    environ: Mapping[str, str], names: list[str]
) -> None:
    assert _names(config(TWO, environ)) == names


def test_an_element_that_is_changed_keeps_its_other_keys() -> None:
    found = config(TWO, {"REGISTRY_PROXY_UPSTREAMS_0_PASSWORD": "p"}).proxy.upstreams["a.example"]
    assert (found.username, found.password.reveal()) == ("u", "p")


@pytest.mark.parametrize("index", ["3", "x", "-1", ""])
def test_an_index_beyond_the_end_is_an_error(index: str) -> None:
    name = f"REGISTRY_PROXY_UPSTREAMS_{index}_NAME"
    shown = problem(TWO, {name: "c.example"})
    assert shown.startswith(f"{name}: proxy.upstreams.{index}: expected an index from 0 to 2")


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("REGISTRY_PROXY_TLL", "no such setting; did you mean REGISTRY_PROXY_TTL?"),
        ("REGISTRY_PROXI_TTL", "no such setting; did you mean REGISTRY_PROXY_TTL?"),
        ("REGISTRY_DUCKS", "no such setting"),
        ("REGISTRY_PORT_5000_TCP_ADDR", "no such setting"),
        ("REGISTRY_http_addr", "no such setting"),
        ("REGISTRY_HTTP_addr", "no such setting"),
        ("REGISTRY_", "no such setting"),
        ("REGISTRY_HTTP_ADDR_PORT", "http.addr is a single value, there is nothing below it"),
        ("REGISTRY_VERSION", "the version is the file's"),
        ("REGISTRY_AUTH_FILE", "it names the accounts of podman and skopeo"),
        ("REGISTRY_LOG_FIELDS_SERVICE_NAME", "log.fields.service is a single value"),
        (
            "REGISTRY_HEALTH_HTTP_0_URI",
            "no such setting; did you mean REGISTRY_HEALTH_HTTPCHECKERS",
        ),
    ],
)
def test_a_variable_without_effect_is_warned_about_by_name_alone(name: str, warned: str) -> None:
    text = MINIMAL + "log: {fields: {service: x}}\n"
    found = loaded(text, {name: "hush-hush"})
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(f"{name}: ignored: {warned}")
    assert "hush" not in found.warnings[0]
    assert found.config == config(text)


@pytest.mark.parametrize(
    ("name", "value", "section"),
    [
        ("REGISTRY_LOG_HOOKS_0_MAILOPTIONS_FROM", "a", "log.hooks"),
        ("REGISTRY_REDIS_ADDRS", "[a]", "redis"),
        ("REGISTRY_REDIS_OPTIONS_PASSWORD", "a", "redis"),
        ("REGISTRY_REDIS_POOL_MAXIDLE", "3", "redis"),
        ("REGISTRY_COMPATIBILITY_SCHEMA1_TRUSTKEY", "/a", "compatibility"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true", "storage.delete"),
        ("REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR", "inmemory", "storage.cache"),
    ],
)
def test_fields_are_named_as_in_go(name: str, value: str, section: str) -> None:
    warning = loaded(MINIMAL, {name: value}).warnings
    assert len(warning) == 1
    assert warning[0].startswith(f"{name}: {section}: not used")


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        (
            {"REGISTRY_AUTH": "silly", "REGISTRY_AUTH_SILLY_REALM": "r"},
            "REGISTRY_AUTH_SILLY_REALM: auth.silly.service: expected a value",
        ),
        (
            {"REGISTRY_AUTH_HTPASSWD_REALM": "r"},
            "REGISTRY_AUTH_HTPASSWD_REALM: auth.htpasswd.path: expected a value",
        ),
        (
            {"REGISTRY_PROXY_EXEC_COMMAND": "'"},
            "REGISTRY_PROXY_EXEC_COMMAND: proxy.exec.command: expected YAML",
        ),
        ({"REGISTRY_HTTP_TLS_KEY": "k"}, "REGISTRY_HTTP_TLS_KEY: http.tls.certificate: "),
        ({"REGISTRY_STORAGE": "s3"}, "REGISTRY_STORAGE: storage.s3: refused: "),
        ({"REGISTRY_STORAGE_S3_BUCKET": "b"}, "REGISTRY_STORAGE_S3_BUCKET: storage.s3: refused: "),
        ({"REGISTRY_STORAGE_FOO": "{}"}, "REGISTRY_STORAGE_FOO: storage.foo: unknown key"),
        (
            {"REGISTRY_STORAGE_FILESYSTEM_ROOT": "/x"},
            "REGISTRY_STORAGE_FILESYSTEM_ROOT: storage.filesystem.root: unknown key; expected one",
        ),
        ({"REGISTRY_STORAGE": ""}, "REGISTRY_STORAGE: storage: expected filesystem"),
        ({"REGISTRY_STORAGE_FILESYSTEM": "x"}, "REGISTRY_STORAGE_FILESYSTEM: storage.filesystem: "),
        ({"REGISTRY_HTTP_ADDR": "["}, "REGISTRY_HTTP_ADDR: http.addr: expected YAML, found "),
        ({"REGISTRY_LOG_LEVEL": "derp"}, "REGISTRY_LOG_LEVEL: log.level: expected one of "),
    ],
)
def test_a_variable_that_is_wrong_is_named_in_place_of_the_file(
    environ: Mapping[str, str], shown: str
) -> None:
    assert problem(MINIMAL, environ).startswith(shown)


def test_a_variable_may_supply_what_the_file_lacks() -> None:
    environ = {"REGISTRY_STORAGE": "filesystem", "REGISTRY_PROXY_REMOTEURL": "https://a.example"}
    assert config("version: 0.1\n", environ).proxy.upstreams[""].remoteurl == "https://a.example"


_NAMES = st.from_regex(
    r"REGISTRY(_(PROXY|HTTP|STORAGE|UPSTREAMS|TTL|ADDR|HEADERS|[0-3]|\w))+", fullmatch=True
)


@given(st.dictionaries(_NAMES, st.text() | st.sampled_from(["{}", "[]", "1s", "{a: b}"])))
def test_whatever_variables_hold_they_load_or_are_told_what_is_wrong(
    environ: Mapping[str, str],
) -> None:
    with contextlib.suppress(ConfigError):
        loaded(TWO, environ)


def test_other_variables_are_none_of_our_business() -> None:
    environ = {"REGISTRYX_HTTP_ADDR": ":1", "registry_http_addr": ":1", "PATH": "/bin"}
    assert loaded(MINIMAL, environ) == loaded()
