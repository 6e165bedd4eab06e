"""The errors entrepot's parts hand to each other; a class exists where somebody handles it differently.

    EntrepotError
      InvalidInput             a client's mistake: 4xx
        InvalidDigest
        InvalidName
        InvalidTag
      ConfigError              a user's mistake: exit 2
      UpstreamError            a fact about an upstream: status, code, retryable, retry_after
      BrokerUnavailable        the queue cannot take or give work now
      UndecodableMessage       a message nobody here understands: dead-lettered
      LeaseLost                a claim was taken over: stop, touch nothing
      ContentMismatch          bytes whose size or digest is not what was promised

Only the frontend turns these into HTTP answers, in one table (`frontend.errors`).
"""

from collections.abc import Sequence
from dataclasses import dataclass


class EntrepotError(Exception):
    """The root; nothing raises it itself."""


class InvalidInput(EntrepotError):
    """What a client sent does not follow the specification's grammar."""


class InvalidDigest(InvalidInput):
    """Not `sha256:<64 hex>` or `sha512:<128 hex>`."""


class InvalidName(InvalidInput):
    """Not a repository name."""


class InvalidTag(InvalidInput):
    """Not a tag."""


@dataclass(frozen=True)
class ConfigProblem:
    """One thing that is wrong with a configuration.

    `source` is the file (with its line) or environment variable, `key` the dotted path in it
    (empty where the whole file is meant),
    `expected` what would be right, in words for its author.
    """

    source: str
    key: str
    expected: str

    def __str__(self) -> str:
        """The line shown to the user."""
        return ": ".join(part for part in (self.source, self.key, self.expected) if part)


class ConfigError(EntrepotError):
    """The configuration cannot be used; carries every problem found."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        """Keep the problems, one line each in the text."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class UpstreamError(EntrepotError):
    """An upstream could not or would not give what was asked.

    `status` is the HTTP status a client should be told the upstream's answer amounts to,
    `code` the OCI error code, `retryable` whether asking again may help,
    `retry_after` the seconds the upstream asked us to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        code: str = "UNKNOWN",
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> None:
        """Carry the facts; `message` holds no credentials and no query string."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after


class BrokerUnavailable(EntrepotError):
    """The broker did not confirm: nothing is known to be queued."""


class UndecodableMessage(EntrepotError):
    """The bytes are no message of ours, or of a version we do not know."""


class LeaseLost(EntrepotError):
    """Another process owns the claim now."""


class ContentMismatch(EntrepotError):
    """Size or digest of received bytes differ from what was promised; they are never committed."""
