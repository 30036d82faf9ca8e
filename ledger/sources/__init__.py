"""Sources: the logs and tables of agents, one file per tool.

A source answers two questions about a path: is it output of my tool, and what does it contain. It uses no ledger: what
is new, and to which meter it belongs, is decided by `ledger.importing.planner`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ledger.errors import CostledgerError, InvalidInput
from ledger.sources.agent_places import agent_reader
from ledger.sources.agents import AGENTS
from ledger.sources.findings import Options, Part
from ledger.sources.transcript import Transcript

__all__ = ["KINDS", "MAPPED_KINDS", "SESSION_KINDS", "TRANSCRIPT_KINDS", "Source", "identified", "source", "transcript"]

TRANSCRIPT_KINDS = tuple(AGENTS)
"""Kinds whose files are considered together, and whose sessions define the workflows."""

KINDS = tuple(sorted({*TRANSCRIPT_KINDS, "adw", "claude-stream", "csv", "history-db", "jsonl", "litellm", "otlp"}))
"""The kinds that `import` takes."""

MAPPED_KINDS = ("csv", "jsonl")
"""Kinds whose columns a map explains."""

SESSION_KINDS = ("adw", "claude-stream")
"""Kinds whose logs name sessions of a coding agent that other sources may have, too."""


class Source(Protocol):
    """One tool's output."""

    def identify(self, path: Path) -> bool:
        """Return whether the path looks like this tool's output, from its beginning."""
        ...

    def parts(self, path: Path, options: Options) -> list[Part]:
        """Return what there is to read, one part per workflow, in a fixed order, without reading it yet.

        Raises:
            SourceUnreadable: the path is missing, or is not of this kind.
            InvalidInput: the options lack something this kind needs.
        """
        ...


def source(kind: str) -> Source:
    """Return the source of a kind; its modules are imported only now.

    Raises:
        InvalidInput: no such kind.
    """
    from ledger.sources import adw, claude_stream, history_db, litellm, mapped, otlp

    sources: Mapping[str, Source] = {
        "adw": adw.Adw(),
        "claude-stream": claude_stream.ClaudeStream(),
        "csv": mapped.Mapped("csv"),
        "history-db": history_db.HistoryDb(),
        "jsonl": mapped.Mapped("jsonl"),
        "litellm": litellm.LiteLlm(),
        "otlp": otlp.Otlp(),
    }
    if kind not in sources:
        raise InvalidInput(f"no source is called {kind!r}; there are: {', '.join(KINDS)}")
    return sources[kind]


def transcript(kind: str) -> Transcript:
    """Return the reader of the transcripts of a kind.

    Raises:
        InvalidInput: no such kind.
    """
    return agent_reader(kind)


_RECOGNISED_KINDS = (
    "codex",
    "claude-stream",
    *(kind for kind in AGENTS if kind not in ("claude", "codex")),
    *("claude", "litellm", "otlp", "history-db", "adw"),
)
"""Kinds that `identified` tries, the most specific first."""


def identified(path: Path) -> str | None:
    """Return the kind whose tool wrote what is at a path; None when no kind recognises it."""
    for kind in _RECOGNISED_KINDS:
        try:
            found = (transcript if kind in TRANSCRIPT_KINDS else source)(kind).identify(path)
        except (CostledgerError, OSError, ValueError):
            continue
        if found:
            return kind
    return None
