"""gunicorn's ASGI worker, with what a registry needs that it does not do.

- Requests that are not HTTP, or too large, get the specification's JSON, and a 4xx.
- Headers go out when they are known, not with the first byte of the body: a client that waits
  for a fill's last bytes would otherwise not even learn that there is an answer (containerd
  gives up after 30 s without headers).
- At shutdown connections that wait for a request are closed at once; gunicorn would wait for
  them as for running responses. A connection that never sends a request is closed too.
- A body may be a part of a file (`frontend.fileparts`), which is sent without a copy, or nearly.
- `worker_connections` is kept to: at the bound a newcomer takes the place of whoever has been
  waiting longest without a request, and is told to come again when all are being answered.
- Nobody here reads a request's body, so none is waited for before the answer: what is still to come
  of it is taken and thrown away for some seconds, then the connection is closed.
- At shutdown a worker stays until clients have what it sent: `frontend.undelivered`.
- An upgrade to WebSocket is ignored, as a server may (RFC 9110, section 7.8).
- Newcomers are let in several at a turn of the loop (`frontend.listening`), and the kernel has as many
  of them wait as `backlog` says.
- A plain request for what is in memory (`frontend.lane`) is answered as soon as it is read: what
  gunicorn makes of a request, two tasks among it, costs more than all that such an answer takes.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.asgi import protocol as gunicorn_protocol
from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from frontend import heads
from frontend.errors import body_of
from frontend.fileparts import FilePart
from frontend.listening import listen_more
from frontend.sending import Copying, Sendfile, Sending
from frontend.undelivered import undelivered
from frontend.unsent import unsent

# How long a connection may stay open without a first request, in seconds.
_FIRST_REQUEST = 60.0

# How long an answered connection waits for the rest of the request's body, in seconds.
_REST_OF_BODY = 5.0

# What has a worker end.
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

ENDING_SECONDS = 2
"""What a worker has, after the time to drain, to tell what is still to be told."""

_CODES = {400: "UNSUPPORTED", 414: "NAME_INVALID", 431: "UNSUPPORTED", 503: "TOOMANYREQUESTS"}

# By RFC 9110, whose names gunicorn has where Python's are older, but not of every status.
_REASONS: dict[int, str] = {
    **{status.value: status.phrase for status in HTTPStatus},
    **gunicorn_protocol._REASON_PHRASES,  # noqa: SLF001 - it offers no setting
    416: "Range Not Satisfiable",
}

_OK = b"HTTP/1.1 200 OK\r\n"
_SERVER = gunicorn_protocol._CACHED_SERVER_HEADER  # noqa: SLF001 - as above


class Protocol(ASGIProtocol):  # type: ignore[misc]  # gunicorn has no types
    """One connection."""

    _response_buffer: bytes | None
    _silence: asyncio.TimerHandle
    _sending: Sending | None = None
    _answering = False  # of the current request's answer something is written
    _wastes_body = False
    _at_once: Callable[[bytes], tuple[bytes, bytes] | None] | None = None
    _reads = False  # gunicorn's parser has the beginning of a request
    _bounded: socket.socket | None = None  # of which the kernel is told how much it is to hold
    _unsent = 0
    _answered = 0.0  # when a request was last answered at once, by the loop's clock

    def connection_made(self, transport: Any) -> None:
        """Note the connection, and have the kernel notice when its peer is gone."""
        super().connection_made(transport)
        self.worker.protocols[self] = None
        # gunicorn has an application of its own for one it cannot load.
        self._at_once = getattr(self.app, "at_once", None)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if connection.family != socket.AF_UNIX:
                self._bounded = connection
                self._bound_unsent()
        self._silence = self.worker.loop.call_later(_FIRST_REQUEST, self._close_if_silent)
        if self.worker.nr_conns > self.worker.worker_connections:
            self._make_room()

    def _bound_unsent(self) -> None:
        most = unsent(self.worker.nr_conns, self.worker.cfg.workers)
        if most != self._unsent and self._bounded is not None:
            self._unsent = most
            with suppress(OSError):  # gone by now
                self._bounded.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, most)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; the timer would keep it, with all its buffers, for its minute."""
        self._silence.cancel()
        self._stop_sending()
        self.worker.protocols.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer at once, or have gunicorn make a request of it."""
        at_once = self._at_once
        answer = None if at_once is None or not self._is_free() else at_once(data)
        if answer is None:
            super().data_received(data)
        else:
            self._answer_at_once(*answer)

    def _is_free(self) -> bool:
        """Whether what comes now begins a request, and an answer written now is the next to go."""
        return (
            not self._reads
            and not self._request_ready.is_set()  # set, as long as one is being answered
            and not self._flow_control.write_paused
            and self.worker.alive  # else the answer says that the connection ends with it
        )

    def _answer_at_once(self, fields: bytes, body: bytes) -> None:
        date = gunicorn_protocol._get_cached_date_header()  # noqa: SLF001 - as above
        self._safe_write(b"%b%b%b%b\r\n%b" % (_OK, fields, _SERVER, date, body))
        self.req_count += 1
        self._answered = self.worker.loop.time()
        if self._keepalive_handle is None:
            self._arm_keepalive_timer()

    def _keepalive_timeout(self) -> None:
        # Set anew for each request, the timer would be a good part of what that costs.
        left = self._answered + self._keepalive - self.worker.loop.time()
        if left > 0:
            self._keepalive_handle = self.worker.loop.call_later(left, self._keepalive_timeout)
        else:
            super()._keepalive_timeout()

    def _feed_callback_parser(self, data: bytes) -> bool:
        self._reads = True
        goes_on: bool = super()._feed_callback_parser(data)
        return goes_on

    def close_if_idle(self) -> bool:
        """Close the connection unless it is answering; whether it was closed now."""
        if self._closed or not (self._awaiting_request or self._wastes_body):
            return False
        self._close_transport()
        self._request_ready.set()
        return True

    def _make_room(self) -> None:
        others = (other for other in list(self.worker.protocols) if other is not self)
        if not any(other.close_if_idle() for other in others):
            self._send_error_response(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", [("Retry-After", "5")]
            )
            self._close_transport()
            self._request_ready.set()

    def _close_if_silent(self) -> None:
        if self.req_count <= 1:
            self.close_if_idle()

    def _on_headers_complete(self) -> bool:
        self._answering = self._reads = False
        skips_body: bool = super()._on_headers_complete()
        heads.settle(self._current_request)
        return skips_body

    def _is_websocket_upgrade(self, _request: Any) -> bool:
        return False

    async def _finish_app_calls(self, cancel: bool) -> None:
        # The last that gunicorn does before it closes a connection.
        await super()._finish_app_calls(cancel)
        if not cancel and not self._closed and self._body_receiver is not None:
            await self._waste_body()

    async def _waste_body(self) -> None:
        """Closed before its body is here, a connection would be reset by it, and the answer might be
        lost with it (RFC 9112, section 9.6).
        """
        self._wastes_body = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        loop = self.worker.loop
        end = loop.time() + _REST_OF_BODY
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                # The time-out alone may go unheard: gunicorn waits by asyncio.wait_for, which before
                # Python 3.12 swallows a cancellation in the turn in which something has come.
                while (await self._body_receiver.receive()).get("more_body") and loop.time() < end:
                    pass

    def _send_response_start(
        self, status: int, headers: Any, request: Any, close: bool = False
    ) -> None:
        self._answering = True
        super()._send_response_start(status, headers, request, close=close)
        # When there is something to send, it is sent before the loop comes to this, with the
        # headers in the same packet.
        self.worker.loop.call_soon(self._flush_headers)

    def _flush_headers(self) -> None:
        if self._response_buffer:
            self._safe_write(self._response_buffer)
            self._response_buffer = None

    def _send_body(
        self, body: Any, chunked: bool = False, last: bool = False, size: int | None = None
    ) -> None:
        if not isinstance(body, FilePart):
            super()._send_body(body, chunked, last, size)
            return
        self._bound_unsent()  # there may be more of them, or fewer, than when it was made
        head, self._response_buffer = self._response_buffer or b"", None
        way, flow = None if self._is_ssl else self.worker.way, self._flow_control
        self._sending = Sending(self.transport, body, way, self._sent, paused=flow.write_paused)
        # The application waits, as it does for the transport, until all of the part is sent.
        flow.pause_writing()
        self._sending.start(head)

    def _sent(self) -> None:
        self._sending = None
        self._flow_control.resume_writing()

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.stop()

    def _close_transport(self) -> None:
        self._stop_sending()
        super()._close_transport()

    def pause_writing(self) -> None:
        """Called by the transport when it holds more than it should."""
        if self._sending is None:
            super().pause_writing()
        else:
            self._sending.pause()

    def resume_writing(self) -> None:
        """Called by the transport when it no longer does."""
        if self._sending is None:
            super().resume_writing()
        else:
            self._sending.resume()

    def _send_error_response(self, status: int, message: str, extra_headers: Any = ()) -> None:
        if self._answering and self._current_request is not None:
            return  # it would be taken for a part of the answer: the connection is closed short of it
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            body = body_of("UNKNOWN", "something went wrong here")
        else:
            # 501 is gunicorn's word for a transfer coding it does not know: the client's mistake.
            status = HTTPStatus.BAD_REQUEST if status == HTTPStatus.NOT_IMPLEMENTED else status
            body = body_of(_CODES.get(status, "UNSUPPORTED"), message)
        extra = "".join(f"{name}: {value}\r\n" for name, value in extra_headers)
        self._safe_write(
            f"HTTP/1.1 {int(status)} {_REASONS[status]}\r\n"
            "Content-Type: application/json\r\n"
            "Docker-Distribution-Api-Version: registry/2.0\r\n"
            f"Content-Length: {len(body)}\r\n{extra}Connection: close\r\n\r\n".encode("latin-1")
            + body
        )


class Master(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """The process that has the workers."""

    def spawn_worker(self) -> Any:
        """Fork a worker, to which what ends it waits until its loop runs (`Worker._serve`).

        With the master's own handlers, which it begins with, it would take that for a message to the
        master; and uvloop loses what comes after its handlers are set and before it runs. The master
        would wait for such a worker as long as for a running stream, and then kill it.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            return super().spawn_worker()
        finally:
            if os.getpid() == self.pid:  # a worker that ends comes by here, too
                signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]  # gunicorn has no types
    """A frontend worker process."""

    alive: bool
    asgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with no connections."""
        super().__init__(*args, **kwargs)
        self.protocols: dict[Protocol, None] = {}  # in the order of their coming
        self._serving: asyncio.Task[Any] | None = None
        self._opening: asyncio.Future[None] | None = None
        self.way = Sendfile() if self.cfg.sendfile else Copying()

    def init_process(self) -> None:
        """Have the worker make our connections; what it makes them of is named in its modules."""
        gasgi.ASGIProtocol = Protocol
        gunicorn_protocol._REASON_PHRASES = _REASONS  # noqa: SLF001 - as above
        super().init_process()

    def notify(self) -> None:
        """Beat; gunicorn's loop does, as long as it serves."""
        if self._serving is None:
            self._opening = asyncio.ensure_future(self._listen())
        self._serving = asyncio.current_task()
        super().notify()

    async def _listen(self) -> None:
        # With gunicorn's own create_server the kernel holds no more than a hundred newcomers: of a
        # fleet that pulls at once the others would try again a second later.
        for listener in self.sockets:
            self.servers += await listen_more(
                listener.sock,
                lambda: Protocol(self),
                context=self._get_ssl_context(),
                backlog=self.cfg.backlog,
            )

    def handle_exit_signal(self) -> None:
        """Begin to drain at once; gunicorn's loop, once it runs, would notice within a second."""
        first, self.alive = self.alive, False
        if first and self._serving is not None:
            self._serving.cancel()

    async def _serve(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        await super()._serve()

    async def _shutdown(self) -> None:
        self._serving = None  # a second signal must not cut the drain short
        drain = getattr(self.asgi, "drain", None)
        if drain is not None:  # gunicorn has an application of its own for one it cannot load
            drain()
        # The master waits longer: what a worker does after its last client takes time, too.
        self.cfg.set("graceful_timeout", self.cfg.graceful_timeout - ENDING_SECONDS)
        deadline = self.loop.time() + self.cfg.graceful_timeout
        ports = self._ports()
        closing = asyncio.ensure_future(self._close_idle())
        try:
            if self._opening is not None:
                await asyncio.wait({self._opening})  # what it opens is to be closed
            await super()._shutdown()
        finally:
            closing.cancel()
        # As long as there is time to drain; the kernel does not say when, only whether.
        while self._may_wait(deadline) and undelivered(ports):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def _may_wait(self, deadline: float) -> bool:
        return not self._quick_shutdown and self.loop.time() < deadline

    def _ports(self) -> list[int]:
        addresses = (listener.sock.getsockname() for listener in self.sockets)
        return [address[1] for address in addresses if isinstance(address, tuple)]

    async def _close_idle(self) -> None:
        # Again and again, since those that answer now become idle when they have answered.
        while True:
            for protocol in list(self.protocols):
                protocol.close_if_idle()
            await asyncio.sleep(0.05)
