"""How sub-agents are called, with and without a name of their own."""

from __future__ import annotations

import pytest

from projections.cli.output.agents import agent_name, is_unnamed


@pytest.mark.parametrize("name", ["a5cbd18", "adfd7ee0", "a9df09b50d5f3ad98", "5d1f0c52-8a0e-4c4e-9c39-2d5f5a0b7e01"])
def test_an_id_is_no_name(name: str) -> None:
    assert is_unnamed(name)
    assert agent_name(name, ["main", "plan"]) == f"unnamed, {name[:8]} (sub-agent of main, plan)"


@pytest.mark.parametrize("name", ["Explore", "code-reviewer", "effaced", "facade", "a5", "agent 5cbd18"])
def test_words_are_a_name(name: str) -> None:
    assert not is_unnamed(name)
    assert (agent_name(name, ["main"]), agent_name(name, [])) == (f"{name} (sub-agent of main)", name)
