"""`entrepot warm`."""

import argparse

from entrepot.commands.command import Command, add_config_option


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", metavar="IMAGE", nargs="*", help="as docker pull takes them: alpine:3.20"
    )
    parser.add_argument(
        "--from",
        dest="files",
        metavar="FILE",
        action="append",
        default=[],
        help="a file with an image a line, or Kubernetes manifests (YAML); - is standard input",
    )
    parser.add_argument(
        "--platform",
        metavar="PLATFORM",
        action="append",
        help="such as linux/arm64, or all; may be given again (default: this machine's)",
    )
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=3, help="layers at the same time (3)"
    )
    _add_server(parser)
    add_config_option(parser)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server", metavar="URL", help="the cache to warm (default: http.addr of CONFIG)"
    )
    parser.add_argument("--username", metavar="NAME", help="where the cache asks for an account")
    parser.add_argument("--password-file", metavar="FILE", help="its password; - is standard input")
    parser.add_argument(
        "--cafile", metavar="FILE", help="the authorities that the cache's certificate is from"
    )
    parser.add_argument(
        "--cert", metavar="FILE", help="a client certificate and its key, where it asks for one"
    )


def _run(arguments: argparse.Namespace) -> int:
    from entrepot.warm import main  # noqa: PLC0415

    return main.run(arguments)


COMMAND = Command(
    "warm",
    "have images cached before they are needed",
    _run,
    (
        "entrepot warm alpine:3.20 ghcr.io/owner/image@sha256:…",
        "entrepot warm --platform linux/amd64 --platform linux/arm64 --from deployment.yml",
        "entrepot warm --server https://mirror.example:5000 --from images.txt",
    ),
    _add_arguments,
    "Pull images through the running cache and throw the bytes away, so that they are there when"
    " they are needed. Interrupted, run it again: what has arrived stays",
)
