"""`notifications`: whom frontends tell of pulls, in distribution's envelopes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.config import leaves
from common.config.findings import Findings
from common.config.secret import Secret, WebAddress
from common.config.shapes import ListOf, Section, TableOf, section, setting, shaped

TIMEOUT = 1.0
"""Seconds for an endpoint's answer, where none are written; distribution's, as the two below."""
THRESHOLD = 10
"""Failures in a row after which an endpoint is left alone for `backoff`."""
BACKOFF = 1.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """`ignore`: what an endpoint is not told."""

    mediatypes: Sequence[str] = setting(ListOf(leaves.text("a media type")), ())
    actions: Sequence[str] = setting(ListOf(leaves.text("an action such as pull")), ())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An entry of `notifications.endpoints`: where envelopes are posted to."""

    name: str = setting(leaves.text(), "")
    """For logs; empty: the host of `url`."""
    disabled: bool = setting(leaves.boolean(), default=False)
    url: WebAddress = field(
        default=WebAddress(""), metadata=shaped(leaves.web_address("https://host/path"))
    )
    headers: Mapping[str, list[Secret]] = field(
        default_factory=dict, metadata=shaped(TableOf(ListOf(leaves.secret_header_value())))
    )
    timeout: float = setting(leaves.duration(zero=True), TIMEOUT)
    """Seconds; 0 means 1, as absent."""
    threshold: int = setting(leaves.integer(0), THRESHOLD)
    """0 means 10, as absent."""
    backoff: float = setting(leaves.duration(zero=True), BACKOFF)
    """Seconds; 0 means 1, as absent."""
    ignoredmediatypes: Sequence[str] = setting(ListOf(leaves.text("a media type")), ())
    ignore: Ignore = field(default_factory=Ignore, metadata=shaped(section(Ignore)))


@dataclass(frozen=True, slots=True)
class Events:
    """`notifications.events`: what envelopes hold."""

    includereferences: bool = setting(leaves.boolean(), default=False)
    """Events of manifests list what the manifest refers to."""


@dataclass(frozen=True, slots=True)
class Notifications:
    """`notifications`."""

    events: Events = field(
        default_factory=Events, metadata=shaped(section(Events), variable="EVENTCONFIG")
    )
    endpoints: Sequence[Endpoint] = field(default=(), metadata=shaped(ListOf(section(Endpoint))))

    @property
    def active(self) -> list[Endpoint]:
        """The endpoints that are told."""
        return [endpoint for endpoint in self.endpoints if not endpoint.disabled]


SECTION: Section = section(Notifications)


def examine(notifications: Notifications, findings: Findings) -> None:
    """Tell what an endpoint lacks."""
    for index, endpoint in enumerate(notifications.endpoints):
        path = ("notifications", "endpoints", str(index))
        if not endpoint.url and not endpoint.disabled and not findings.known((*path, "url")):
            findings.wrong((*path, "url"), "expected where to post to, such as https://host/path")
        for name in endpoint.headers:
            if not leaves.header_name(name):
                findings.wrong((*path, "headers", name), "expected the name of a header")
