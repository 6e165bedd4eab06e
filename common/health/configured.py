"""From the section `health` to watches, called as distribution calls them."""

from collections.abc import Iterator

from common.config.health import INTERVAL, TIMEOUT, Health, HttpCheck, TcpCheck
from common.health import checks
from common.health.monitor import Monitor, Watch


def monitor_of(health: Health, root: str) -> Monitor:
    """The checks configured, those of the storage folder on `root`; nothing runs yet."""
    return Monitor([*_storage(health, root), *_files(health), *_http(health), *_tcp(health)])


def _storage(health: Health, root: str) -> Iterator[Watch]:
    written = health.storagedriver
    if written.enabled:
        interval = written.interval or INTERVAL
        check = checks.folder_answers(root)
        yield Watch("storagedriver_filesystem", check, interval, written.threshold)


def _files(health: Health) -> Iterator[Watch]:
    for written in health.file:
        yield Watch(written.file, checks.file_is_absent(written.file), written.interval or INTERVAL)


def _http(health: Health) -> Iterator[Watch]:
    for written in health.http:
        timeout = written.timeout or TIMEOUT
        check = checks.http_answers(
            written.uri, written.statuscode or 200, written.headers, timeout
        )
        yield _patient(str(written.uri), check, written, timeout)


def _tcp(health: Health) -> Iterator[Watch]:
    for written in health.tcp:
        timeout = written.timeout or TIMEOUT
        yield _patient(written.addr, checks.tcp_accepts(written.addr, timeout), written, timeout)


def _patient(
    name: str, check: checks.Check, written: HttpCheck | TcpCheck, timeout: float
) -> Watch:
    """A watch of what ends by itself: within some timeouts, so that they are told as what they are."""
    interval = written.interval or INTERVAL
    return Watch(name, check, interval, written.threshold, patience=5 * timeout + 5)
