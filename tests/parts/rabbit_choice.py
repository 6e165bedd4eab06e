"""Which broker the tests run with: the first there is of a named one, a container, Debian's."""

import os
from pathlib import Path

import requests
from docker.errors import DockerException

from tests.parts.rabbit import DebianRabbit, NamedRabbit, Rabbit
from tests.parts.rabbit_container import ContainerRabbit, engine_answers

_URL = "ENTREPOT_TEST_AMQP"


def planned() -> str:
    """What `choose` is going to try first, in words."""
    if os.environ.get(_URL):
        return NamedRabbit.kind
    if engine_answers():
        return ContainerRabbit.kind
    return f"{DebianRabbit.kind} (no {_URL}, no Docker engine)"


def choose(folder: Path) -> tuple[Rabbit, str]:
    """A running broker, and how it was chosen. Raises when there is none to be had."""
    url = os.environ.get(_URL)
    if url:
        return NamedRabbit(url, os.environ.get(f"{_URL}_MANAGEMENT")), NamedRabbit.kind
    if not engine_answers():
        return DebianRabbit(folder), DebianRabbit.kind
    try:
        return ContainerRabbit(), ContainerRabbit.kind
    except (DockerException, requests.RequestException) as error:
        # An engine without a way to the image: the machine's own broker still serves.
        reason = f"{ContainerRabbit.kind} could not be had: {error}"
        return DebianRabbit(folder), f"{DebianRabbit.kind}; {reason}"
