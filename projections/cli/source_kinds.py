"""Kinds of sources as people name them: what a wrong one should have been, and which tool a file is of."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import click

from ledger.sources import KINDS, identified
from ledger.sources.agents import AGENTS
from ledger.sources.coverage import declined_at, declined_called
from ledger.sources.findings import Skipped
from ledger.sources.formats.regular_files import open_regular

__all__ = ["KindOrPath", "nothing_usable", "other_tool", "unrecognised"]

_START_BYTES: Final = 64 * 1024

_CALLED: Final = {
    **{kind: (entry.file, f"holds {entry.files}") for kind, entry in AGENTS.items()},
    "adw": ("a tree of agents' folders", "holds agents' output"),
    "claude-stream": ("a stream-json log of `claude -p`", "holds stream-json logs"),
    "history-db": ("a database with a table workflow_history", "holds a table workflow_history"),
    "litellm": ("an export of LiteLLM's spend log", "holds exports of LiteLLM's spend log"),
    "otlp": ("an OpenTelemetry export", "holds OpenTelemetry exports"),
}
"""What a file of each kind is, and what a folder of it holds."""

_MEANT: Final = {
    "claude-code": "claude",
    "claudecode": "claude",
    "copilot-cli": "copilot",
    "gemini-cli": "gemini",
    "github-copilot": "copilot",
    "kilocode": "kilo-code",
    "kimi-cli": "kimi",
    "oh-my-pi": "omp",
    "qwen-code": "qwen",
    "roo-code": "roo",
    "stream-json": "claude-stream",
    "opentelemetry": "otlp",
    "otel": "otlp",
    "sqlite": "history-db",
    "tsv": "csv",
    "json": "jsonl",
    "ndjson": "jsonl",
}
"""What people call a kind, and its name."""


class KindOrPath(click.Choice[str]):
    """A kind of source, or a path whose kind is to be recognised; anything else is answered with what was meant."""

    def __init__(self) -> None:
        super().__init__(KINDS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the kind or the path; refuse an unknown kind with the nearest names."""
        if value in KINDS or os.path.lexists(value):
            return str(value)
        if os.sep in value:
            self.fail(f"there is no file or folder {value!r}", param, ctx)
        if (declined := declined_called(value)) is not None:
            self.fail(f"{declined.name} is not read: {declined.reason}", param, ctx)
        near = _MEANT.get(value.lower()) or next(iter(get_close_matches(value.lower(), KINDS, n=1)), None)
        hint = f"did you mean {near!r}?" if near else f"give one of {', '.join(KINDS)}, or a PATH"
        return self.fail(f"no KIND is called {value!r}; {hint}", param, ctx)


def unrecognised(path: Path) -> str:
    """Return that no kind recognises a path, and whose it is or what it looks like."""
    if not os.path.lexists(path):
        return "does not exist"
    if declined := _declined(path):
        return declined
    looks = "" if path.is_dir() else _appearance(path)
    return f"is no log of a known tool{looks and f'; it looks like {looks}'}; name the KIND if it is one"


def nothing_usable(kind: str, path: Path, skipped: Sequence[Skipped]) -> str:
    """Return that a path has nothing for a kind, what it looks like, and the first line's problem."""
    looks = "" if path.is_dir() else _appearance(path)
    first = next((each for each in skipped if each.line is not None), None)
    line = "" if first is None else f"; line {first.line} {first.reason}"
    return f"holds no cost that `import {kind}` knows{looks and f'; it looks like {looks}'}{line}"


def _appearance(path: Path) -> str:
    """What a file looks like by its beginning; "" for an empty one, and for one that cannot be read."""
    try:
        with open_regular(path) as file:
            start = file.read(_START_BYTES)
    except OSError:
        return ""
    if b"\0" in start:
        return "a binary file"
    line, _, rest = start.decode("utf-8", "replace").strip().partition("\n")
    if not line:
        return ""
    if line.startswith(("{", "[")):
        return "JSON of another tool; `import jsonl --map FIELD=COLUMN` reads any JSON lines"
    second = rest.partition("\n")[0] or line
    if any(line.count(mark) == second.count(mark) > 0 for mark in ",;\t"):
        return f"a table; use: costledger import csv {shlex.quote(str(path))} --map FIELD=COLUMN"
    return "text"


def other_tool(kind: str, path: Path) -> str | None:
    """Return that a path is of another tool than the one asked for, and the command that reads it, or why none does."""
    found = identified(path)
    if found == kind:
        return None
    if found is None:
        return _declined(path)
    file, folder = _CALLED[found]
    is_it = folder if path.is_dir() else f"is {file}"
    return f"{is_it}; use: costledger import {found} {shlex.quote(str(path))}"


def _declined(path: Path) -> str | None:
    """Return that a path belongs to a tool whose logs are not read, and why."""
    tool = declined_at(path)
    return None if tool is None else f"belongs to {tool.name}, which is not read: {tool.reason}"
