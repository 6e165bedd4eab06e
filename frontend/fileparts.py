"""A part of a file, as the body of an ASGI message in place of bytes."""

from common.blobstore import OpenBlob


class FilePart:
    """Bytes `start` up to, but without, `end` of an open file, for the connection to send itself.

    What an application sends as `body`, and only `frontend.worker` understands: ASGI's extension
    "zero copy send" is the same idea, but a message of a kind of its own, which nothing between
    the application and the server would let through or count.

    Its length is that of the bytes: those to be sent, and once `send` has returned those that
    were. Fewer than asked for means that the file is short, or could not be read: `error`.
    """

    __slots__ = ("end", "error", "file", "position", "start")

    def __init__(self, file: OpenBlob, start: int, end: int) -> None:
        self.file = file
        self.start = self.position = start
        self.end = end
        self.error: OSError | None = None

    def __len__(self) -> int:
        return self.end - self.start

    def __bool__(self) -> bool:
        """False: gunicorn makes bytes of every body that is true."""
        return False

    def cut(self, error: OSError | None = None) -> None:
        """No more of it will be sent than was; with `error` when reading the file failed."""
        self.end = self.position
        self.error = error
