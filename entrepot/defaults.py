"""The configuration used where none is given."""

from importlib.resources import files

from common.config import Document


def packaged() -> Document:
    """`entrepot/default.yml`, wherever the package is installed."""
    text = files("entrepot").joinpath("default.yml").read_text(encoding="utf-8")
    return Document("the packaged default.yml", text)
