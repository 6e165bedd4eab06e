"""`proxy`: from the section as written to the upstreams by name."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from common.config import leaves
from common.config.findings import Findings
from common.config.model import (
    DEFAULT_CONNECTIONS,
    DEFAULT_TAG_TTL,
    DEFAULT_TTL,
    Exec,
    Proxy,
    Upstream,
)
from common.config.secret import Secret
from common.config.shapes import Key, ListOf, Section, section, setting, shaped, unused
from common.errors import InvalidName
from common.reference import RepositoryName
from common.source import DEFAULT_UPSTREAM

_HUB = {"docker.io", "www.docker.io", "hub.docker.com", "index.docker.io"}
_API_PATH = re.compile(r"/v[12](/|$)")


@dataclass(frozen=True, slots=True)
class Account:
    """What the default and the named upstreams have in common, as written."""

    remoteurl: str = setting(leaves.http_url("https://registry-1.docker.io", path=True), "")
    namespaces: Sequence[str] = setting(ListOf(leaves.host()), ())
    username: str = setting(leaves.text(), "")
    password: Secret = field(default_factory=Secret, metadata=shaped(leaves.secret()))
    usernamefile: str = setting(leaves.text("a path"), "")
    passwordfile: str = setting(leaves.text("a path"), "")
    exec: Exec = field(default_factory=Exec, metadata=shaped(section(Exec)))
    ttl: float | None = setting(leaves.lifetime(), None)
    """Seconds; 0: for ever; None: not written."""
    tagttl: float | None = setting(leaves.duration(zero=True), None)
    realmhosts: Sequence[str] = setting(ListOf(leaves.host()), ())
    redirecthosts: Sequence[str] = setting(ListOf(leaves.host()), ())
    insecure: bool = setting(leaves.boolean(), default=False)
    cafile: str | None = setting(leaves.text("a path"), None)
    allow: Sequence[str] = setting(ListOf(leaves.repository_pattern()), ())
    deny: Sequence[str] = setting(ListOf(leaves.repository_pattern()), ())
    maxconnections: int = setting(leaves.integer(1), DEFAULT_CONNECTIONS)
    bandwidth: int = setting(leaves.rate(), 0)


@dataclass(frozen=True, slots=True)
class Named(Account):
    """An entry of `proxy.upstreams`, as written."""

    name: str = setting(leaves.text(), "")


@dataclass(frozen=True, slots=True)
class Written(Account):
    """`proxy`, as written."""

    upstreams: Sequence[Named] = setting(ListOf(section(Named)), ())


SECTION: Section = section(
    Written,
    cachewritetimeout=unused(
        "a download may take as long as it makes progress: fetcher.minthroughput"
    ),
)
KEY = Key(SECTION)


def assemble(written: Written, findings: Findings) -> Proxy:
    """The upstreams, those that are wrong left out and told to `findings`."""
    upstreams: dict[str, Upstream] = {}
    if written.remoteurl:
        _advise(written, findings, ("proxy",))
        upstreams[DEFAULT_UPSTREAM] = _upstream(written, DEFAULT_UPSTREAM, written)
    elif not written.upstreams and not findings.known(("proxy", "remoteurl")):
        findings.wrong(
            ("proxy", "remoteurl"),
            "expected the registry to cache, such as https://registry-1.docker.io",
        )
    else:
        for name in _of_one_upstream(written):
            findings.warn(
                ("proxy", name),
                "not used without proxy.remoteurl; each of the upstreams has its own",
            )
    for path, entry in _entries(written):
        if _is_right(entry, upstreams, findings, path):
            upstreams[entry.name] = _upstream(entry, entry.name, written)
    _examine_namespaces(written, findings)
    return Proxy(upstreams)


def _examine_namespaces(written: Written, findings: Findings) -> None:
    taken = {entry.name for entry in written.upstreams}
    accounts: list[tuple[tuple[str, ...], Account]] = [(("proxy",), written), *_entries(written)]
    for path, account in accounts:
        for index, namespace in enumerate(account.namespaces):
            if namespace in taken:
                findings.wrong(
                    (*path, "namespaces", str(index)),
                    f"expected what is one upstream's alone: {namespace} is taken",
                )
            taken.add(namespace)


def _entries(written: Written) -> Iterator[tuple[tuple[str, ...], Named]]:
    for index, entry in enumerate(written.upstreams):
        yield ("proxy", "upstreams", str(index)), entry


def _upstream(account: Account, name: str, general: Account) -> Upstream:
    # Only the times are inherited: an account, a certificate authority or a verification that is
    # switched off is meant for one registry.
    ttl = _first(account.ttl, general.ttl, DEFAULT_TTL)
    return Upstream(
        name=name,
        remoteurl=account.remoteurl,
        namespaces=tuple(account.namespaces),
        username=account.username,
        password=account.password,
        usernamefile=account.usernamefile,
        passwordfile=account.passwordfile,
        exec=account.exec,
        ttl=ttl if ttl > 0 else None,
        tagttl=_first(account.tagttl, general.tagttl, DEFAULT_TAG_TTL),
        realmhosts=tuple(account.realmhosts),
        redirecthosts=tuple(account.redirecthosts),
        insecure=account.insecure,
        cafile=account.cafile,
        allow=tuple(account.allow),
        deny=tuple(account.deny),
        maxconnections=account.maxconnections,
        bandwidth=account.bandwidth,
    )


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _is_right(
    entry: Named, others: dict[str, Upstream], findings: Findings, path: tuple[str, ...]
) -> bool:
    before = len(findings.problems)
    if not _is_component(entry.name):
        findings.wrong(
            (*path, "name"), "expected one component of a repository name, such as ghcr.io"
        )
    elif entry.name in others:
        findings.wrong((*path, "name"), f"expected another name: {entry.name} is taken")
    elif "." not in entry.name and DEFAULT_UPSTREAM in others:
        findings.warn(
            (*path, "name"),
            f"repositories of proxy.remoteurl that begin with {entry.name}/ cannot be reached;"
            " a name with a dot in it, such as a host's, hides none",
        )
    if entry.remoteurl:
        _advise(entry, findings, path)
    elif not findings.known((*path, "remoteurl")):
        findings.wrong((*path, "remoteurl"), "expected an address such as https://ghcr.io")
    return len(findings.problems) == before


def _of_one_upstream(written: Written) -> list[str]:
    """The keys that are written for the default upstream alone."""
    names = (
        "namespaces",
        "username",
        "password",
        "usernamefile",
        "passwordfile",
        "exec",
        "allow",
        "deny",
    )
    plain = Written()
    return [name for name in names if getattr(written, name) != getattr(plain, name)]


def _examine_account(account: Account, findings: Findings, path: tuple[str, ...]) -> None:
    users = {"username": account.username, "usernamefile": account.usernamefile}
    passwords = {"password": account.password, "passwordfile": account.passwordfile}
    for name, value in {**users, **passwords}.items():
        if value and account.exec.command:
            findings.warn((*path, name), "not used: the credential helper of exec replaces it")
        elif value and name in passwords and not any(users.values()):
            findings.warn((*path, name), "not used without a username")
    for text, values in (("username", users), ("password", passwords)):
        if all(values.values()):
            findings.wrong((*path, f"{text}file"), f"expected it or {text}, not both")
    if account.exec.lifetime is not None and not account.exec.command:
        findings.wrong((*path, "exec", "command"), "expected the command of a credential helper")
    _examine_command(account.exec.command, findings, path)


def _examine_command(command: str, findings: Findings, path: tuple[str, ...]) -> None:
    try:
        shlex.split(command)
    except ValueError as error:
        findings.wrong((*path, "exec", "command"), f"expected a command: {error}")


def _is_component(name: str) -> bool:
    try:
        RepositoryName(name)
    except InvalidName:
        return False
    return "/" not in name


def _advise(account: Account, findings: Findings, path: tuple[str, ...]) -> None:
    scheme, _, rest = account.remoteurl.partition("://")
    host, _, base = rest.partition("/")
    key = (*path, "remoteurl")
    if _API_PATH.match(f"/{base}"):
        findings.wrong(key, "expected the address without /v2, which is added")
    if host in _HUB:
        findings.warn(key, "Docker Hub's registry is https://registry-1.docker.io")
    if scheme == "http" and (account.username or account.usernamefile or account.exec.command):
        findings.warn(key, "the password travels unencrypted; use https")
    _examine_account(account, findings, path)
    if account.insecure and account.cafile:
        findings.warn((*path, "cafile"), "not used: insecure switches verification off")
