"""A real RabbitMQ: one that the environment names, one in a container, or Debian's."""

import os
import shutil
import subprocess
import urllib.parse
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.management import Management
from tests.parts.process import Process, free_port
from tests.waiting import until

_START_SECONDS = 90.0


class Rabbit(ABC):
    """A running broker, with its management interface, on this machine's loopback or elsewhere."""

    # What ran, for the one who reads the test report.
    kind: str

    def __init__(self, host: str, port: int, management: Management) -> None:
        self.host = host
        self.port = port
        self.management = management

    @property
    def url(self) -> str:
        """AMQP URL of the default virtual host."""
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """AMQP URL of a virtual host."""
        quote = urllib.parse.quote
        user = quote(self.management.user, safe="")
        password = quote(self.management.password, safe="")
        return f"amqp://{user}:{password}@{self.host}:{self.port}/{quote(vhost, safe='')}"

    @contextmanager
    def fresh_vhost(self) -> Iterator[str]:
        """URL of an empty virtual host of one's own, removed afterwards."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.management.make_vhost(name)
        try:
            yield self.url_of(name)
        finally:
            # A test may leave the broker stopped; the next one wants it up.
            self.start()
            self.management.drop_vhost(name)

    def wait_until_up(self) -> None:
        """Return once the broker serves AMQP and its management interface."""
        until(self.management.answers, _START_SECONDS, f"{self.kind} to start")

    @abstractmethod
    def start(self) -> None:
        """Start it again with the data it had, and wait; nothing when it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it in good order, and wait."""

    @abstractmethod
    def kill(self) -> None:
        """Stop it as a power cut would."""

    def raise_alarm(self) -> None:
        """Have it believe that it is out of memory: it blocks whoever publishes."""
        self.control("set_vm_memory_high_watermark", "absolute", "1")

    def clear_alarm(self) -> None:
        """Have it believe that there is enough again."""
        self.control("set_vm_memory_high_watermark", "0.4")

    @abstractmethod
    def control(self, *arguments: str) -> None:
        """`rabbitmqctl` with these arguments."""

    @abstractmethod
    def close(self) -> None:
        """End it for good."""


class NamedRabbit(Rabbit):
    """The broker at ENTREPOT_TEST_AMQP; it belongs to somebody else and cannot be stopped.

    Its management interface is looked for at ENTREPOT_TEST_AMQP_MANAGEMENT, else on port 15672
    of the same host.
    """

    kind = "RabbitMQ named by ENTREPOT_TEST_AMQP"

    def __init__(self, url: str, management_url: str | None) -> None:
        parts = urllib.parse.urlsplit(url)
        credentials = parts.netloc.rpartition("@")[0] or "guest:guest"
        fallback = f"http://{credentials}@{parts.hostname}:15672"
        host = parts.hostname or "127.0.0.1"
        super().__init__(host, parts.port or 5672, Management(management_url or fallback))
        self.wait_until_up()

    def start(self) -> None:
        self.wait_until_up()

    def stop(self) -> None:
        raise AssertionError(f"{self.kind} cannot be stopped by a test: unset the variable")

    def kill(self) -> None:
        self.stop()

    def control(self, *arguments: str) -> None:
        raise AssertionError(f"{self.kind} cannot be controlled by a test: unset the variable")

    def close(self) -> None:
        """Nothing: it goes on for its owner."""


class DebianRabbit(Rabbit):
    """Debian's `rabbitmq-server` in a folder of its own, with its own port mapper."""

    kind = "rabbitmq-server from PATH"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        management_port = free_port()
        super().__init__(
            "127.0.0.1",
            free_port(),
            Management(f"http://guest:guest@127.0.0.1:{management_port}"),
        )
        self._folder = folder
        (folder / "plugins").write_text("[rabbitmq_management].\n")
        (folder / "rabbitmq.conf").write_text(
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management_port}\n"
        )
        self._program = _rabbitmq_program()
        self._environment = self._make_environment()
        # Erlang nodes find each other through epmd. A daemon would outlive the tests.
        epmd_port = self._environment["ERL_EPMD_PORT"]
        self._epmd = Process(
            ["epmd", "-port", epmd_port, "-address", "127.0.0.1"], log=folder / "epmd.log"
        )
        self._epmd.until_listening(int(epmd_port))
        self._server: Process | None = None
        self.start()

    def _make_environment(self) -> dict[str, str]:
        folder = self._folder
        return {
            "HOME": str(folder),  # where Erlang keeps the cookie
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"entrepot-{uuid.uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "feature_flags"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_LOGS": "-",
            # The script then becomes the Erlang machine instead of its parent, which makes our
            # child the one to signal.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput +S 2:2 +sbwt none -start_epmd false"
            " -kernel inet_dist_use_interface {127,0,0,1}",
        }

    def start(self) -> None:
        if self._server is not None and self._server.exit_code is None:
            return
        self._server = Process(
            [self._program], log=self._folder / "rabbitmq.log", env=self._environment
        )
        self._server.until_listening(self.port, _START_SECONDS)
        self.wait_until_up()

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate(60)

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()

    def control(self, *arguments: str) -> None:
        program = self._program.replace("rabbitmq-server", "rabbitmqctl")
        done = subprocess.run(
            [program, *arguments],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def close(self) -> None:
        self.kill()
        self._epmd.kill()


def _rabbitmq_program() -> str:
    """Debian's own script on PATH gives up root's rights for a user whose folders are fixed;
    the one it wraps takes its folders from the environment.
    """
    inner = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if inner.exists():
        return str(inner)
    found = shutil.which("rabbitmq-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, "tests need RabbitMQ: set ENTREPOT_TEST_AMQP, or install rabbitmq-server"
    return found
