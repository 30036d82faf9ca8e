"""docs/commands.md: the command reference is that of the commands."""

from __future__ import annotations

import runpy

from tests.conftest import PROJECT

DOCS = PROJECT / "docs"


def test_the_command_reference_is_current() -> None:
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(DOCS / "command_reference.py"))["page"]() == written, (
        "run: python docs/command_reference.py"
    )
