"""The coding agents whose logs are read, one line each.

Pure: no reader is imported here. `agent_places` looks for the default places and imports a reader when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["AGENTS", "AgentEntry"]


class AgentEntry(NamedTuple):
    """One coding agent.

    Attributes:
        kind: as `costledger import KIND`, and as `source.kind` of its readings.
        label: its name, as tables show it.
        reader: module and class below `ledger.sources`.
        file: what one of its logs is.
        files: what a folder with its logs holds.
        places: its default folders. `~` is the home, `$NAME` a variable of the environment, `${NAME:-path}` a variable
            or else a path; a place whose variable is not set is none. Without places the reader knows them.
        anywhere: its logs have no default place, and are read from a named path alone.
    """

    kind: str
    label: str
    reader: str
    file: str
    files: str
    places: tuple[str, ...] = ()
    anywhere: bool = False


_DATA_HOME: Final = "${XDG_DATA_HOME:-~/.local/share}"
_EDITORS: Final = ("Code", "Code - Insiders", "VSCodium", "Cursor", "Windsurf")
_EDITORS_FOLDERS: Final = ("${XDG_CONFIG_HOME:-~/.config}", "~/Library/Application Support", "$APPDATA")
"""Of Linux, macOS and Windows."""


def _extension_places(extension: str) -> tuple[str, ...]:
    """The folders of an extension of VS Code and its relatives, on this machine and where it runs remotely."""
    users = [f"{folder}/{editor}/User" for folder in _EDITORS_FOLDERS for editor in _EDITORS]
    return tuple(f"{user}/globalStorage/{extension}" for user in (*users, "~/.vscode-server/data/User"))


AGENTS: Final[Mapping[str, AgentEntry]] = {
    entry.kind: entry
    for entry in (
        AgentEntry(
            "aider",
            "Aider",
            "aider:AiderRuns",
            "a chat history or an analytics log of Aider",
            "chat histories of Aider",
            anywhere=True,
        ),
        AgentEntry(
            "claude",
            "Claude Code",
            "claude:ClaudeTranscripts",
            "a transcript of Claude Code",
            "transcripts of Claude Code",
        ),
        AgentEntry(
            "cline",
            "Cline",
            "cline:ClineTasks",
            "a task of Cline",
            "tasks of Cline",
            (
                *_extension_places("saoudrizwan.claude-dev"),
                "$CLINE_DATA_DIR/tasks",
                "${CLINE_DIR:-~/.cline}/data/tasks",
            ),
        ),
        AgentEntry(
            "cline-cli",
            "Cline CLI",
            "cline_cli:ClineCliSessions",
            "a session of Cline CLI",
            "sessions of Cline CLI",
            ("$CLINE_SESSION_DATA_DIR", "$CLINE_DATA_DIR/sessions", "${CLINE_DIR:-~/.cline}/data/sessions"),
        ),
        AgentEntry("codex", "Codex", "codex:CodexRollouts", "a Codex rollout", "Codex rollouts"),
        AgentEntry(
            "copilot",
            "GitHub Copilot CLI",
            "copilot:CopilotSessions",
            "a session of GitHub Copilot CLI",
            "sessions of GitHub Copilot CLI",
            ("${COPILOT_HOME:-~/.copilot}",),
        ),
        AgentEntry(
            "crush",
            "Crush",
            "crush:CrushSessions",
            "a database of Crush",
            "databases of Crush",
            ("$CRUSH_GLOBAL_DATA", f"{_DATA_HOME}/crush", "$LOCALAPPDATA/crush"),
        ),
        AgentEntry(
            "gemini",
            "Gemini CLI",
            "gemini:GeminiChats",
            "a chat of Gemini CLI",
            "chats of Gemini CLI",
            ("${GEMINI_CLI_HOME:-~}/.gemini/tmp",),
        ),
        AgentEntry(
            "kilo-code",
            "Kilo Code",
            "cline:ClineTasks",
            "a task of Kilo Code",
            "tasks of Kilo Code",
            _extension_places("kilocode.kilo-code"),
        ),
        AgentEntry(
            "kimi",
            "Kimi CLI",
            "kimi:KimiSessions",
            "a session of Kimi CLI",
            "sessions of Kimi CLI",
            ("${KIMI_SHARE_DIR:-~/.kimi}/sessions",),
        ),
        AgentEntry(
            "kimi-code",
            "Kimi Code",
            "kimi_code:KimiCodeSessions",
            "a session of Kimi Code",
            "sessions of Kimi Code",
            ("${KIMI_CODE_HOME:-~/.kimi-code}/sessions",),
        ),
        AgentEntry(
            "mini-swe-agent",
            "mini-swe-agent",
            "swe_agent:SweAgentRuns",
            "a trajectory of mini-swe-agent",
            "trajectories of mini-swe-agent",
            anywhere=True,
        ),
        AgentEntry(
            "opencode",
            "OpenCode",
            "opencode:OpenCodeSessions",
            "a session of OpenCode",
            "sessions of OpenCode",
            (f"{_DATA_HOME}/opencode",),
        ),
        AgentEntry(
            "kilo",
            "Kilo CLI",
            "opencode:OpenCodeSessions",
            "a session of Kilo CLI",
            "sessions of Kilo CLI",
            (f"{_DATA_HOME}/kilo",),
        ),
        AgentEntry(
            "mimo",
            "MiMo Code",
            "opencode:OpenCodeSessions",
            "a session of MiMo Code",
            "sessions of MiMo Code",
            (f"{_DATA_HOME}/mimocode",),
        ),
        AgentEntry(
            "openhands",
            "OpenHands",
            "openhands:OpenHandsConversations",
            "a conversation of OpenHands",
            "conversations of OpenHands",
            (
                "${OPENHANDS_PERSISTENCE_DIR:-~/.openhands}/conversations",
                "$OPENHANDS_CONVERSATIONS_DIR",
            ),
        ),
        AgentEntry(
            "pi",
            "pi",
            "pi:PiSessions",
            "a session of pi",
            "sessions of pi",
            ("${PI_CODING_AGENT_DIR:-~/.pi/agent}/sessions", "$PI_CODING_AGENT_SESSION_DIR"),
        ),
        AgentEntry(
            "omp",
            "Oh My Pi",
            "pi:PiSessions",
            "a session of Oh My Pi",
            "sessions of Oh My Pi",
            ("~/.omp/agent/sessions",),
        ),
        AgentEntry(
            "openclaw",
            "OpenClaw",
            "pi:PiSessions",
            "a session of OpenClaw",
            "sessions of OpenClaw",
            ("${OPENCLAW_STATE_DIR:-~/.openclaw}/agents", "~/.clawdbot/agents"),
        ),
        AgentEntry(
            "qwen",
            "Qwen Code",
            "qwen:QwenChats",
            "a chat of Qwen Code",
            "chats of Qwen Code",
            (
                "${QWEN_HOME:-~/.qwen}/projects",
                "${QWEN_HOME:-~/.qwen}/tmp",
                "$QWEN_RUNTIME_DIR/projects",
                "$QWEN_RUNTIME_DIR/tmp",
            ),
        ),
        AgentEntry(
            "roo",
            "Roo Code",
            "cline:ClineTasks",
            "a task of Roo Code",
            "tasks of Roo Code",
            _extension_places("rooveterinaryinc.roo-cline"),
        ),
        AgentEntry(
            "swe-agent",
            "SWE-agent",
            "swe_agent:SweAgentRuns",
            "a trajectory of SWE-agent",
            "trajectories of SWE-agent",
            anywhere=True,
        ),
    )
}
"""By kind; of two whose logs look alike, the more specific first."""
