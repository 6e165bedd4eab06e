"""Reading bodies: raw bytes, under the throughput floor, never more than asked for."""

import re

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from common.errors import UpstreamError
from fetcher.throughput import Floor

CHUNK_BYTES = 1024 * 1024
"""What is read at once, where so much has come: each chunk costs some 60 µs beside its bytes."""

# Up to this a body nobody wants is read, so that its connection can be used again.
_DISCARD_BYTES = 16 * 1024


def check_encoding(response: requests.Response) -> None:
    """Raise UpstreamError (retryable) when the body is encoded, though we asked for identity.

    Decoding it would trust the sender with our memory, and digests are of the bytes as they are.
    """
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UpstreamError("the body came with a content encoding")


def content_length(response: requests.Response) -> int | None:
    """How many bytes the body is to have; None when that is not told."""
    if "Transfer-Encoding" in response.headers:
        return None  # RFC 9112, section 6.3: it overrides a Content-Length
    told = response.headers.get("Content-Length", "")
    return int(told) if re.fullmatch(r"[0-9]{1,19}", told) else None


def read_some(response: requests.Response, count: int, floor: Floor) -> bytes:
    """What one receive gives, at most `count` bytes; empty at the end.

    Raises UpstreamError (retryable) when the body is cut short, stalls or is too slow.
    """

    def receive(count: int) -> bytes:
        data: bytes = response.raw.read1(count, decode_content=False)
        return data

    try:
        return floor.read(receive, count)
    except ReadTimeoutError as error:
        raise UpstreamError("the body stalled", status=504) from error
    except (HTTPError, OSError, ValueError) as error:
        raise UpstreamError("the body was cut short") from error


def read_capped(response: requests.Response, cap: int, floor: Floor) -> bytes | None:
    """The whole body, or None when it is longer than `cap` bytes; raises UpstreamError."""
    check_encoding(response)
    body = bytearray()
    while chunk := read_some(response, min(CHUNK_BYTES, cap + 1 - len(body)), floor):
        body += chunk
        if len(body) > cap:
            return None
    return bytes(body)


def discard(response: requests.Response, floor: Floor) -> None:
    """Be done with an answer; its connection is kept when little is left of the body."""
    try:
        read_capped(response, _DISCARD_BYTES, floor)
    except UpstreamError:
        pass
    finally:
        response.close()
