"""The command: what to pull, from where, and how it went."""

import argparse
import os
import platform
import sys
import time

from common.config import Secret
from entrepot import configuration
from entrepot.failure import Failure, Misused
from entrepot.progress import amount
from entrepot.terminal import Style
from entrepot.warm import lists, server
from entrepot.warm.access import Access
from entrepot.warm.board import Board
from entrepot.warm.images import Image, parse_all
from entrepot.warm.pulling import Warming

# What images call the machines that the kernel calls so (GOARCH).
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "loongarch64": "loong64",
}


def run(arguments: argparse.Namespace) -> int:
    """Warm; 0 when all images are cached, else 1. Raises Misused, Failure, ConfigError."""
    images = _images(arguments)
    board = Board(sys.stdout)
    warming = Warming(
        _server(arguments),
        Access(arguments.username or "", _password(arguments), arguments.cafile),
        board,
        platforms=arguments.platform or [_own_platform()],
        jobs=max(1, arguments.jobs),
    )
    try:
        failed = [image for image in images if not _warm(warming, image, board)]
    finally:
        warming.close()
        board.close()
    if len(images) > 1:
        print(f"{len(images) - len(failed)} of {len(images)} images are cached")
    return 1 if failed else 0


def _warm(warming: Warming, image: Image, board: Board) -> bool:
    style = Style(sys.stdout)
    begun = time.monotonic()
    board.say(style.strong(f"{image}"))
    try:
        pulled = warming.pull(image)
    except Failure as failure:
        board.clear()
        print(f"entrepot warm: {image}: {failure}", file=sys.stderr)
        return False
    seconds = time.monotonic() - begun
    board.say(f"digest: {pulled.digest}")
    board.say(
        f"{image}: {style.good('cached')}, {pulled.blobs} blobs,"
        f" {amount(pulled.size)} in {seconds:.1f} s"
    )
    return True


def _images(arguments: argparse.Namespace) -> list[Image]:
    named = [*arguments.images, *(name for path in arguments.files for name in lists.read(path))]
    images, wrong = parse_all(named)
    if wrong:
        listed = ", ".join(name[:160] for name in wrong)
        raise Misused(f"no image's name: {listed}", "expected such as ghcr.io/owner/image:tag")
    if not images:
        raise Misused("no image to warm", "name some, or give --from FILE: see --help")
    return images


def _server(arguments: argparse.Namespace) -> server.Server:
    if arguments.server:
        return server.at(arguments.server, cafile=arguments.cafile, cert=arguments.cert)
    config = configuration.read(arguments.config, os.environ).config
    return server.configured(config, cafile=arguments.cafile, cert=arguments.cert)


def _password(arguments: argparse.Namespace) -> Secret:
    path = arguments.password_file
    if not arguments.username:
        if path:
            raise Misused("--password-file: expected --username with it")
        return Secret()
    if not path:
        raise Misused("--username: expected --password-file with it")
    try:
        if path == "-":
            return Secret(sys.stdin.readline().rstrip("\r\n"))
        with open(path, encoding="utf-8") as file:
            return Secret(file.readline().rstrip("\r\n"))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error


def _own_platform() -> str:
    machine = platform.machine()
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"
