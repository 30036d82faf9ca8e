"""Which tools a workflow's readings come from, by the kinds of their sources; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.sources.agents import AGENTS

__all__ = ["split_tools", "tool_called", "tool_of_kind", "tools_of"]

_TOOLS: Final = {
    **{kind: entry.label for kind, entry in AGENTS.items()},
    "": "API",
    "claude_result": "Claude Code",
    "claude_statusline": "Claude Code",
    "claude_stream": "Claude Code",
    "csv": "CSV",
    "history_db": "database",
    "jsonl": "JSONL",
    "litellm": "LiteLLM",
    "otlp": "OpenTelemetry",
}
"""By the kind of a source; "" for readings that a program or a person appended, which name none."""

_KINDS: Final = {"adw": "claude_stream"}
"""Kinds that `import` takes whose readings have another one."""

_OURS: Final = "reprice"
"""The kind of readings that `costledger reprice` appends: they are of whichever tool used the tokens."""

_UNMATCHED: Final = "_unmatched"
_SEPARATOR: Final = ", "


def tools_of(kinds: Iterable[str]) -> str | None:
    """Return the names of the tools, in the order of the alphabet; None without a kind.

    A kind that is not listed here is its own name. What was appended without a source is named only where nothing else
    is: a correction makes no tool of a session's.
    """
    names = {_TOOLS.get(kind.removesuffix(_UNMATCHED), kind) for kind in kinds if kind != _OURS}
    return _SEPARATOR.join(sorted(names - {_TOOLS[""]} or names)) or None


def tool_of_kind(kind: str) -> str:
    """Return the name of the tool of a kind that `import` takes."""
    return _TOOLS.get(kind) or _TOOLS.get(_KINDS.get(kind, kind.replace("-", "_")), kind)


def split_tools(tools: str | None) -> list[str]:
    """Return the names that `tools_of` joined."""
    return tools.split(_SEPARATOR) if tools else []


def tool_called(called: str) -> str:
    """Return the name of a tool by its name or by a kind of its sources; of an unknown one, what it was called.

    Only letters and digits count, in any case: "claude-code" is "Claude Code".
    """
    return _CALLED.get(_plain(called), called)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


_CALLED: Final = {_plain(kind): name for kind, name in _TOOLS.items() if kind} | {
    _plain(name): name for name in _TOOLS.values()
}
