"""Claude Code: https://code.claude.com/docs/en/cli-reference, …/settings, …/monitoring-usage."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Final

from projections.claude_code.settings import HOOKS
from tests.clients import installation
from tests.clients.stage import Limit, Stage, Turn

__all__ = ["ClaudeCode"]

PACKAGE: Final = "@anthropic-ai/claude-code"
MODEL: Final = "claude-sonnet-4-5-20250929"
LONG_MODEL: Final = "claude-opus-4-5-20251101"
"""One whose price for a long context has not changed: an old client has the price list of its day."""

KEY: Final = "sk-ant-fake-key-of-the-campaign"


_FILES: Final = ("transcripts", "hooks", "live", "all together")
_OTLP: Final = ("OTLP JSON", "OTLP protobuf")
_OWN: Final = ("stream logs", *_OTLP, "status line")
_CARRIED: Final = ("resume", "continue", "fork", "compact", "web-search", "kill", "cache-lifetimes", "two-processes")
_HELPED: Final = (
    "clear",
    "compact",
    "compact-terminal",
    "long-context",
    "sub-agents",
    "terminal",
    "two-terminals",
    "web-search",
)
"""Where version 2.1.100 asks for titles, summaries or searches."""
_UNWRITTEN: Final = "titles, `/compact` and the call behind a web search are in no transcript"
_CUT: Final = ("kill", "two-processes", "two-terminals")


class ClaudeCode:
    """The client `claude`."""

    name = "claude-code"
    versions = ("2.1.277", "2.1.100", "2.0.76")
    ways = ("transcripts", "stream logs", "OTLP JSON", "OTLP protobuf", "status line", "hooks", "live")
    leave = "/exit"
    abilities = frozenset({"continue", "fork", "sub-agents", "web-search", "compact", "terminal"})
    missing: tuple[Limit, ...] = ()
    limits = (
        Limit(_UNWRITTEN, _FILES, until="2.1.0"),
        Limit(_UNWRITTEN, _FILES, since="2.1.0", until="2.1.277", below=_HELPED),
        Limit("what a process spent after its last `cost-state` line", _FILES, _CUT, since="2.1.277"),
        Limit("a part of what was used is not in the client's own figures", _OWN, until="2.1.276"),
        Limit("a process that was killed writes no result", ("stream logs",), ("kill",)),
        Limit(
            "what may be carried over from an earlier process",
            ("stream logs",),
            _CARRIED,
            since="2.1.277",
            until="2.1.300",
            below=("compact", "web-search"),
        ),
        Limit("what a fork carries over from its parent", ("stream logs",), ("fork",), since="2.1.300", below=()),
        Limit(
            "what a resumed process spent before its first line", ("status line",), ("two-terminals",), since="2.1.276"
        ),
        Limit(
            "metrics alone do not show what a killed process had not exported", _OTLP, since="2.1.276", below=("kill",)
        ),
    )

    defects: tuple[Limit, ...] = ()

    def install(self, version: str) -> Path:
        return installation.npm(PACKAGE, version, "claude")

    def newest(self) -> str:
        return installation.newest_npm(PACKAGE)

    def prepare(self, stage: Stage) -> None:
        settings = stage.home / ".claude" / "settings.json"
        settings.parent.mkdir()
        given = {"type": "command", "command": _recording(stage, "hook", "hooks.log")}
        document = {
            "statusLine": {"type": "command", "command": _recording(stage, "statusline", "statusline.log")},
            "hooks": {name: [{"hooks": [given]}] for name in HOOKS},
        }
        settings.write_text(json.dumps(document), encoding="utf-8")
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        state = {
            "hasCompletedOnboarding": True,
            "lastOnboardingVersion": stage.version,
            "theme": "dark",
            "bypassPermissionsModeAccepted": True,
            "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
            "projects": {str(stage.work): trusted},
        }
        (stage.home / ".claude.json").write_text(json.dumps(state), encoding="utf-8")

    def environment(self, stage: Stage) -> dict[str, str]:
        logs, metrics = stage.protocols
        return {
            "ANTHROPIC_BASE_URL": stage.address("anthropic"),
            "ANTHROPIC_API_KEY": KEY,
            "IS_SANDBOX": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
            "ENABLE_TOOL_SEARCH": "false",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": stage.otlp.url,
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": logs,
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": metrics,
            "OTEL_LOGS_EXPORT_INTERVAL": "300",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }

    def command(self, stage: Stage, turn: Turn) -> list[str]:
        which = {"continue": ["--continue"], "new": []}.get(turn.how, ["--resume", turn.session or ""])
        fork = ["--fork-session"] if turn.how == "fork" else []
        log = ["--output-format", "stream-json", "--verbose"]
        return [*self._start(stage), "-p", turn.prompt, *which, *fork, *log]

    def interactive(self, stage: Stage, session: str | None) -> list[str]:
        return [*self._start(stage), *(["--resume", session] if session else [])]

    def _start(self, stage: Stage) -> list[str]:
        model = LONG_MODEL if stage.scenario == "long-context" else MODEL
        return [str(stage.executable), "--model", model, "--allowedTools", "Bash Read Task Agent WebSearch"]

    def session_of(self, log: str) -> str | None:
        for line in log.splitlines():
            try:
                session: str | None = json.loads(line).get("session_id")
            except (ValueError, AttributeError):
                continue
            if session:
                return session
        return None


def _recording(stage: Stage, command: str, log: str) -> str:
    """A command that records what Claude Code gives it, and passes it on to ours."""
    script, data = stage.folder / f"{command}.sh", shlex.quote(str(stage.folder / "live"))
    costledger = shlex.quote(str(Path(sys.executable).with_name("costledger")))
    script.write_text(
        "#!/bin/sh\ngiven=$(cat)\n"
        f'printf "%s\\t%s\\n" "$(date +%s.%N)" "$given" >> {shlex.quote(str(stage.folder / log))}\n'
        f'printf "%s" "$given" | {costledger} {command} --data {data}\n',
        encoding="utf-8",
    )
    return f"sh {shlex.quote(str(script))}"
