"""A question that was not put to an upstream, for the upstream's sake or because it would be vain."""

from common.errors import UpstreamError


class Unasked(UpstreamError):
    """Nothing was sent. Nobody who has something else to give should wait for another try."""

    def __init__(self, message: str, retry_after: float) -> None:
        """`retry_after` in seconds: asking before that is vain."""
        super().__init__(message, status=503, code="UNAVAILABLE", retry_after=retry_after)
