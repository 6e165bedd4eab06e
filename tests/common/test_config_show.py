"""The effective configuration, shown."""

import pytest

from common.config import show
from tests.common.configuring import MINIMAL, config
from tests.common.test_config_files import CACHE

FULL = """\
version: 0.1
log: {level: warn, formatter: json, fields: {a: b}, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: /srv/cache}}
http:
  addr: 127.0.0.1:80
  host: https://mirror.example
  prefix: /mirror/
  relativeurls: true
  headers: {X-A: [b, c]}
  draintimeout: 1h30m
tags: {maxtags: 7}
proxy:
  remoteurl: https://registry-1.docker.io
  ttl: -1
  tagttl: 1.5s
  upstreams:
    - name: ghcr.io
      remoteurl: https://ghcr.io
      ttl: 300ms
      realmhosts: [a.example]
      insecure: true
    - {name: b.example, remoteurl: http://b.example:5000/base, cafile: /c}
    - name: c.example
      remoteurl: https://c.example
      usernamefile: /run/secrets/user
      passwordfile: /run/secrets/password
      redirecthosts: [storage.example]
      allow: [org/**]
      deny: ["**/secret"]
      maxconnections: 3
      bandwidth: 10MiB
    - {name: d.example, remoteurl: https://d.example, exec: {command: helper --quiet, lifetime: 0}}
queue: {url: amqp://rabbit:5672/vhost}
frontend: {workers: 3, patience: 20s, connections: 10}
fetcher: {processes: 1, slots: 1, minthroughput: 1500, lease: 1s, attempts: 1}
janitor: {grace: 0, sweepinterval: 1h}
"""


@pytest.mark.parametrize("text", [MINIMAL, FULL])
def test_what_is_shown_is_a_file_that_amounts_to_the_same(text: str) -> None:
    assert config(show(config(text))) == config(text)


def test_secrets_are_masked() -> None:
    text = CACHE.replace("password: 0123", "password: hush-hush")
    shown = show(config(text + "queue: {url: 'amqp://me:hush-hush@rabbit/'}\n"))
    assert "hush" not in shown
    assert "password: '***'" in shown
    assert "amqp://me:***@rabbit/" in shown
