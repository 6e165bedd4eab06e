"""The debug server on real sockets."""

import json
import select
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from common.config import Config
from common.debug import Probes, Reply, Server, listen, open_listener
from common.errors import ConfigError
from tests.common.configuring import MINIMAL, config
from tests.waiting import until


class Broker:
    """As much of one as is asked."""

    connected = True


def ask(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


@contextmanager
def served(**pages: Any) -> Iterator[int]:
    listener = listen("127.0.0.1", 0)
    server = Server(listener, {f"/{name}": page for name, page in pages.items()})
    server.start()
    yield listener.getsockname()[1]
    server.close()


def _configured(root: Path, health: str = "") -> Config:
    return config(MINIMAL.replace("/srv/cache", str(root)) + health)


@contextmanager
def probed(
    root: Path, health: str = "", *, writes: bool = False, needs_broker: bool = False
) -> Iterator[tuple[Probes, int, Broker]]:
    listener, broker = listen("127.0.0.1", 0), Broker()
    probes = Probes(_configured(root, health), listener, writes=writes)
    probes.start(broker, needs_broker=needs_broker)
    port = listener.getsockname()[1]
    yield probes, port, broker
    probes.stop()


def test_pages_are_served_and_others_are_not_there() -> None:
    with served(page=lambda: Reply.of({"a": 1})) as port:
        assert ask(port, "/page?x=y") == (200, b'{"a": 1}')
        assert ask(port, "/page", "HEAD") == (200, b"")
        assert ask(port, "/other")[0] == 404
        assert ask(port, "/page", "POST")[0] == 501


def test_a_page_that_breaks_answers_500_and_the_next_one_is_served() -> None:
    def broken() -> Reply:
        raise ZeroDivisionError

    with served(broken=broken, page=lambda: Reply(b"well")) as port:
        assert ask(port, "/broken")[0] == 500
        assert ask(port, "/page") == (200, b"well")


def test_clients_that_say_nothing_hold_up_nobody_until_there_are_too_many() -> None:
    with served(page=lambda: Reply(b"well")) as port, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(15)
        ]
        assert ask(port, "/page") == (200, b"well")
        more: list[socket.socket] = []

        # Whoever was answered may have its place for a moment yet.
        def is_one_turned_away() -> bool:
            more.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            ready, _, _ = select.select(more, [], [], 0.1)
            return bool(ready) and ready[0].recv(1) == b""

        until(is_one_turned_away)
        for connection in (*silent, *more):
            connection.close()
        until(lambda: _answers(port))


def _answers(port: int) -> bool:
    try:
        return ask(port, "/page") == (200, b"well")
    except OSError:
        return False


def test_health_is_distributions(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    section = f"health: {{file: [{{file: '{flag}', interval: 10ms}}]}}\n"
    with probed(tmp_path, section) as (_, port, _broker):
        assert ask(port, "/debug/health") == (200, b"{}")
        flag.touch()
        expected = json.dumps({str(flag): "file exists"}).encode()
        until(lambda: ask(port, "/debug/health") == (503, expected))
        assert ask(port, "/debug/live")[0] == 200
        assert ask(port, "/debug/ready")[0] == 503
        flag.unlink()
        until(lambda: ask(port, "/debug/health") == (200, b"{}"))


def test_a_frontend_is_ready_without_the_queue_and_a_fetcher_is_not(tmp_path: Path) -> None:
    with probed(tmp_path) as (_, port, broker):
        broker.connected = False
        status, body = ask(port, "/debug/ready")
        assert (status, json.loads(body)["queue"]) == (200, "out of reach")
    with probed(tmp_path, writes=True, needs_broker=True) as (_, port, broker):
        assert ask(port, "/debug/ready")[0] == 200
        broker.connected = False
        assert ask(port, "/debug/ready")[0] == 503
        assert ask(port, "/debug/live")[0] == 200


def test_who_drains_lives_but_is_not_ready(tmp_path: Path) -> None:
    with probed(tmp_path) as (probes, port, _):
        probes.readiness.drain()
        status, body = ask(port, "/debug/ready")
        assert (status, json.loads(body)["draining"]) == (503, True)
        assert ask(port, "/debug/live")[0] == 200


def test_without_its_storage_folder_nobody_is_ready(tmp_path: Path) -> None:
    with probed(tmp_path / "unmounted") as (_, port, _broker):
        until(lambda: ask(port, "/debug/ready")[0] == 503)
        assert json.loads(ask(port, "/debug/ready")[1])["storage"] == "No such file or directory"


def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        section = f"http: {{debug: {{addr: '{address}'}}}}\n"
        with pytest.raises(ConfigError, match=r"http.debug.addr: .*in use"):
            open_listener(config(MINIMAL + section))


def test_no_address_means_no_listener() -> None:
    assert open_listener(config()) is None
