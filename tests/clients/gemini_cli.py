"""Gemini CLI: https://geminicli.com/docs/cli/cli-reference, …/docs/cli/telemetry, …/docs/reference/configuration."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from tests.clients import installation
from tests.clients.stage import Limit, Stage, Turn, numbered

__all__ = ["GeminiCli"]

PACKAGE: Final = "@google/gemini-cli"
MODEL: Final = "gemini-2.5-pro"

_PATHS_SINCE: Final = (0, 61)
"""Before, all that it exports goes to the endpoint itself, and not to a path of each kind."""
_OTLP: Final = ("OTLP JSON",)
_HELPERS: Final = "calls for routing, web searches and compression are in no chat"


class GeminiCli:
    """The client `gemini`."""

    name = "gemini-cli"
    versions = ("0.24.0",)
    ways = ("logs", "OTLP JSON")
    leave = "/quit"
    abilities = frozenset({"continue", "sub-agents", "web-search", "auto-compact"})
    missing: tuple[Limit, ...] = ()
    defects: tuple[Limit, ...] = ()
    limits = (
        Limit(
            "chats of older versions lack sub-agents, and calls that are written over",
            ("logs",),
            until="0.40.0",
            below=("auto-compact", "sub-agents", "tools", "two-processes", "web-search"),
        ),
        Limit(_HELPERS, ("logs",), below=("auto-compact", "web-search")),
        Limit("a killed process loses its last seconds of telemetry, which no record shows", _OTLP, below=("kill",)),
        Limit(
            "chats and telemetry name no call alike, so the higher counts",
            ("all together",),
            below=("auto-compact", "two-processes"),
        ),
    )

    def install(self, version: str) -> Path:
        installation.node()
        return installation.npm(PACKAGE, version, "gemini")

    def newest(self) -> str:
        return installation.newest_npm(PACKAGE)

    def prepare(self, stage: Stage) -> None:
        one_path = numbered(stage.version) < _PATHS_SINCE
        settings = stage.home / ".gemini" / "settings.json"
        settings.parent.mkdir()
        document = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "general": {"enableAutoUpdate": False, "disableAutoUpdate": True, "retryFetchErrors": True},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {
                "enabled": True,
                "target": "local",
                "useCollector": True,
                "otlpEndpoint": f"{stage.otlp.url}/v1/logs" if one_path else stage.otlp.url,
                "otlpProtocol": "http",
            },
        }
        if stage.scenario == "auto-compact":
            document["model"] = {"compressionThreshold": 0.0001}
        settings.write_text(json.dumps(document), encoding="utf-8")

    def environment(self, stage: Stage) -> dict[str, str]:
        return {
            "PATH": f"{installation.node()}:{stage.base['PATH']}",
            "GEMINI_API_KEY": "AIfake",
            "GOOGLE_GEMINI_BASE_URL": stage.address("gemini"),
            "OTEL_BLRP_SCHEDULE_DELAY": "300",  # used by 0.24; 0.61 waits 5 seconds whatever is set
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
        }

    def command(self, stage: Stage, turn: Turn) -> list[str]:
        which = {"new": [], "continue": ["--resume", "latest"]}.get(turn.how, ["--resume", turn.session or ""])
        start = [str(stage.executable), "--model", MODEL, "--yolo", "--output-format", "stream-json"]
        return [*start, *which, "--prompt", turn.prompt]

    def interactive(self, stage: Stage, session: str | None) -> list[str]:
        return [str(stage.executable), "--model", MODEL, "--yolo", *(["--resume", session] if session else [])]

    def session_of(self, log: str) -> str | None:
        found = re.search(r'"session_id"\s*:\s*"([0-9a-f-]{36})"', log)
        return found[1] if found else None
