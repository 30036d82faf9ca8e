"""Agents as people read them: the id of a sub-agent without a name is no name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["UNNAMED_SUBAGENTS", "agent_name", "is_unnamed"]

UNNAMED_SUBAGENTS: Final = "unnamed sub-agents"
"""All of them, where a line is for many workflows."""

_HEX_ID: Final = re.compile(r"(?=.*\d)[0-9a-f]{7,40}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_unnamed(name: str) -> bool:
    """Return whether the name of a sub-agent is only the id that its client gave it."""
    return _HEX_ID.fullmatch(name) is not None


def agent_name(name: str, parents: Sequence[str]) -> str:
    """Return an agent for people: a sub-agent with the agents that called it, an unnamed one by the start of its id."""
    if not parents:
        return name
    called = f"unnamed, {name[:8]}" if is_unnamed(name) else name
    return f"{called} (sub-agent of {', '.join(parents)})"
