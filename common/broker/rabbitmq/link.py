"""The connection: one thread, one loop, and never giving up."""

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import pika
from pika.adapters.select_connection import IOLoop

from common import logs
from common.broker.rabbitmq.topology import Channel, declare
from common.errors import BrokerUnavailable

log = logs.get(__name__)

# Between attempts to connect, in seconds: doubled up to the second, each shortened by up to half
# so that not everybody comes back at once.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
# A connection that lasted this long in seconds begins again with the first pause.
_LASTING = 5.0

_CLOSE_SECONDS = 5.0


class Part(Protocol):
    """Something that lives on the connection."""

    def up(self) -> None:
        """There is a connection, and everything is declared on it."""

    def down(self) -> None:
        """The connection is gone, and with it every channel, delivery tag and consumer."""


class Link:
    """Keeps a connection, and tells its parts when it comes and goes.

    Any failure on it, a channel closed or a callback that raised, closes the whole of it: there
    is one way to begin anew, and it is well trodden.
    """

    def __init__(self, made: pika.ConnectionParameters) -> None:
        self._parameters = made
        self._parts: list[Part] = []
        self._loop = IOLoop()
        self._connection: Any = None
        # Counts connections; what was begun on an earlier one is void.
        self.generation = 0
        self._up_since: float | None = None
        self._pause = _FIRST_PAUSE
        self._closing = False
        self._ending = threading.Lock()
        self._ended = False
        # Why there is no connection, as last logged.
        self._said = ""
        self.blocked = False
        self._thread = threading.Thread(target=self._run, name="rabbitmq", daemon=True)

    @property
    def is_up(self) -> bool:
        """Whether the connection is there, not about to close, and everything declared."""
        return self._up_since is not None and self._connection.is_open

    @property
    def broker_major(self) -> int:
        """The first number of the broker's version; while there is a connection."""
        told = (self._connection.server_properties or {}).get("version", "")
        major = (told.decode() if isinstance(told, bytes) else str(told)).partition(".")[0]
        return int(major) if major.isdecimal() else 0

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def join(self, part: Part) -> None:
        """Tell `part` too, from now on; for any thread."""
        self.call(partial(self._join, part))

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` on the link's thread, soon; for any thread.

        Raises BrokerUnavailable when the link is closed.
        """
        with self._ending:
            if self._ended:
                raise BrokerUnavailable("the queue is closed")
            self._loop.add_callback_threadsafe(partial(self._guard, function))

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Run `function` on the link's thread after `seconds`."""
        self._loop.call_later(seconds, partial(self._guard, function))

    def open_channel(self, on_open: Callable[[Channel], None]) -> None:
        """Open a channel whose end is the connection's end."""
        generation = self.generation
        self._connection.channel(on_open_callback=partial(self._channel_open, generation, on_open))

    def guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        """`function` for pika to call: what it raises is logged, and the connection begun anew."""
        return lambda *arguments: self._guard(partial(function, *arguments))

    def fail(self, why: str) -> None:
        """Close the connection and begin anew."""
        if self._connection is not None and self._connection.is_open:
            log.warning("leaving the connection to RabbitMQ", why=why)
            self._connection.close(320, why[:200])
            # A broker that does not even answer to that is not waited for.
            lost = partial(self._lost, self.generation, None, TimeoutError(why))
            self.later(_CLOSE_SECONDS, lost)

    def scratch_channel(self, on_open: Callable[[Channel], None]) -> None:
        """Open a channel whose end is its own affair; raises when there is no connection."""
        self._connection.channel(on_open_callback=on_open)

    def close(self) -> None:
        """Close the connection and end the thread; for any thread but the link's."""
        if not self._closing:
            self._closing = True
            self._loop.add_callback_threadsafe(self._hang_up)
            self._thread.join(_CLOSE_SECONDS)

    def _join(self, part: Part) -> None:
        self._parts.append(part)
        if self.is_up:
            part.up()

    def _run(self) -> None:
        self._loop.add_callback(self._connect)
        while True:
            try:
                self._loop.start()
                break
            except Exception:
                log.exception("the loop of the connection to RabbitMQ raised")
                self._lost(self.generation, self._connection, RuntimeError("broken"))
        with self._ending:
            self._ended = True
        # What was called for until then is still done, so that no future is left open.
        self._loop.process_timeouts()
        self._loop.close()

    def _guard(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            log.exception("a callback of the connection to RabbitMQ raised")
            self.fail("a callback raised")

    def _connect(self) -> None:
        if self._closing:
            self._loop.stop()
            return
        if self._connection is not None:
            return  # lost twice, as when the loop raises while another try is due: one is enough
        self.generation += 1
        lost = partial(self._lost, self.generation)
        try:
            self._connection = pika.SelectConnection(
                self._parameters,
                on_open_callback=self.guarded(partial(self._opened, self.generation)),
                on_open_error_callback=lost,
                on_close_callback=lost,
                custom_ioloop=self._loop,
            )
        except Exception as error:  # noqa: BLE001 - such as no file descriptor left
            self._lost(self.generation, None, error)

    def _opened(self, generation: int, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(lambda *_: self._set_blocked(True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(False))
        self.open_channel(lambda channel: declare(channel, partial(self._declared, generation)))

    def _set_blocked(self, blocked: bool) -> None:
        log.warning("RabbitMQ takes no publications now" if blocked else "RabbitMQ is open again")
        self.blocked = blocked

    def _channel_open(
        self, generation: int, on_open: Callable[[Channel], None], channel: Channel
    ) -> None:
        channel.add_on_close_callback(partial(self._channel_closed, generation))
        channel.add_on_cancel_callback(lambda _: self.fail("a consumer was cancelled"))
        self._guard(partial(on_open, channel))

    def _channel_closed(self, generation: int, _channel: Channel, reason: Exception) -> None:
        if generation == self.generation:
            self.fail(f"a channel was closed: {_why(reason)}")

    def _declared(self, generation: int) -> None:
        if generation != self.generation:
            return
        log.info("connected to RabbitMQ")
        self._said = ""
        self._up_since = time.monotonic()
        for part in self._parts:
            self._guard(part.up)

    def _lost(self, generation: int, _connection: Any, reason: BaseException) -> None:
        if generation != self.generation:
            return
        self.generation += 1  # nothing of the old connection is heard from now on
        self._say_lost(_why(reason))
        self._connection = None
        self.blocked = False
        was_up_since, self._up_since = self._up_since, None
        if was_up_since is not None:
            for part in self._parts:
                self._guard(part.down)
            if time.monotonic() - was_up_since > _LASTING:
                self._pause = _FIRST_PAUSE
        self._again()

    def _say_lost(self, why: str) -> None:
        if why != self._said and not self._closing:
            log.warning("no connection to RabbitMQ", why=why)
        self._said = why

    def _again(self) -> None:
        pause = 0.0 if self._closing else self._pause * random.uniform(0.5, 1.0)  # noqa: S311
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)
        self._loop.call_later(pause, partial(self._guard, self._connect))

    def _hang_up(self) -> None:
        if self._connection is None:
            self._loop.stop()
        elif not self._connection.is_closing:
            self._connection.close()


def _why(reason: BaseException) -> str:
    """The innermost cause, by its kind and what the broker said; never where we connected to."""
    nested = getattr(reason, "exceptions", None)
    if nested:
        return _why(nested[-1])
    for inner in (getattr(reason, "exception", None), *reason.args[:1]):
        if isinstance(inner, BaseException):
            return _why(inner)
    said = getattr(reason, "reply_text", "")
    return f"{type(reason).__name__} {said}".strip()
