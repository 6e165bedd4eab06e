"""From the sections as written to the configuration: what needs more than one value to decide."""

import os
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from common.config import auth, health, leaves, notifications, tls, upstreams
from common.config.findings import Findings
from common.config.model import Catalog, Config, Http, Log, Queue, Storage, Tags
from common.config.schema import File

# What a line of the log is made of (common.logs), and how it is set up.
_LINE = {
    "event",
    "level",
    "timestamp",
    "component",
    "formatter",
    "message",
    "request_id",
    "trace_id",
}
_QUEUE_FILE = "entrepot/queue/queue.sqlite"


def assemble(
    file: File, environ: Mapping[str, str], storage_is_given: bool, findings: Findings
) -> Config:
    """The configuration; what does not fit together is told to `findings`."""
    storage = _storage(file.storage.filesystem, environ, storage_is_given, findings)
    health.examine(file.health, findings)
    notifications.examine(file.notifications, findings)
    return Config(
        log=_log(file, findings),
        storage=storage,
        auth=auth.assemble(
            file.auth,
            is_encrypted=bool(file.http.tls.certificate) or file.http.net == "unix",
            findings=findings,
        ),
        http=_http(file.http, findings),
        tags=file.tags if file.tags.maxtags else Tags(),
        catalog=file.catalog if file.catalog.maxentries else Catalog(),
        proxy=upstreams.assemble(file.proxy, findings),
        queue=_queue(file.queue, storage, findings),
        frontend=file.frontend,
        fetcher=file.fetcher,
        janitor=file.janitor,
        maintenance=file.storage.maintenance,
        health=file.health,
        notifications=file.notifications,
    )


def _log(file: File, findings: Findings) -> Log:
    log = file.log
    if file.loglevel:
        findings.warn(("loglevel",), "deprecated; write log.level")
        # distribution: log.level wins where both are given.
        if not findings.is_written(("log", "level")):
            log = replace(log, level=file.loglevel)
    for name in _LINE & log.fields.keys():
        findings.wrong(
            ("log", "fields", name), "expected another name: every line has one so called"
        )
    return log


def _storage(
    storage: Storage, environ: Mapping[str, str], is_given: bool, findings: Findings
) -> Storage:
    if not is_given and not findings.known(("storage",)):
        findings.wrong(("storage",), "expected filesystem: with a rootdirectory in it")
    key = ("storage", "filesystem", "rootdirectory")
    root = storage.rootdirectory
    if root == "~" or root.startswith("~/"):
        home = environ.get("HOME", "")
        if not home.startswith("/"):
            findings.wrong(key, "expected an absolute path: HOME is not set, ~ means nothing")
        root = home + root[1:]
    elif not root.startswith("/"):
        findings.warn(key, "relative to the folder that each process is started in")
    return Storage(os.path.abspath(root))


def _http(http: Http, findings: Findings) -> Http:
    if http.net == "unix":
        if not http.addr.startswith("/"):
            findings.wrong(("http", "addr"), "expected the socket's absolute path")
    elif not leaves.is_listen_address(http.addr):
        findings.wrong(("http", "addr"), "expected host:port, or :port for all interfaces")
    if http.debug.addr and not leaves.is_listen_address(http.debug.addr):
        findings.wrong(("http", "debug", "addr"), "expected host:port, or :port")
    for name in http.headers:
        if not leaves.header_name(name):
            findings.wrong(("http", "headers", name), "expected the name of a header")
    return replace(http, prefix=http.prefix.rstrip("/"), tls=tls.assemble(http.tls, findings))


def _queue(queue: Queue, storage: Storage, findings: Findings) -> Queue:
    key = ("queue", "urlfile" if queue.urlfile else "url")
    if queue.urlfile:
        if queue.url:
            findings.wrong(key, "expected queue.url or queue.urlfile, not both")
        url = _first_line(queue.urlfile)
        if not url:
            findings.wrong(key, "expected a file that can be read and holds the queue's address")
            return queue
        queue = Queue(url)
    if not queue.url:
        return Queue(f"sqlite://{quote(storage.rootdirectory)}/{_QUEUE_FILE}")
    if not _is_queue(queue.url):
        findings.wrong(
            key,
            "expected amqp://user:password@host:5672/vhost, amqps://…, or"
            " sqlite:///absolute/path for one machine",
        )
    return queue


def _first_line(path: str) -> str:
    """Of the file, without white space around it; empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except (OSError, ValueError):
        return ""


def _is_queue(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"amqp", "amqps"}:
            return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    if parts.scheme != "sqlite" or parts.netloc or parts.query or parts.fragment:
        return False
    return parts.path.startswith("/") and len(parts.path.strip("/")) > 0
