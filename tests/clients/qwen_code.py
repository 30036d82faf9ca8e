"""Qwen Code: https://qwenlm.github.io/qwen-code-docs, `users/features/headless` and `developers/telemetry`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from tests.clients import installation
from tests.clients.stage import Limit, Stage, Turn

__all__ = ["QwenCode"]

PACKAGE: Final = "@qwen-code/qwen-code"
MODEL: Final = "gpt-5"


class QwenCode:
    """The client `qwen`."""

    name = "qwen-code"
    versions = ("0.15.10",)
    ways = ("logs", "OTLP JSON")
    leave = "/quit"
    abilities = frozenset({"continue", "fork", "sub-agents", "compact"})
    missing = (Limit("`--fork-session` came later", scenarios=("fork",), until="0.24.0"),)
    limits = (Limit("calls for suggestions are in no chat", ("logs", "all together"), below=()),)
    defects: tuple[Limit, ...] = ()

    def install(self, version: str) -> Path:
        installation.node()
        return installation.npm(PACKAGE, version, "qwen")

    def newest(self) -> str:
        return installation.newest_npm(PACKAGE)

    def prepare(self, stage: Stage) -> None:
        settings = stage.home / ".qwen" / "settings.json"
        settings.parent.mkdir()
        document = {
            "security": {"auth": {"selectedType": "openai"}},
            "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {
                "enabled": True,
                "target": "local",
                "otlpEndpoint": stage.otlp.url,
                "otlpProtocol": "http",
            },
        }
        settings.write_text(json.dumps(document), encoding="utf-8")

    def environment(self, stage: Stage) -> dict[str, str]:
        return {
            "PATH": f"{installation.node()}:{stage.base['PATH']}",
            "OPENAI_API_KEY": "sk-fake",
            "OPENAI_BASE_URL": f"{stage.address('openai')}/v1",
            "OPENAI_MODEL": MODEL,
        }

    def command(self, stage: Stage, turn: Turn) -> list[str]:
        which = {"new": [], "continue": ["--continue"]}.get(turn.how, ["--resume", turn.session or ""])
        fork = ["--fork-session"] if turn.how == "fork" else []
        start = [str(stage.executable), "--yolo", "--output-format", "stream-json", *which, *fork]
        return [*start, "--prompt", "/compress" if turn.prompt == "/compact" else turn.prompt]

    def interactive(self, stage: Stage, session: str | None) -> list[str]:
        return [str(stage.executable), "--yolo", *(["--resume", session] if session else [])]

    def session_of(self, log: str) -> str | None:
        found = re.search(r'"session_id"\s*:\s*"([0-9a-f-]{36})"', log)
        return found[1] if found else None
