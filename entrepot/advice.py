"""What a configuration that can be read may still get wrong on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

from common.config import Config

_SHARED_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre"}


def advise(config: Config, mounts: str) -> Iterator[str]:
    """Warnings; `mounts` is the text of /proc/self/mountinfo, empty where there is none."""
    yield from _folder("storage.filesystem.rootdirectory", Path(config.storage.rootdirectory))
    if config.queue.is_embedded:
        yield from _folder("queue.url", Path(config.queue.path).parent)
        yield from _queue_is_local(config.queue.path, mounts)
    if not config.http.draintimeout:
        yield "http.draintimeout: 0 cuts every running pull when a frontend stops"
    if config.http.net == "unix":
        yield from _folder("http.addr", Path(config.http.addr).parent)
    yield from _authorities(config)
    yield from _accounts(config.http.debug.console.htpasswd)


def _folder(key: str, path: Path) -> Iterator[str]:
    """A folder is made when it is missing; so what counts is the nearest that exists."""
    nearest = path
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    if not os.path.isdir(nearest):
        yield f"{key}: {nearest} is not a folder"
    elif not os.access(nearest, os.W_OK | os.X_OK, effective_ids=True):
        yield f"{key}: {nearest} cannot be written by user {os.geteuid()}"


def _queue_is_local(path: str, mounts: str) -> Iterator[str]:
    kind = _file_system(os.path.realpath(path), mounts)
    if kind in _SHARED_FILE_SYSTEMS or kind.startswith("fuse."):
        yield (
            f"queue.url: {path} is on {kind}; the embedded queue serves one machine and needs a"
            " local file system: move it, or use amqp://"
        )


def _file_system(path: str, mounts: str) -> str:
    """The type of the file system that holds `path` (proc(5), /proc/[pid]/mountinfo)."""
    best, kind = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        # A later mount on the same point hides the earlier one.
        point = before.split()[4].replace("\\040", " ").rstrip("/")
        if f"{path}/".startswith(f"{point}/") and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _authorities(config: Config) -> Iterator[str]:
    for upstream in config.proxy.upstreams.values():
        file = upstream.cafile
        if file is not None and not os.access(file, os.R_OK, effective_ids=True):
            yield f"proxy: {upstream.remoteurl}: cafile {file} cannot be read"


def _accounts(file: str) -> Iterator[str]:
    if file and not os.access(file, os.R_OK, effective_ids=True):
        yield (
            f"http.debug.console.htpasswd: {file} cannot be read; nobody comes to see the console"
        )
