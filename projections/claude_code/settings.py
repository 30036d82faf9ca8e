"""Claude Code's settings with our status line and hooks, or without: `costledger install claude-code`.

Pure: a settings object in, another out; everything that is not ours is unchanged
(https://code.claude.com/docs/en/settings, …/statusline, …/hooks).
"""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path, PurePath
from typing import Any, Final, Literal

from ledger.errors import SourceUnreadable

__all__ = [
    "HOOKS",
    "STOPPING",
    "OtherStatusLine",
    "StatusLine",
    "installed",
    "parsed",
    "silenced",
    "spelled_like",
    "uninstalled",
]

HOOKS: Final = ("Stop", "SubagentStop", "SessionEnd")
STOPPING: Final = ("UserPromptSubmit", "PreToolUse")
"""Hooks that can stop Claude Code: before each prompt and each call of a tool."""

StatusLine = Literal["refuse", "after", "keep"]
"""What to do about another status line: install nothing, print ours after it, or install only the hooks."""

Settings = dict[str, Any]


class OtherStatusLine(SourceUnreadable):
    """The settings have another status line."""

    def __init__(self, path: Path, command: object) -> None:
        super().__init__(
            path,
            f"has a status line already ({command}); nothing was changed. Add --status-line after to show ours "
            "after it, or --status-line keep to leave it alone and only read transcripts",
        )


def parsed(path: Path, text: str) -> Settings:
    """Return a settings file's object; an empty file is an empty one.

    Raises:
        SourceUnreadable: it is not plain JSON, with the line; such a file is never written.
    """
    if not text.strip():
        return {}
    try:
        found = json.loads(text, object_pairs_hook=_no_repetition)
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise SourceUnreadable(path, f"is not plain JSON ({problem}; comments are not); nothing was changed") from error
    except ValueError as error:
        raise SourceUnreadable(path, f"{error}; nothing was changed") from error
    if not isinstance(found, dict):
        raise SourceUnreadable(path, "is JSON, but not an object; nothing was changed")
    return found


def _no_repetition(pairs: list[tuple[str, Any]]) -> Settings:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"names {twice!r} twice in one object, and writing it back would lose one")
    return found


def spelled_like(text: str, settings: Settings) -> str:
    """Return settings as text, indented as the text they come from."""
    indents = (line[: len(line) - len(line.lstrip())] for line in text.splitlines())
    indent = next((found for found in indents if found), "  ")
    ending = "\n" if text.endswith("\n") or not text.strip() else ""
    return json.dumps(settings, indent=indent, ensure_ascii=False) + ending


def installed(
    path: Path, settings: Settings, executable: str, data: str, status_line: StatusLine, *, stops: bool = False
) -> Settings:
    """Return the settings with our status line and hooks, which name this data directory.

    Args:
        stops: also with the hooks that stop Claude Code when a budget is over.

    Raises:
        SourceUnreadable: there is another status line and `status_line` is "refuse", or a part of
            the settings is not what Claude Code documents.
    """
    made = uninstalled(path, settings)
    command = f"{shlex.quote(executable)} {{}} --data {shlex.quote(data)}"
    theirs = made.get("statusLine")
    if theirs is None:
        made["statusLine"] = {"type": "command", "command": command.format("statusline")}
    elif status_line == "refuse":
        raise OtherStatusLine(path, theirs.get("command") if isinstance(theirs, dict) else theirs)
    elif status_line == "after":
        if not isinstance(theirs, dict) or not isinstance(theirs.get("command"), str):
            raise SourceUnreadable(path, "has a statusLine without a command; nothing was changed")
        combined = f"{command.format('statusline')} --after {shlex.quote(theirs['command'])}"
        made["statusLine"] = theirs | {"command": combined}
    hooks = made.setdefault("hooks", {})
    for name in HOOKS:
        groups = _groups(path, hooks, name)
        hooks[name] = [*groups, {"hooks": [{"type": "command", "command": command.format("hook")}]}]
    for name in STOPPING if stops else ():
        stop = {"type": "command", "command": f"{command.format('hook')} --stop-over-budget"}
        hooks[name] = [*_groups(path, hooks, name), {"hooks": [stop]}]
    return made


def silenced(settings: Settings) -> bool:
    """Return whether `disableAllHooks` turns off what is installed: hooks, and in newer versions the status line.

    A project's own settings may say otherwise for its sessions (https://code.claude.com/docs/en/settings,
    https://github.com/anthropics/claude-code/issues/11744).
    """
    return settings.get("disableAllHooks") is True


def uninstalled(path: Path, settings: Settings) -> Settings:
    """Return the settings without what `installed` put there; a status line that ours was printed after is restored.

    Raises:
        SourceUnreadable: a part of the settings is not what Claude Code documents.
    """
    made = copy.deepcopy(settings)
    line = made.get("statusLine")
    ours = _ours(line, "statusline")
    if ours is not None:
        if "--after" in ours:
            made["statusLine"]["command"] = ours[ours.index("--after") + 1]
        else:
            del made["statusLine"]
    if "hooks" not in made:
        return made
    hooks = made["hooks"]
    if not isinstance(hooks, dict):
        raise SourceUnreadable(path, "has hooks that are no object; nothing was changed")
    for name in (*HOOKS, *STOPPING):
        groups = _groups(path, hooks, name)
        others = [group for group in (_without_ours(group) for group in groups) if group is not None]
        if others != groups:
            hooks[name] = others
            if not others:
                del hooks[name]
    if not hooks and settings["hooks"]:
        del made["hooks"]
    return made


def _groups(path: Path, hooks: Settings, name: str) -> list[Any]:
    groups = hooks.get(name, [])
    if not isinstance(groups, list):
        raise SourceUnreadable(path, f"has hooks.{name} that is no list; nothing was changed")
    return groups


def _without_ours(group: Any) -> Any:
    """Return a group of hooks without ours; None when it has no other."""
    if not isinstance(group, dict) or not isinstance(group.get("hooks"), list):
        return group
    others = [hook for hook in group["hooks"] if _ours(hook, "hook") is None]
    if len(others) == len(group["hooks"]):
        return group
    return group | {"hooks": others} if others else None


def _ours(entry: Any, verb: str) -> list[str] | None:
    """Return the words of a command that `installed` made; None when it is another."""
    command = entry.get("command") if isinstance(entry, dict) else None
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return None
    return words if len(words) >= 2 and PurePath(words[0]).name == "costledger" and words[1] == verb else None
