"""`health`: what is looked at now and then, and has frontends refuse to serve while it is ill.

Facts: registry/handlers/app.go (RegisterHealthChecks) and health/checks/checks.go of distribution.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from common.config import leaves
from common.config.findings import Findings
from common.config.secret import Secret, WebAddress
from common.config.shapes import ListOf, Section, TableOf, section, setting, shaped, unused

INTERVAL = 10.0
"""Seconds between two looks, where none are written; distribution's."""
TIMEOUT = 5.0
"""Seconds for an answer, where none are written; distribution then waits for ever."""


@dataclass(frozen=True, slots=True)
class StorageCheck:
    """`health.storagedriver`: the storage folder is there and answers."""

    enabled: bool = setting(leaves.boolean(), default=False)
    interval: float = setting(leaves.duration(zero=True), INTERVAL)
    """Seconds; 0 means 10, as absent."""
    threshold: int = setting(leaves.integer(0), 0)
    """Failures in a row that make it ill; 0 means one, as absent. So in all checks."""


@dataclass(frozen=True, slots=True)
class FileCheck:
    """An entry of `health.file`: ill while the file exists."""

    file: str = setting(leaves.text("a path"), "")
    interval: float = setting(leaves.duration(zero=True), INTERVAL)


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """An entry of `health.http`: a HEAD request is answered with `statuscode`."""

    uri: WebAddress = field(
        default=WebAddress(""), metadata=shaped(leaves.web_address("http://server/path"))
    )
    headers: Mapping[str, list[Secret]] = field(
        default_factory=dict, metadata=shaped(TableOf(ListOf(leaves.secret_header_value())))
    )
    statuscode: int = setting(leaves.integer(0, 599), 200)
    """0 means 200, as absent."""
    timeout: float = setting(leaves.duration(zero=True), TIMEOUT)
    """Seconds; 0 means 5, as absent."""
    interval: float = setting(leaves.duration(zero=True), INTERVAL)
    threshold: int = setting(leaves.integer(0), 0)


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """An entry of `health.tcp`: a connection can be made."""

    addr: str = setting(leaves.text("host:port"), "")
    timeout: float = setting(leaves.duration(zero=True), TIMEOUT)
    interval: float = setting(leaves.duration(zero=True), INTERVAL)
    threshold: int = setting(leaves.integer(0), 0)


_FILE: Section = section(
    FileCheck, threshold=unused("not used, as in distribution: finding the file once is enough")
)


@dataclass(frozen=True, slots=True)
class Health:
    """`health`: all checks, those of the storage folder among them."""

    storagedriver: StorageCheck = field(
        default_factory=StorageCheck, metadata=shaped(section(StorageCheck))
    )
    file: Sequence[FileCheck] = field(
        default=(), metadata=shaped(ListOf(_FILE), variable="FILECHECKERS")
    )
    http: Sequence[HttpCheck] = field(
        default=(), metadata=shaped(ListOf(section(HttpCheck)), variable="HTTPCHECKERS")
    )
    tcp: Sequence[TcpCheck] = field(
        default=(), metadata=shaped(ListOf(section(TcpCheck)), variable="TCPCHECKERS")
    )

    @property
    def checks_something(self) -> bool:
        """Whether there is any check."""
        return bool(self.storagedriver.enabled or self.file or self.http or self.tcp)


SECTION: Section = section(Health)


def examine(health: Health, findings: Findings) -> None:
    """Tell what is missing, and what is checked twice: its name would say which only once."""
    for path, subject in _subjects(health):
        if not subject and not findings.known(path):
            findings.wrong(path, "expected what to check")
    counted = Counter(subject for _, subject in _subjects(health) if subject)
    for path, subject in _subjects(health):
        if counted[subject] > 1:
            findings.wrong(path, "expected another one: it is checked more than once")
    for index, check in enumerate(health.tcp):
        if check.addr and not leaves.is_listen_address(check.addr):
            findings.wrong(("health", "tcp", str(index), "addr"), "expected host:port")
    for index, written in enumerate(health.http):
        for name in written.headers:
            if not leaves.header_name(name):
                path = ("health", "http", str(index), "headers", name)
                findings.wrong(path, "expected the name of a header")


def _subjects(health: Health) -> Iterator[tuple[tuple[str, ...], str]]:
    for index, file in enumerate(health.file):
        yield ("health", "file", str(index), "file"), file.file
    for index, http in enumerate(health.http):
        yield ("health", "http", str(index), "uri"), http.uri.reveal()
    for index, tcp in enumerate(health.tcp):
        yield ("health", "tcp", str(index), "addr"), tcp.addr
