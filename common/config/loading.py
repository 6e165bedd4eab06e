"""Finding the file, reading it, and saying everything that is wrong with it at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.config import assembling, overrides, reading
from common.config.findings import Findings
from common.config.model import Config
from common.config.schema import SCHEMA, STORAGE
from common.config.tree import Node, NotReadable, Scalar, Table, parse_file
from common.errors import ConfigError, ConfigProblem

VERSION = "0.1"
"""The only version of distribution's format there is."""
_STORAGE_DRIVER = "filesystem"


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration's text, and the name that messages call it by."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what is worth saying about it."""

    config: Config
    warnings: tuple[str, ...]


def load(path: str | None, environ: Mapping[str, str], fallback: Document) -> Loaded:
    """The configuration in `path`, else in REGISTRY_CONFIGURATION_PATH, else in `fallback`.

    `environ` is the environment: the only place `REGISTRY_…` overrides and HOME are taken from.
    Raises ConfigError with every problem found.
    """
    document = _document(path or environ.get(overrides.CONFIGURATION_PATH), fallback)
    findings = Findings(document.name)
    root: Node = _parse(document)
    findings.look_at(root)
    _check_version(root, findings)
    root = overrides.apply(SCHEMA, root, environ, findings)
    findings.look_at(root)
    file = reading.read(SCHEMA, root, findings)
    config = assembling.assemble(file, environ, _has_driver(root), findings)
    findings.stop_if_wrong()
    return Loaded(config, tuple(findings.warnings))


def _document(path: str | None, fallback: Document) -> Document:
    if not path:
        return fallback
    try:
        return Document(path, Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except ValueError:
        reason = "not a path"
    raise ConfigError([ConfigProblem(path, "", f"expected a readable file: {reason}")])


def _parse(document: Document) -> Table:
    try:
        root = parse_file(document.text, document.name)
    except NotReadable as error:
        problem = ConfigProblem(error.origin, "", f"expected YAML, found {error}")
        raise ConfigError([problem]) from None
    if not isinstance(root, Table):
        expected = f"expected a mapping that begins with version: {VERSION}"
        raise ConfigError([ConfigProblem(document.name, "version", expected)])
    return root


def _check_version(root: Node, findings: Findings) -> None:
    version = root.entries.get("version") if isinstance(root, Table) else None
    if not isinstance(version, Scalar) or version.text != VERSION:
        findings.wrong(("version",), f"expected {VERSION}, the format of distribution's files")


def _has_driver(root: Node) -> bool:
    storage = root.entries.get("storage") if isinstance(root, Table) else None
    return _STORAGE_DRIVER in (STORAGE.entries(storage) or {})
