"""Lists of images: files with one a line, or Kubernetes manifests."""

import sys
from collections.abc import Iterator
from typing import Any

import yaml

from entrepot.failure import Failure

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def read(path: str) -> list[str]:
    """The images that the file `path` names (`-`: standard input); raises Failure."""
    try:
        if path == "-":
            return images_in(sys.stdin.read())
        with open(path, encoding="utf-8") as file:
            return images_in(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        where = str(error).replace("\n", " ")
        advice = "expected one image a line, or Kubernetes manifests in YAML"
        raise Failure(f"{path}: {where}", advice) from error


def images_in(text: str) -> list[str]:
    """The images in `text`, in the order in which they stand there; raises yaml.YAMLError.

    A list of images is seldom YAML that means anything else than one text, so what holds a table
    or a list is taken for manifests.
    """
    if not _looks_like_yaml(text):
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        return [line for line in lines if line]
    return [image for document in yaml.safe_load_all(text) for image in _images(document)]


def _looks_like_yaml(text: str) -> bool:
    # An image has a colon before its tag, but never a space behind it, nor one at its end.
    lines = [line.partition(" #")[0].rstrip() for line in text.splitlines()]
    return any(
        line in {"---", "-"}
        or line.startswith(("{", "[", "- "))
        or ": " in line
        or line[-1:] == ":"
        for line in lines
        if not line.startswith("#")
    )


def _images(found: Any) -> Iterator[str]:
    """Of containers, at any depth: a pod's, a template's, those of a list of resources."""
    if isinstance(found, list):
        for item in found:
            yield from _images(item)
    elif isinstance(found, dict):
        for key, value in found.items():
            if key in _CONTAINERS and isinstance(value, list):
                yield from _named(value)
            else:
                yield from _images(value)


def _named(containers: list[Any]) -> Iterator[str]:
    for container in containers:
        image = container.get("image") if isinstance(container, dict) else None
        if isinstance(image, str) and image.strip():
            yield image.strip()
