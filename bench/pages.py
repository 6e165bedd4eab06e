"""How long the console takes for its pages of a large cache.

    python -m bench.pages FOLDER [REPOSITORIES [LAYERS]]

Below FOLDER, which must not exist, it makes a storage folder with so many repositories (10,000) of
one image and so many layers each (10), and one repository of 20,000 tags; it asks a console, which
runs by itself, for each page twenty times, prints the median and the longest in milliseconds, and
removes all of it in the end.
"""

import http.client
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.million import Made, connect, role, write
from common.digest import Digest
from common.mediatypes import OCI_MANIFEST
from common.messages import Kind
from common.paths import Layout
from common.reference import RepositoryName, Tag
from tests.parts.process import free_port

_TIMES = 20
_TAGS = 20_000
_LARGE = "zz/large"

_PAGES = {
    "overview": "/",
    "first page": "/cached",
    "a page in the middle": "/cached?after=team50/app5050",
    "a name that is there": "/cached?q=app9999",
    "a name that is not": "/cached?q=nowhere",
    "a repository": "/cached/team0/app0",
    f"one of {_TAGS:,} tags": f"/cached/{_LARGE}",
    "an image": "/cached/team0/app0:1",
}


def main() -> None:
    """Make, measure, remove."""
    folder = Path(sys.argv[1])
    repositories, layers = (*map(int, sys.argv[2:]), *(10_000, 10)[len(sys.argv) - 2 :])
    folder.mkdir(parents=True)
    try:
        begun = time.monotonic()
        make(folder / "root", repositories, layers)
        took = time.monotonic() - begun
        print(f"made {repositories:,} repositories of {layers} layers in {took:.0f} s", flush=True)
        measure(Made(folder / "root", repositories * layers, repositories))
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def make(root: Path, repositories: int, layers: int) -> None:
    """Write all files."""
    layout = Layout(str(root))
    for number in range(repositories):
        name = RepositoryName(f"team{number % 100}/app{number}")
        contents = [b"layer %d of %d" % (layer, number) for layer in range(layers)]
        digest = image(layout, name, contents)
        tag(layout, name, Tag("1"), digest)
    large = RepositoryName(_LARGE)
    for number in range(_TAGS):
        tag(layout, large, Tag(f"v{number}"), image(layout, large, [b"large %d" % number]))


def image(layout: Layout, name: RepositoryName, contents: list[bytes]) -> Digest:
    """An image, linked."""
    parts = [
        {"digest": add(layout, Kind.LAYER, name, each), "size": len(each)} for each in contents
    ]
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": parts[0], "layers": parts}
    return add(layout, Kind.MANIFEST, name, json.dumps(manifest).encode())


def add(layout: Layout, kind: Kind, name: RepositoryName, content: bytes) -> Digest:
    """A blob and its link."""
    digest = Digest.of(content)
    write(layout.blob(digest), content)
    write(layout.link(kind, name, digest), digest.encode())
    return digest


def tag(layout: Layout, name: RepositoryName, label: Tag, digest: Digest) -> None:
    """A tag that points there."""
    write(layout.tag_current(name, label), digest.encode())
    write(layout.tag_index(name, label, digest), digest.encode())


def measure(made: Made) -> None:
    """Ask for each page in turn."""
    port = free_port()
    debug = {"debug": {"addr": f"127.0.0.1:{port}"}}
    with role(made, "console", http=debug):
        connect(port, "/debug/live").close()
        for title, path in _PAGES.items():
            taken = [ask(port, path) for _ in range(_TIMES)]
            median, longest = statistics.median(taken) * 1e3, max(taken) * 1e3
            print(f"{title:24} median {median:6.0f} ms   longest {longest:6.0f} ms", flush=True)


def ask(port: int, path: str) -> float:
    """Seconds that a page took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    begun = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    taken = time.perf_counter() - begun
    connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path}: {answer.status}")
    return taken


if __name__ == "__main__":
    main()
