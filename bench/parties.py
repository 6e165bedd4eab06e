"""Those who are compared: each a program that serves the same content."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import usage
from bench.figures import DIRECT, ENTREPOT, NGINX, REGISTRY
from bench.goods import Goods
from common import mediatypes
from tests.parts.process import Process, free_port

_PACKAGES = {"wrk": "wrk", "nginx": "nginx", "docker-registry": "docker-registry"}


class Missing(Exception):
    """A program that is compared with, or measures, is not installed; the text says which."""


@dataclass(frozen=True)
class Party:
    """One of them, running."""

    name: str
    port: int
    processes: tuple[Process, ...]
    debug: int = 0
    """Where it tells its metrics; 0: nowhere."""

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return sum(usage.cpu_seconds(process.pid) for process in self.processes)

    def pss_bytes(self) -> int:
        """Memory of all its processes."""
        return sum(usage.pss_bytes(process.pid) for process in self.processes)

    def stop(self) -> None:
        """End it; what it stored is thrown away anyway."""
        for process in self.processes:
            process.kill()


def find_programs() -> None:
    """Raise Missing, unless all that is needed is installed."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin"
    missing = [package for name, package in _PACKAGES.items() if not shutil.which(name)]
    if missing:
        raise Missing(
            f"not installed: {', '.join(missing)} (Debian: apt install {' '.join(missing)})"
        )


def upstream(goods: Goods, folder: Path) -> Party:
    """The upstream, which is also who a direct pull asks."""
    port = free_port()
    process = Process(
        [sys.executable, "-m", "bench.upstream", str(goods.folder), str(port)],
        log=folder / "upstream.log",
    )
    process.until_listening(port)
    return Party(DIRECT, port, (process,))


def entrepot(folder: Path, remote: str, **sections: Any) -> Party:
    """`entrepot serve` as it comes: only where it is and what it caches are configured."""
    port = free_port()
    file = configure(folder, ENTREPOT, port, remote, **sections)
    return Party(ENTREPOT, port, (role("serve", file, port),))


def watched(folder: Path, remote: str, **sections: Any) -> Party:
    """`entrepot serve` that tells its metrics."""
    port, debug = free_port(), free_port()
    told = {"addr": f"127.0.0.1:{debug}", "prometheus": {"enabled": True}}
    http = {"addr": f"127.0.0.1:{port}", "debug": told}
    file = configure(folder, ENTREPOT, port, remote, http=http, **sections)
    return Party(ENTREPOT, port, (role("serve", file, port),), debug)


def role(name: str, file: Path, port: int | None) -> Process:
    """One of entrepot's commands, listening if it has a port."""
    argv = [sys.executable, "-P", "-m", "entrepot", name, str(file)]
    # The settings are the file's alone.
    env = {name: "" for name in os.environ if name.startswith("REGISTRY_")}
    process = Process(argv, log=file.with_suffix(f".{name}.log"), env=env)
    if port is not None:
        process.until_listening(port, 60)
    return process


def configure(folder: Path, name: str, port: int, remote: str, **sections: Any) -> Path:
    """Write entrepot's configuration."""
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / ENTREPOT)}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "proxy": {"remoteurl": remote},
        **sections,
    }
    file = folder / f"{name}.json"
    file.write_text(json.dumps(config))  # JSON is YAML
    return file


def registry(folder: Path, remote: str) -> Party:
    """Debian's docker-registry as a mirror, without the logs that cost it a good part of its rate."""
    port = free_port()
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / REGISTRY)},
            "cache": {"blobdescriptor": "inmemory"},
        },
        "http": {"addr": f"127.0.0.1:{port}"},
        "proxy": {"remoteurl": remote},
    }
    file = folder / f"{REGISTRY}.json"
    file.write_text(json.dumps(config))
    env = {name: "" for name in os.environ if name.startswith("REGISTRY_")}
    process = Process(
        ["docker-registry", "serve", str(file)], log=file.with_suffix(".log"), env=env
    )
    process.until_listening(port)
    return Party(REGISTRY, port, (process,))


_NGINX = """
daemon off;
{user}
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=1000;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    types {{ }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        default_type application/octet-stream;
        location ~ /manifests/ {{ default_type {manifest}; }}
    }}
}}
"""


def nginx(folder: Path, goods: Goods) -> Party:
    """nginx over the upstream's files: it knows of no digests, tags or repositories; the limit."""
    port = free_port()
    text = _NGINX.format(
        # Its workers would otherwise become a user who may not read this folder.
        user="user root;" if os.geteuid() == 0 else "",
        folder=folder,
        port=port,
        root=goods.folder,
        manifest=mediatypes.OCI_MANIFEST,
    )
    file = folder / "nginx.conf"
    file.write_text(text)
    process = Process(["nginx", "-e", "stderr", "-c", str(file)], log=file.with_suffix(".log"))
    process.until_listening(port)
    return Party(NGINX, port, (process,))
