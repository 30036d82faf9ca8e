"""A hook of MkDocs: the site also has the pages that lie outside docs/, and links between all of them work.

In the repository each page lies where GitHub shows it: README.md at the top, FORMAT.md next to the code it specifies.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_PROJECT = Path(__file__).resolve().parent.parent
_ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "ledger/FORMAT.md": "format.md",
    "benchmarks/README.md": "benchmarks.md",
    "data/examples/README.md": "examples.md",
}
"""Pages outside docs/, by their path in the repository, and their name on the site."""

_LINK = re.compile(r"\]\(([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for path, name in _ELSEWHERE.items():
        files.append(File.generated(config, name, content=(_PROJECT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn the links of a page, which are paths in the repository, into paths on the site."""
    names = {name: path for path, name in _ELSEWHERE.items()}
    folder = posixpath.dirname(names.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def on_the_site(found: re.Match[str]) -> str:
        target = found[1]
        if re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if (_PROJECT / path).is_dir():
            path = f"{path}/README.md"
        name = _ELSEWHERE.get(path, path.removeprefix("docs/"))
        return f"]({posixpath.relpath(name, posixpath.dirname(page.file.src_uri) or '.')}"

    return _LINK.sub(on_the_site, markdown)
