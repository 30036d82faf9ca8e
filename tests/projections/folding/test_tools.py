from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.sources import KINDS
from projections.folding.tools import tools_of


@pytest.mark.parametrize(
    ("kinds", "tools"),
    [
        ([], None),
        ([""], "API"),
        (["", "claude"], "Claude Code"),
        (["codex", "claude_statusline", "claude_result"], "Claude Code, Codex"),
        (["claude_unmatched"], "Claude Code"),
        (["tea"], "tea"),
    ],
)
def test_kinds_have_the_names_of_their_tools(kinds: list[str], tools: str | None) -> None:
    assert tools_of(kinds) == tools


@given(st.lists(st.sampled_from(["", "claude", "codex", "otlp", "tea"])))
def test_neither_order_nor_repetition_matters(kinds: list[str]) -> None:
    assert tools_of(kinds) == tools_of([*reversed(kinds), *kinds])


def test_every_kind_that_can_be_imported_has_a_name() -> None:
    unnamed = {kind for kind in KINDS if tools_of([kind.replace("-", "_")]) == kind.replace("-", "_")}
    assert unnamed <= {"adw"}, "its readings have the kind claude_stream"
