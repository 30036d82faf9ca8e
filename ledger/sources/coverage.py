"""What each kind of source cannot show, and the tools whose logs are not read at all, with the reason; pure but for
`declined_here`, which looks whether their folders exist.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["CANNOT_SHOW", "DECLINED", "Declined", "declined_at", "declined_called", "declined_here"]

_OPENCODE: Final = "calls for titles and summaries, 1-hour cache writes, what a call with cost 0 cost, deleted messages"
_CLINE: Final = "the model of most calls, and what a request cost that was cancelled before it had figures"
_PI: Final = "calls of tools, 1-hour cache writes, and whether a cost is a bill or a subscription's list price"
_SWE_AGENT: Final = "single calls, cached input, and what a run with cost 0 cost"

CANNOT_SHOW: Final[Mapping[str, str]] = {
    "adw": "what a killed session cost after its last message",
    "aider": "exact figures and the times of messages (in a history), interrupted messages, a cost without a price",
    "claude": "a cost (calls are priced from tokens), web searches of older versions, calls for titles, and the end of "
    "the work",
    "claude-stream": "when anything happened, and the last output of messages without a total",
    "cline": _CLINE,
    "cline-cli": "what a message without metrics cost, and the calls of a session without any",
    "codex": "a cost (calls are priced from tokens), the tier that served a call, cache writes before version 0.147, "
    "and the call for a thread's title",
    "copilot": "single requests, the input of a killed process, and a cost before about version 1.0.18",
    "crush": "tokens, calls and models (one cost for each session), and a session with cost 0",
    "csv": "which rows are the same call, without a column of ids",
    "gemini": "a cost (calls are priced from tokens), and calls for routing, loop detection, summaries and compression",
    "history-db": "costs: the table is what costledger is used to correct",
    "jsonl": "which lines are the same call, without a field of ids",
    "kilo": _OPENCODE,
    "kilo-code": _CLINE,
    "kimi": "a model and a cost (calls have no price), and calls for compaction and titles",
    "kimi-code": "a cost (calls are priced from tokens), and failed calls",
    "litellm": "a price that LiteLLM did not know (0), and a workflow that the metadata do not name",
    "mimo": _OPENCODE,
    "mini-swe-agent": _SWE_AGENT,
    "omp": _PI,
    "openclaw": _PI,
    "opencode": _OPENCODE,
    "openhands": "when a call without a cost was made, and which calls lack a price where only some have one",
    "otlp": "web searches, and 1-hour cache writes of `gen_ai.*` attributes",
    "pi": _PI,
    "qwen": "a cost (calls are priced from tokens), calls for suggestions, and a price of the free plan's models",
    "roo": _CLINE,
    "swe-agent": f"{_SWE_AGENT}, and when it ran",
}
"""By kind, after "cannot show": one phrase each."""


class Declined(NamedTuple):
    """A tool whose logs are not read.

    Attributes:
        reason: a sentence.
        folders: names of its folders; a path with one of them is the tool's.
    """

    name: str
    reason: str
    folders: tuple[str, ...] = ()


_CREDITS: Final = "it counts credits, and no tokens; without a contract these are no dollars"
_NO_USAGE: Final = "as far as known, it leaves no usage on the disk"

DECLINED: Final = (
    Declined(
        "Cursor",
        "its transcripts and its database hold no reliable tokens; import the account's export with `import csv`",
        (".cursor", "Cursor/User"),
    ),
    Declined("Windsurf", "it leaves only aggregates and guesses on the disk", (".codeium/windsurf", "Windsurf/User")),
    Declined("Warp", "it leaves only aggregates and guesses on the disk", ("warp-terminal", "dev.warp.Warp-Stable")),
    Declined(
        "Copilot Chat",
        "its journals in VS Code and JetBrains hold no input tokens; import its telemetry with `import otlp`",
        ("chatSessions", "Code/User/globalStorage/github.copilot-chat"),
    ),
    Declined("Kiro", _CREDITS, (".kiro", "Kiro/User", "kiro-cli")),
    Declined("Codebuff", _CREDITS, ("manicode",)),
    Declined("Devin", "it counts compute units (ACU), and no tokens; without a contract these are no dollars"),
    Declined("Antigravity", "its logs are partly encrypted", (".gemini/antigravity", "Antigravity/User")),
    Declined("Continue", _NO_USAGE, (".continue",)),
    Declined("Trae", _NO_USAGE, (".trae", "Trae/User")),
)
"""Tools that were examined. An estimate from the length of a text is no reading."""

_BASES: Final = (".", ".config", ".local/share", ".local/state", "Library/Application Support")
"""Where tools have their folders, below the home."""


def declined_at(path: Path) -> Declined | None:
    """Return the tool that a path belongs to by its folders, when that tool is declined."""
    whole = f"{path.absolute().as_posix()}/"
    return next((tool for tool in DECLINED if any(f"/{folder}/" in whole for folder in tool.folders)), None)


def declined_called(name: str) -> Declined | None:
    """Return the declined tool of a name, in any case; "copilot-chat" is "Copilot Chat"."""
    return next((tool for tool in DECLINED if tool.name.lower() == name.lower().replace("-", " ")), None)


def declined_here(tool: Declined) -> list[Path]:
    """Return the folders of a declined tool that exist in this home."""
    home = Path.home()
    folders = [home / base / folder for folder in tool.folders for base in _BASES]
    return [folder for folder in folders if os.path.isdir(folder)]
