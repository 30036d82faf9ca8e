"""Every link in the Markdown files leads to a file, and to a heading, of this repository."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.conftest import PROJECT

PAGES = [
    *(PROJECT / name for name in ("README.md", "CHANGELOG.md", "ledger/FORMAT.md")),
    *(PROJECT / name / "README.md" for name in ("benchmarks", "data/examples")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]

_FENCED = re.compile(r"^ *```.*?^ *```$", re.M | re.S)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?)$", re.M)


@cache
def text_of(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    found: Counter[str] = Counter()
    names = set()
    for heading in _HEADING.findall(text_of(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return frozenset(names)


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links that lie in this repository."""
    for target in _LINK.findall(_CODE.sub("", text_of(page))):
        if not re.match(r"[a-z]+:", target):
            yield unquote(target)


def wrong_links(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    wrong = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert wrong_links(page) == []


def test_every_page_of_the_repository_is_read() -> None:
    not_samples = ":!tests/ledger/sources/samples"  # logs of an agent that writes Markdown
    listed = subprocess.run(
        ["git", "ls-files", "*.md", not_samples], cwd=PROJECT, capture_output=True, text=True, check=False
    ).stdout.split()
    assert {PROJECT / name for name in listed} <= {*PAGES}


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`\n\n[a](#one-two) [b](#one) [c](gone.md) `[d](code.md)` [e](https://example.com)\n")
    assert wrong_links(page) == ["#one", "gone.md"]
