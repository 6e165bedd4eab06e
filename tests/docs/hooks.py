"""What mkdocs does not do by itself: pages from the root, links out of docs/, pictures in the page.

mkdocs loads this by its path (mkdocs.yml) and calls the functions that begin with `on_`.
"""

import re
from os.path import normpath
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the site that are files of the root."""

# Files of the repository that a page refers to go along, below this.
_OTHERS = "repository"

_LINK = re.compile(r"(\]\()([^()\s]+)(\))")
_PICTURE = re.compile(r'<img alt="([^"]*)" src="([^"]+\.svg)" ?/?>')


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the root's pages."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links lead to the site's own pages, and to copies of what else the repository has."""

    def changed(found: re.Match[str]) -> str:
        target, hash_, anchor = found[2].partition("#")
        if not target or ":" in target:
            return found[0]
        uri = _uri(source_of(page.file.src_uri), target)
        if uri.startswith(f"{_OTHERS}/") and files.get_file_from_path(uri) is None:
            path = ROOT / uri.removeprefix(f"{_OTHERS}/")
            # What is not there is left to mkdocs to complain of.
            if path.is_file():
                files.append(File.generated(config, uri, abs_src_path=str(path)))
        return f"{found[1]}{uri}{hash_}{anchor}{found[3]}"

    return _LINK.sub(changed, markdown)


def source_of(uri: str) -> PurePosixPath:
    """The repository's file that a page of the site is made from."""
    roots = {page: source for source, page in PAGES.items()}
    return PurePosixPath(roots.get(uri) or f"docs/{uri}")


def _uri(source: PurePosixPath, target: str) -> str:
    """Where the site has what `target` is to a file of the repository; the site's pages lie flat."""
    path = normpath(source.parent / target)
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{_OTHERS}/{path}"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put diagrams into the page: their text can be selected, and they follow its colours."""

    def drawn(found: re.Match[str]) -> str:
        text = (Path(config.docs_dir) / found[2]).read_text(encoding="utf-8")
        return text if 'class="diagram"' in text else found[0]

    return _PICTURE.sub(drawn, html)
