"""pi: https://github.com/earendil-works/pi/tree/main/packages/coding-agent, `docs/usage.md` and `docs/models.md`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from tests.clients import installation
from tests.clients.scenarios import SCENARIOS
from tests.clients.stage import Limit, Stage, Turn, numbered

__all__ = ["Pi"]

PACKAGE: Final = "@earendil-works/pi-coding-agent"
FORMER: Final = "@mariozechner/pi-coding-agent"
"""Its package before version 1."""
MODELS: Final = (("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-5"))
"""Every other scenario asks the one provider, or the other."""


class Pi:
    """The client `pi`."""

    name = "pi"
    versions = ("0.73.1",)
    ways = ("logs",)
    leave = "/quit"
    abilities = frozenset({"continue", "fork", "auto-compact"})
    missing: tuple[Limit, ...] = ()
    limits = (
        Limit("compactions are in no entry", scenarios=("auto-compact",), until="1.0.0"),
        Limit("1-hour cache writes count as 5-minute ones", until="1.0.0"),
        Limit("what extensions ask for is in no entry", below=()),
    )
    defects: tuple[Limit, ...] = ()

    def install(self, version: str) -> Path:
        installation.node()
        return installation.npm(PACKAGE if numbered(version) >= (1,) else FORMER, version, "pi")

    def newest(self) -> str:
        return installation.newest_npm(PACKAGE)

    def prepare(self, stage: Stage) -> None:
        settings = stage.home / ".pi" / "agent" / "settings.json"
        settings.parent.mkdir(parents=True)
        document: dict[str, Any] = {"enableInstallTelemetry": False}
        if stage.scenario == "auto-compact":
            document["compaction"] = {"enabled": True, "reserveTokens": 300_000, "keepRecentTokens": 1}
        settings.write_text(json.dumps(document), encoding="utf-8")

    def environment(self, stage: Stage) -> dict[str, str]:
        """Return the environment, and write the address that this process is to ask."""
        provider, _ = _model(stage)
        path = "/v1" if provider == "openai" else ""
        models = {"providers": {provider: {"baseUrl": stage.address(provider) + path}}}
        (stage.home / ".pi" / "agent" / "models.json").write_text(json.dumps(models), encoding="utf-8")
        return {
            "PATH": f"{installation.node()}:{stage.base['PATH']}",
            "ANTHROPIC_API_KEY": "sk-ant-fake",
            "OPENAI_API_KEY": "sk-fake",
            "PI_OFFLINE": "1",
            "PI_SKIP_VERSION_CHECK": "1",
            "PI_TELEMETRY": "0",
        }

    def command(self, stage: Stage, turn: Turn) -> list[str]:
        choices = {"new": [], "continue": ["--continue"], "fork": ["--fork", turn.session or ""]}
        which = choices.get(turn.how, ["--session", turn.session or ""])
        start = [str(stage.executable), "--model", "/".join(_model(stage)), "--mode", "json", "--print"]
        return [*start, *which, turn.prompt]

    def interactive(self, stage: Stage, session: str | None) -> list[str]:
        return [str(stage.executable), *(["--session", session] if session else [])]

    def session_of(self, log: str) -> str | None:
        found = re.search(r'"type"\s*:\s*"session".*?"id"\s*:\s*"([0-9a-f-]{36})"', log)
        return found[1] if found else None


def _model(stage: Stage) -> tuple[str, str]:
    return MODELS[list(SCENARIOS).index(stage.scenario) % len(MODELS)]
