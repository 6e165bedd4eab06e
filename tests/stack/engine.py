"""The container engine, asked through Docker's interface."""

import os
from pathlib import Path

import docker

_HOW = (
    "make test-stack needs a container engine that speaks Docker's interface. Start Docker, or"
    " `podman system service --time=0 unix:///run/podman/podman.sock`, and name another socket"
    " than /var/run/docker.sock in DOCKER_HOST=unix:///path."
)


class NoEngineError(Exception):
    """There is none; the message says how to give one."""


def connect() -> docker.DockerClient:
    """The engine at DOCKER_HOST, else at a usual socket; raises NoEngineError."""
    named = os.environ.get("DOCKER_HOST")
    sockets = ("/var/run/docker.sock", "/run/podman/podman.sock")
    usual = [f"unix://{path}" for path in sockets if Path(path).exists()]
    for address in [named] if named else usual:
        client = docker.DockerClient(base_url=address, timeout=600)
        try:
            client.ping()
        except Exception as error:
            client.close()
            raise NoEngineError(f"{address} does not answer: {error}. {_HOW}") from error
        return client
    raise NoEngineError(_HOW)


def is_podman(client: docker.DockerClient) -> bool:
    """Whether the engine is podman, whose builds need not run containers."""
    components = client.version().get("Components") or []
    return any("podman" in part["Name"].lower() for part in components)
