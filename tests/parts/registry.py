"""Debian's `docker-registry` (distribution): as an upstream, and as a reader of our storage."""

import json
import os
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Self

from tests.parts.process import Process, free_port


class Registry:
    """A `docker-registry` over `folder`; pushes are allowed unless it is a mirror.

    With `remote` it is distribution's own pull-through cache of that URL. `port` stays the same
    over stop and start.
    """

    def __init__(self, folder: Path, *, remote: str | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self._remote = remote
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and return once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Beside the folder: nothing but what distribution itself writes may be in it.
        configuration = self.folder.with_name(f"{self.folder.name}.registry.yml")
        configuration.write_text(json.dumps(self._configuration()))
        self._process = Process(
            ["docker-registry", "serve", str(configuration)],
            log=self.folder.with_name(f"{self.folder.name}.registry.log"),
            # The settings are the file's alone.
            env={name: "" for name in os.environ if name.startswith("REGISTRY_")},
        )
        self._process.until_listening(self.port)

    def stop(self) -> None:
        """Stop it; nothing when it is stopped."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def put_manifest(self, name: str, reference: str, content: bytes, media_type: str) -> None:
        """Push a manifest byte for byte; skopeo writes indexes anew, without what it does not know."""
        url = f"{self.url}/v2/{name}/manifests/{reference}"
        headers = {"Content-Type": media_type}
        request = urllib.request.Request(url, content, headers, method="PUT")
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.status == HTTPStatus.CREATED

    def _configuration(self) -> dict[str, object]:
        # JSON is YAML.
        configuration: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder)},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.host},
        }
        if self._remote is not None:
            configuration["proxy"] = {"remoteurl": self._remote}
        return configuration
