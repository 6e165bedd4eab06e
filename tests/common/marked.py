"""Parts of the documentation that are made by a program.

They stand between `<!-- NAME, by: make docs -->` and `<!-- end of NAME -->`.
"""

from pathlib import Path


def written(document: Path, name: str) -> str:
    """The part as the document has it; ValueError where it has none."""
    _, part, _ = _around(document, name)
    return part.strip()


def write(document: Path, name: str, part: str) -> None:
    """Put the part into the document."""
    before, _, after = _around(document, name)
    document.write_text(f"{before}\n\n{part}\n\n{after}", encoding="utf-8")


def _around(document: Path, name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name}, by: make docs -->", f"<!-- end of {name} -->"
    text = document.read_text(encoding="utf-8")
    first, last = text.index(begin) + len(begin), text.index(end)
    return text[:first], text[first:last], text[last:]
