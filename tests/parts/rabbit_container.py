"""RabbitMQ in a container, where a Docker engine answers."""

import os
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from testcontainers.core.container import DockerContainer

from tests.parts.management import Management
from tests.parts.process import free_port
from tests.parts.rabbit import Rabbit

IMAGE = "rabbitmq:3-management"


class ContainerRabbit(Rabbit):
    """RabbitMQ in a container of testcontainers; raises DockerException when it cannot be had."""

    kind = f"{IMAGE} in a container"

    def __init__(self) -> None:
        # Ports of the host are fixed: with ports of its own choice the engine gives others
        # after a restart, and tests of reconnection need the old ones.
        management_port = free_port()
        # The user guest may only come from the container's own loopback; a new one from anywhere.
        management = Management(f"http://tests:tests@127.0.0.1:{management_port}")
        super().__init__("127.0.0.1", free_port(), management)
        self._container = (
            DockerContainer(IMAGE)
            .with_env("RABBITMQ_DEFAULT_USER", "tests")
            .with_env("RABBITMQ_DEFAULT_PASS", "tests")
            .with_bind_ports(5672, self.port)
            .with_bind_ports(15672, management_port)
        )
        self._container.start()
        self.wait_until_up()

    def start(self) -> None:
        self._container.get_wrapped_container().start()
        self.wait_until_up()

    def stop(self) -> None:
        self._container.get_wrapped_container().stop(timeout=30)

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def control(self, *arguments: str) -> None:
        done = self._container.exec(["rabbitmqctl", *arguments])
        assert done.exit_code == 0, done.output

    def close(self) -> None:
        self._container.stop()


def engine_answers() -> bool:
    """Whether a Docker engine accepts connections where DOCKER_HOST says, or where it usually is."""
    address = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    # Docker's own client leaves its socket open when nobody answers, and that is an error here.
    with suppress(OSError):
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(address.path)
        else:
            socket.create_connection((address.hostname, address.port or 2375), timeout=5).close()
        return True
    return False
