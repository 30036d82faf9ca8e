"""docs/architecture.md names the packages of the chain, and files that exist."""

from __future__ import annotations

import re
import runpy

from tests.conftest import PROJECT

DOCS = PROJECT / "docs"
PAGE = (DOCS / "architecture.md").read_text(encoding="utf-8")
EXAMPLES = {"ledger/sources/tea.py", "tests/ledger/sources/test_tea.py"}
EXAMPLES |= {"projections/cli/commands/largest.py", "tests/projections/cli/commands/test_largest.py"}


def test_the_table_is_that_of_the_packages() -> None:
    assert runpy.run_path(str(DOCS / "package_table.py"))["page"](PAGE) == PAGE, "run: python docs/package_table.py"
    assert "| `ledger/storage/` | " in PAGE


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:ledger|projections|tests|docs)/[\w/.]*)`", PAGE)) - EXAMPLES
    assert len(named) > 40
    assert [name for name in sorted(named) if not (PROJECT / name).exists()] == []
