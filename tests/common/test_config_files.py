"""Files: distribution's own, ours, and wrong ones."""

import contextlib
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import Document, Secret, Upstream, load
from common.config.model import Exec
from common.errors import ConfigError
from tests.common.configuring import HOME, MINIMAL, config, loaded, problem, problems

# The shape of distribution's cmd/registry/config-cache.yml, with what people set beside it.
CACHE = """\
version: 0.1
log:
  level: debug
  fields:
    service: registry
    environment: development
storage:
    cache:
        blobdescriptor: redis
    filesystem:
        rootdirectory: /var/lib/registry-cache
        maxthreads: 100
    maintenance:
        uploadpurging:
            enabled: false
    delete:
      enabled: true
    tag:
      concurrencylimit: 8
http:
    addr: :5000
    secret: asecretforlocaldevelopment
    debug:
        addr: localhost:5001
        prometheus: {enabled: true, path: /metrics}
    headers:
        X-Content-Type-Options: [nosniff]
redis:
  addrs: [localhost:6379]
  maxidleconns: 16
  connmaxidletime: 300s
notifications:
    events:
        includereferences: true
    endpoints:
        - name: local-8082
          url: http://localhost:5003/callback
          headers:
             Authorization: [Bearer abc]
          timeout: 1s
          disabled: false
proxy:
  remoteurl: https://registry-1.docker.io
  username: username
  password: 0123
  ttl: 24h
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""

# distribution's cmd/registry/config-example.yml has this shape, and htpasswd beside it.
EXAMPLE = """\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""
HTPASSWD = """\
auth:
  htpasswd:
    realm: basic-realm
    path: /etc/registry
"""
MIRROR = "proxy:\n  remoteurl: https://registry-1.docker.io\n"


def test_a_cache_configured_for_distribution_loads() -> None:
    found = config(CACHE)
    assert found.storage.rootdirectory == "/var/lib/registry-cache"
    assert (found.log.level, found.log.fields["service"]) == ("debug", "registry")
    assert found.http.listen == ("", 5000)
    assert found.http.headers == {"X-Content-Type-Options": ["nosniff"]}
    hub = found.proxy.upstreams[""]
    assert (hub.username, hub.password.reveal(), hub.ttl) == ("username", "0123", 86_400.0)


def test_what_is_not_used_of_it_is_named_with_its_line() -> None:
    warned = {warning.split(": ")[1] for warning in loaded(CACHE).warnings}
    assert warned == {
        "storage.cache",
        "storage.filesystem.maxthreads",
        "storage.delete",
        "storage.tag",
        "http.secret",
        "redis",
    }
    assert "config.yml:8: storage.cache: not used: descriptors are read from storage" in (
        loaded(CACHE).warnings
    )


def test_the_published_mirror_recipe_loads() -> None:
    assert config(EXAMPLE + MIRROR).proxy.upstreams[""].ttl == 604_800.0


def test_the_example_that_asks_for_passwords_loads() -> None:
    asking = config(EXAMPLE + HTPASSWD + MIRROR).auth.htpasswd
    assert asking is not None
    assert (asking.realm, asking.path) == ("basic-realm", "/etc/registry")


def test_an_example_without_an_upstream_is_told_what_to_write() -> None:
    assert problem(EXAMPLE) == (
        "config.yml: proxy.remoteurl: expected the registry to cache, such as"
        " https://registry-1.docker.io"
    )


def test_defaults_are_those_documented() -> None:
    found = config()
    assert (found.log.level, found.log.formatter, found.log.accesslog_disabled) == (
        "info",
        "",
        True,
    )
    assert (found.http.addr, found.http.net, found.http.draintimeout) == (":5000", "tcp", 30.0)
    assert (found.http.prefix, found.http.host, found.tags.maxtags) == ("", "", 1000)
    assert found.queue.url == "sqlite:///srv/cache/entrepot/queue/queue.sqlite"
    assert found.queue.path == "/srv/cache/entrepot/queue/queue.sqlite"
    assert found.proxy.upstreams == {
        "": Upstream(
            name="",
            remoteurl="https://registry-1.docker.io",
            username="",
            password=Secret(),
            ttl=604_800.0,
            tagttl=60.0,
            realmhosts=(),
            insecure=False,
            cafile=None,
        )
    }
    assert 1 <= found.frontend.workers <= 4
    assert (found.frontend.patience, found.frontend.connections) == (25.0, 2000)
    fetcher = found.fetcher
    assert (fetcher.processes, fetcher.slots, fetcher.attempts, fetcher.lease) == (2, 16, 5, 15.0)
    assert (fetcher.connecttimeout, fetcher.readtimeout) == (5.0, 30.0)
    assert (fetcher.minthroughput, fetcher.throughputwindow) == (1024, 60.0)
    assert (found.janitor.grace, found.janitor.sweepinterval) == (600.0, 86_400.0)


def test_an_empty_value_is_an_absent_one() -> None:
    text = MINIMAL + "log: {level: , formatter: ''}\nhttp:\nfetcher: {slots: ~}\nqueue: {url: ''}\n"
    assert config(text) == config()


def test_named_upstreams_inherit_times_but_no_account() -> None:
    upstreams = config(
        """\
        version: 0.1
        storage: filesystem
        proxy:
          remoteurl: https://registry-1.docker.io/
          username: me
          password: hush
          insecure: true
          ttl: 0
          tagttl: 5m
          upstreams:
            - name: ghcr.io
              remoteurl: https://ghcr.io
            - name: registry.example
              remoteurl: http://registry.example:5000/base/
              ttl: 1h
              tagttl: 0s
              realmhosts: [Auth.Example]
              cafile: /etc/ssl/own.pem
              username: other
              password: "null"
        """
    ).proxy.upstreams
    assert list(upstreams) == ["", "ghcr.io", "registry.example"]
    hub, github, own = upstreams.values()
    assert (hub.remoteurl, hub.ttl, hub.tagttl) == ("https://registry-1.docker.io", None, 300.0)
    assert (github.ttl, github.tagttl) == (None, 300.0)
    assert (github.username, bool(github.password), github.insecure) == ("", False, False)
    assert (own.remoteurl, own.ttl, own.tagttl) == ("http://registry.example:5000/base", 3600.0, 0)
    assert (own.realmhosts, own.cafile) == (("auth.example",), "/etc/ssl/own.pem")
    assert own.password.reveal() == "null"


def test_every_upstream_has_its_own_limits_rules_and_helper() -> None:
    upstreams = config(
        MINIMAL
        + """\
  exec: {command: ecr-login, lifetime: 12h}
  allow: [library/*]
  bandwidth: 100MB
  upstreams:
    - name: own.example
      remoteurl: https://own.example
      usernamefile: /run/secrets/user
      passwordfile: /run/secrets/password
      exec: {}
      redirecthosts: [Storage.Example]
      deny: ["team/**"]
      maxconnections: 2
    - {name: quick.example, remoteurl: https://quick.example, exec: {command: h, lifetime: 0}}
"""
    ).proxy.upstreams
    hub, own, quick = upstreams.values()
    assert (hub.exec, hub.allow, hub.deny) == (Exec("ecr-login", 43_200.0), ("library/*",), ())
    assert (hub.bandwidth, hub.maxconnections) == (100_000_000, 16)
    assert (own.exec, own.allow, own.deny) == (Exec(), (), ("team/**",))
    assert (own.bandwidth, own.maxconnections) == (0, 2)
    assert (own.usernamefile, own.passwordfile) == ("/run/secrets/user", "/run/secrets/password")
    assert (own.redirecthosts, own.realmhosts) == (("storage.example",), ())
    assert quick.exec == Exec("h", 0.0)


def test_storage_in_one_word_lies_where_distribution_puts_it() -> None:
    text = MINIMAL.replace(
        "storage:\n  filesystem:\n    rootdirectory: /srv/cache", "storage: filesystem"
    )
    assert config(text).storage.rootdirectory == "/var/lib/registry"


@pytest.mark.parametrize(
    ("written", "absolute"),
    [
        ("~/cache", f"{HOME}/cache"),
        ("'~'", HOME),
        ("/srv/../var/cache/", "/var/cache"),
        ("cache", str(Path.cwd() / "cache")),
    ],
)
def test_the_root_folder_becomes_absolute(written: str, absolute: str) -> None:
    found = loaded(MINIMAL.replace("/srv/cache", written))
    assert found.config.storage.rootdirectory == absolute
    assert any("relative" in warning for warning in found.warnings) == (written == "cache")


def test_a_home_folder_needs_home() -> None:
    assert "HOME is not set" in problem(MINIMAL.replace("/srv", "~"), {"HOME": ""})


def test_a_root_folder_with_odd_characters_still_has_its_queue_in_it() -> None:
    found = config(MINIMAL.replace("/srv/cache", "/srv/a b%20#c"))
    assert found.queue.path == "/srv/a b%20#c/entrepot/queue/queue.sqlite"


@pytest.mark.parametrize(
    ("addr", "listen"),
    [
        (":5000", ("", 5000)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:5000", ("::1", 5000)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_addresses_to_listen_on(addr: str, listen: tuple[str, int]) -> None:
    assert config(f"{MINIMAL}http: {{addr: '{addr}'}}\n").http.listen == listen


def test_a_unix_socket_is_a_path() -> None:
    assert config(MINIMAL + "http: {net: unix, addr: /run/entrepot.sock}\n").http.net == "unix"


@pytest.mark.parametrize(
    ("log", "level"),
    [
        ("loglevel: debug", "debug"),
        ("loglevel: debug\nlog: {level: error}", "error"),
        ("log: {level: WARN}", "warn"),
    ],
)
def test_the_old_loglevel_counts_where_the_new_one_is_absent(log: str, level: str) -> None:
    found = loaded(f"{MINIMAL}{log}\n")
    assert found.config.log.level == level
    assert any("deprecated" in warning for warning in found.warnings) == ("loglevel" in log)


def test_anchors_and_merge_keys_are_understood() -> None:
    text = MINIMAL + (
        "  upstreams:\n"
        "    - &one {name: a.example, remoteurl: 'https://a.example', tagttl: 1s}\n"
        "    - {<<: *one, name: b.example}\n"
    )
    found = config(text, {"REGISTRY_PROXY_UPSTREAMS_0_TAGTTL": "2s"}).proxy.upstreams
    # An override of one place does not reach the copy.
    assert [found[name].tagttl for name in ("a.example", "b.example")] == [2.0, 1.0]
    assert found["b.example"].remoteurl == "https://a.example"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http: {adr: ':1'}", "http.adr: unknown key; did you mean addr?"),
        ("prxoy: {}", "prxoy: unknown key; did you mean proxy?"),
        ("Http: {}", "Http: unknown key; did you mean http?"),
        ("tagttl: 1m", "tagttl: unknown key here; did you mean proxy.tagttl?"),
        (
            "log: {accesslog: {disable: true}}",
            "log.accesslog.disable: unknown key; did you mean disabled?",
        ),
        ("redis: {adrs: [a]}", "redis.adrs: unknown key; did you mean addrs?"),
        ("tags: {zzz: 1}", "tags.zzz: unknown key; expected one of maxtags"),
        ("http: {secret: x, foo: }", "http.foo: unknown key; expected one of addr,"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(written: str, shown: str) -> None:
    assert problem(f"{MINIMAL}{written}\n").startswith(f"config.yml:7: {shown}")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http: {draintimeout: soon}", "http.draintimeout: expected a duration"),
        ("http: {draintimeout: -1s}", "http.draintimeout: expected a duration"),
        ("http: {addr: '5000'}", "http.addr: expected host:port"),
        ("http: {addr: ':http'}", "http.addr: expected host:port"),
        ("http: {addr: ':70000'}", "http.addr: expected host:port"),
        ("http: {addr: 'u@h:5000'}", "http.addr: expected host:port"),
        ("http: {net: unix, addr: ':5000'}", "http.addr: expected the socket's absolute path"),
        ("http: {net: udp}", "http.net: expected one of tcp, unix"),
        ("http: {host: mirror:5000}", "http.host: expected an address"),
        ("http: {prefix: mirror}", "http.prefix: expected a path"),
        ("http: {headers: {X-A: b}}", "http.headers.X-A: expected a list"),
        (
            "http: {headers: {X-A: ['b\\r\\nC: d']}}".replace("'", '"'),
            "http.headers.X-A.0: expected a header's value",
        ),
        ("http: {headers: {'X A': [b]}}", "http.headers.X A: expected the name of a header"),
        ("http: [5000]", "http: expected a mapping"),
        ("http: 5000", "http: expected a mapping"),
        ("log: {level: chatty}", "log.level: expected one of error, warn, info, debug"),
        ("log: {accesslog: {disabled: maybe}}", "log.accesslog.disabled: expected true or false"),
        ("log: {fields: {level: x}}", "log.fields.level: expected another name"),
        ("log: {fields: {a: [b]}}", "log.fields.a: expected text"),
        ("tags: {maxtags: -1}", "tags.maxtags: expected a whole number, 0 or more"),
        ("tags: {maxtags: 1.5}", "tags.maxtags: expected a whole number, 0 or more"),
        ("frontend: {workers: 0}", "frontend.workers: expected a whole number, 1 or more"),
        ("frontend: {patience: 0}", "frontend.patience: expected a duration"),
        ("fetcher: {slots: {}}", "fetcher.slots: expected a whole number, 1 or more"),
        ("fetcher: {minthroughput: 10G}", "fetcher.minthroughput: expected a size"),
        ("queue: {url: redis://localhost}", "queue.url: expected amqp://"),
        ("queue: {url: 'sqlite:relative'}", "queue.url: expected amqp://"),
        ("queue: {url: 'sqlite:///'}", "queue.url: expected amqp://"),
        ("queue: {url: 'sqlite://host/path'}", "queue.url: expected amqp://"),
        ("queue: {url: 'amqp:///vhost'}", "queue.url: expected amqp://"),
        ("queue: {url: 'amqp://h:99999/'}", "queue.url: expected amqp://"),
    ],
)
def test_a_wrong_value_is_answered_with_what_was_expected(written: str, shown: str) -> None:
    assert problem(f"{MINIMAL}{written}\n").startswith(f"config.yml:7: {shown}")


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("remoteurl: ftp://x.example", "remoteurl: expected an address"),
        ("remoteurl: https://", "remoteurl: expected an address"),
        ("remoteurl: https://u:p@x.example", "remoteurl: expected an address"),
        ("remoteurl: 'https://x.example?a=b'", "remoteurl: expected an address"),
        ("remoteurl: 'https://x.example:port'", "remoteurl: expected an address"),
        ("remoteurl: 'https://x example'", "remoteurl: expected an address"),
        ("remoteurl: https://x.example/v2/", "remoteurl: expected the address without /v2"),
        ("remoteurl: https://x.example, ttl: week", "ttl: expected a duration"),
        ("remoteurl: https://x.example, tagttl: -1s", "tagttl: expected a duration"),
        ("remoteurl: https://x.example, namespaces: [a b]", "namespaces.0: expected a host name"),
        (
            "remoteurl: https://x.example, namespaces: [a.example, a.example]",
            "namespaces.1: expected what is one upstream's alone: a.example is taken",
        ),
        ("remoteurl: https://x.example, realmhosts: ['a/b']", "realmhosts.0: expected a host name"),
        ("remoteurl: https://x.example, exec: {lifetime: 1h}", "exec.command: expected the"),
        ("remoteurl: https://x.example, exec: {command: 'a \"b'}", "exec.command: expected a"),
        (
            "remoteurl: https://x.example, username: a, usernamefile: /a",
            "usernamefile: expected it or username, not both",
        ),
        (
            "remoteurl: https://x.example, username: a, password: b, passwordfile: /b",
            "passwordfile: expected it or password, not both",
        ),
        ("remoteurl: https://x.example, allow: [Org/*]", "allow.0: expected a repository's name"),
        ("remoteurl: https://x.example, deny: [/org]", "deny.0: expected a repository's name"),
        ("remoteurl: https://x.example, maxconnections: 0", "maxconnections: expected a whole"),
        ("remoteurl: https://x.example, bandwidth: 100Mbit", "bandwidth: expected a size"),
    ],
)
def test_a_wrong_upstream_is_answered_with_what_was_expected(entry: str, shown: str) -> None:
    default = MINIMAL.replace("remoteurl: https://registry-1.docker.io", "") + f"  {{ {entry} }}\n"
    assert problem(default).startswith(f"config.yml:7: proxy.{shown}")
    named = f"{MINIMAL}  upstreams:\n  - {{ name: x.example, {entry} }}\n"
    assert problem(named).startswith(f"config.yml:8: proxy.upstreams.0.{shown}")


@pytest.mark.parametrize("name", ["", "Ghcr.io", "ghcr.io/x", "..", "localhost:5000", "a" * 256])
def test_an_upstream_is_named_like_a_component_of_a_repository(name: str) -> None:
    text = f"{MINIMAL}  upstreams:\n  - {{name: '{name}', remoteurl: 'https://x.example'}}\n"
    assert "proxy.upstreams.0.name: expected one component" in problem(text)


def test_two_upstreams_do_not_share_a_name() -> None:
    entry = "  - {name: x.example, remoteurl: 'https://x.example'}\n"
    text = f"{MINIMAL}  upstreams:\n{entry}{entry}"
    assert problem(text).endswith(
        "proxy.upstreams.1.name: expected another name: x.example is taken"
    )


@pytest.mark.parametrize(
    ("entry", "warned"),
    [
        (
            "{name: library, remoteurl: 'https://x.example'}",
            "begin with library/ cannot be reached",
        ),
        ("{name: docker.io, remoteurl: 'https://docker.io'}", "is https://registry-1.docker.io"),
        ("{name: a.b, remoteurl: 'http://a.b', username: u, password: p}", "unencrypted"),
        ("{name: a.b, remoteurl: 'https://a.b', password: p}", "not used without a username"),
        ("{name: a.b, remoteurl: 'https://a.b', passwordfile: /p}", "not used without a username"),
        ("{name: a.b, remoteurl: 'http://a.b', exec: {command: h}}", "unencrypted"),
        (
            "{name: a.b, remoteurl: 'https://a.b', username: u, exec: {command: h}}",
            "the credential helper of exec replaces it",
        ),
        (
            "{name: a.b, remoteurl: 'https://a.b', insecure: true, cafile: /x}",
            "switches verification off",
        ),
        ("{name: a.b, remoteurl: 'https://a.b', tagttl: 60}", "counts nanoseconds"),
    ],
)
def test_a_doubtful_upstream_is_warned_about(entry: str, warned: str) -> None:
    warnings = loaded(f"{MINIMAL}  upstreams:\n  - {entry}\n").warnings
    assert len(warnings) == 1
    assert warned in warnings[0]


def test_an_account_without_its_registry_is_warned_about() -> None:
    text = """\
        version: 0.1
        storage: filesystem
        proxy:
          username: me
          password: hush
          upstreams: [{name: ghcr.io, remoteurl: "https://ghcr.io"}]
        """
    assert "not used without proxy.remoteurl" in loaded(text).warnings[0]
    assert list(config(text).proxy.upstreams) == ["ghcr.io"]


REFUSED = {
    "storage.s3": "storage: {s3: {bucket: b}}",
    "storage.inmemory": "storage: inmemory",
    "storage.swift": "storage: {filesystem: {}, swift: }",
    "middleware.registry": "middleware: {registry: [{name: a}, {name: b, disabled: true}]}",
    "middleware.repository": "middleware: {repository: [{name: a}]}",
    "http.tls.letsencrypt": "http: {tls: {letsencrypt: {email: me@a.example}}}",
    "http.h2c.enabled": "http: {h2c: {enabled: true}}",
    "validation.manifests": "validation: {manifests: {urls: {allow: [a]}}}",
    "policy": "policy: {repository: {classes: [image]}}",
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_would_be_dangerous_to_ignore_is_refused_by_name(key: str) -> None:
    section = REFUSED[key].split(":")[0]
    lines = {"version": "version: 0.1", "storage": "storage: filesystem", "proxy": MIRROR}
    assert f": {key}: " in problem("\n".join(({**lines, section: REFUSED[key]}).values()))


@pytest.mark.parametrize(
    "written",
    [
        "auth: {}",
        "auth:",
        "http: {tls: {certificate: '', clientcas: []}, h2c: {enabled: false}}",
        "middleware: {registry: [{name: a, disabled: true}]}",
        "validation: {enabled: false}",
        "validation: {disabled: true, manifests: {indexes: {platforms: None}}}",
        "policy: {repository: {classes: []}}",
        "log: {hooks: [{type: mail, disabled: true}], reportcaller: false}",
        "redis:",
        "health: {}",
    ],
)
def test_a_section_that_asks_for_nothing_is_passed_over(written: str) -> None:
    found = loaded(f"{MINIMAL}{written}\n")
    assert (found.config, found.warnings) == (config(), ())


UNUSED = {
    "http.http2": "http: {http2: {disabled: true}}",
    "middleware.storage": "middleware: {storage: [{name: redirect, options: {baseurl: 'https://a'}}]}",
    "reporting": "reporting: {bugsnag: {apikey: k}, newrelic: {licensekey: k}}",
    "compatibility": "compatibility: {schema1: {enabled: true, signingkeyfile: /k}}",
    "log.hooks": "log: {hooks: [{type: mail, levels: [panic], options: {smtp: {addr: a}, to: [b]}}]}",
    "log.reportcaller": "log: {reportcaller: true}",
    "validation.enabled": "validation: {enabled: true}",
}


@pytest.mark.parametrize("key", UNUSED)
def test_what_is_not_used_is_warned_about_once_by_name(key: str) -> None:
    found = loaded(f"{MINIMAL}{UNUSED[key]}\n")
    assert found.config == config()
    assert [warning.split(": ")[1] for warning in found.warnings] == [key]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "config.yml: version: expected a mapping that begins with version: 0.1"),
        ("- a", "config.yml: version: expected a mapping that begins with version: 0.1"),
        (MINIMAL.replace("0.1", "0.2"), "config.yml:1: version: expected 0.1"),
        (MINIMAL.replace("version: 0.1\n", ""), "config.yml: version: expected 0.1"),
        (MINIMAL + "http:\n  addr: a: b\n", "config.yml:8: expected YAML, found"),
        (
            MINIMAL + "http: {}\nlog: {}\nhttp: {}\n",
            "config.yml:9: expected YAML, found the key http for the second time",
        ),
        (
            MINIMAL + "? [a]\n: b\n",
            "config.yml:7: expected YAML, found a key that is not a plain word",
        ),
        (
            MINIMAL + "http: &a\n  headers: *a\n",
            "config.yml:8: expected YAML, found an alias that contains itself",
        ),
        (
            MINIMAL + "http: [1\n",
            "config.yml:8: expected YAML, found '<stream end>' instead of ',' or ']'; quote",
        ),
        (
            MINIMAL + "http: *passw0rd\n",
            "config.yml:7: expected YAML, found undefined alias (name withheld); quote",
        ),
        (
            MINIMAL + "http: \tx\n",
            "config.yml:7: expected YAML, found character '\\t' that cannot start any token; quote",
        ),
        (MINIMAL + "http: \0\n", "config.yml: expected YAML, found a character"),
        (MINIMAL + f"http: {'[' * 20_000}", "config.yml: expected YAML, found lists or mappings"),
        (MINIMAL + "http: {<<: 5}\n", "config.yml:7: expected YAML, found"),
        (MINIMAL + "---\na: b\n", "config.yml:7: expected YAML, found"),
        (
            MINIMAL.replace(
                "filesystem:\n    rootdirectory: /srv/cache", "delete: {enabled: true}"
            ),
            "config.yml:2: storage: expected filesystem",
        ),
        (
            MINIMAL.replace("filesystem", "filesistem"),
            "config.yml:3: storage.filesistem: unknown key; did you mean filesystem?",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_where_and_why(text: str, shown: str) -> None:
    assert problem(text).startswith(shown)


def test_everything_wrong_is_told_at_once() -> None:
    text = (
        MINIMAL
        + "http: {addr: x, tls: {key: k}}\nlog: {level: x}\nauth: {silly: {realm: r}}\nfoo: 1\n"
    )
    found = problems(text, {"REGISTRY_FETCHER_SLOTS": "many", "REGISTRY_PROXY_TTL": "[1"})
    assert {(problem.source, problem.key) for problem in found} == {
        ("config.yml:7", "http.addr"),
        ("config.yml:7", "http.tls.certificate"),
        ("config.yml:8", "log.level"),
        ("config.yml:9", "auth.silly.service"),
        ("config.yml:10", "foo"),
        ("REGISTRY_FETCHER_SLOTS", "fetcher.slots"),
        ("REGISTRY_PROXY_TTL", "proxy.ttl"),
    }


@given(st.text())
def test_whatever_a_file_holds_it_loads_or_is_told_what_is_wrong(text: str) -> None:
    for file in (text, MINIMAL + text, MINIMAL + f"http: {text}\n", MINIMAL.replace("https", text)):
        with contextlib.suppress(ConfigError):
            loaded(file)


def test_a_warning_is_not_a_problem_of_its_section() -> None:
    assert len(loaded(MINIMAL + "http: {draintimeout: 30}\n").warnings) == 1


SECRET = "h3nter-two"


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        (f"{MINIMAL}  password: *{SECRET}\n", {}),
        (f"{MINIMAL}  password: [{SECRET}]\n", {}),
        (f"{MINIMAL}  password: !{SECRET}!x y\n", {}),
        (f"{MINIMAL}queue: {{url: 'redis://u:{SECRET}@h'}}\n", {}),
        (f"{MINIMAL}http: {SECRET}\n", {}),
        (MINIMAL, {"REGISTRY_PROXY_PASSWORD": f"*{SECRET}"}),
        (MINIMAL, {"REGISTRY_PROXY_PASSWORD": f"a: {SECRET}"}),
        (MINIMAL, {"REGISTRY_PROXY": SECRET}),
        (MINIMAL, {"REGISTRY_QUEUE_URL": f"amq://u:{SECRET}@h"}),
        (MINIMAL.replace("://", f"://u:{SECRET}@"), {}),
    ],
)
def test_a_problem_never_repeats_what_was_written(text: str, environ: Mapping[str, str]) -> None:
    assert SECRET not in "\n".join(str(problem) for problem in problems(text, environ))


def test_secrets_are_in_no_repr_and_no_text() -> None:
    text = (
        f"{MINIMAL}  username: u\n  password: {SECRET}\nqueue: {{url: 'amqp://u:{SECRET}@h/v'}}\n"
    )
    found = config(text)
    assert SECRET not in f"{found!r} {found} {loaded(text)!r}"
    assert found.proxy.upstreams[""].password.reveal() == SECRET
    assert found.queue.url == f"amqp://u:{SECRET}@h/v"
    assert found.queue.shown == "amqp://u:***@h/v"


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        config().http.addr = ":1"  # type: ignore[misc]


def test_the_path_given_wins_over_the_variable_and_the_variable_over_the_default(
    tmp_path: Path,
) -> None:
    for name in ("given", "variable"):
        (tmp_path / name).write_text(MINIMAL.replace("cache", name))
    fallback = Document("fallback", MINIMAL.replace("cache", "fallback"))
    variable = {"REGISTRY_CONFIGURATION_PATH": str(tmp_path / "variable")}
    given = str(tmp_path / "given")
    roots = [
        load(path, environ, fallback).config.storage.rootdirectory
        for path, environ in ((given, variable), (None, variable), (None, {}))
    ]
    assert roots == ["/srv/given", "/srv/variable", "/srv/fallback"]
    assert load(None, variable, fallback).warnings == ()


@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    if kind == "binary":
        path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"{kind}: expected a readable file"):
        load(str(path), {}, Document("fallback", MINIMAL))
