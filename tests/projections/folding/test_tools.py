from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.sources import KINDS
from ledger.sources.agents import AGENTS
from projections.folding.tools import split_tools, tool_called, tool_of_kind, tools_of


@pytest.mark.parametrize(
    ("kinds", "tools"),
    [
        ([], None),
        ([""], "API"),
        (["", "claude"], "Claude Code"),
        (["reprice", "claude"], "Claude Code"),
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
    labels = {kind: entry.label for kind, entry in AGENTS.items()}
    assert {kind: tool_of_kind(kind) for kind in AGENTS} == labels
    assert {kind for kind in {*KINDS} - {*AGENTS} if tool_of_kind(kind) == kind} == set()


@pytest.mark.parametrize(
    ("called", "tool"),
    [
        ("claude", "Claude Code"),
        ("Claude code", "Claude Code"),
        ("claude-stream", "Claude Code"),
        ("CODEX", "Codex"),
        ("api", "API"),
        ("tea", "tea"),
    ],
)
def test_a_tool_is_called_by_its_name_or_a_kind(called: str, tool: str) -> None:
    assert tool_called(called) == tool


@given(st.sets(st.sampled_from(["claude", "codex", "otlp", "tea"])))
def test_the_names_can_be_taken_apart(kinds: set[str]) -> None:
    names = split_tools(tools_of(kinds))
    assert {tool_called(name) for name in names} == {tool_called(kind) for kind in kinds}
