"""OpenCode: https://opencode.ai/docs/cli, …/docs/config, …/docs/providers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from tests.clients import installation
from tests.clients.scenarios import SCENARIOS
from tests.clients.stage import Limit, Stage, Turn, numbered

__all__ = ["OpenCode"]

PACKAGE: Final = "opencode-ai"
MODELS: Final = (("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-5"))
"""Every other scenario asks the one provider, or the other."""


class OpenCode:
    """The client `opencode`."""

    name = "opencode"
    versions = ("1.2.27", "1.0.185")
    ways = ("logs",)
    leave = "/exit"
    abilities = frozenset({"continue", "fork", "sub-agents", "auto-compact"})
    missing = (Limit("`run --fork` came later", scenarios=("fork",), until="1.1.0"),)
    limits = (Limit("titles are in no message, and 1-hour cache writes count as 5-minute ones"),)
    defects: tuple[Limit, ...] = ()

    def install(self, version: str) -> Path:
        installation.node()
        _ripgrep(version)
        return installation.npm(PACKAGE, version, "opencode")

    def newest(self) -> str:
        return installation.newest_npm(PACKAGE)

    def prepare(self, stage: Stage) -> None:
        """Write nothing: its settings are in the environment."""

    def environment(self, stage: Stage) -> dict[str, str]:
        provider, model = _model(stage)
        asked: dict[str, Any] = {"options": {"baseURL": f"{stage.address(provider)}/v1", "apiKey": "sk-fake"}}
        if stage.scenario == "auto-compact":
            asked["models"] = {model: {"limit": {"context": 100_000, "input": 100_000, "output": 10_000}}}
        settings = {
            "model": f"{provider}/{model}",
            "autoupdate": False,
            "share": "disabled",
            "permission": {"edit": "allow", "bash": "allow", "webfetch": "allow"},
            "enabled_providers": [provider],
            "provider": {provider: asked},
        }
        return {
            "PATH": ":".join([*_ripgrep(stage.version), str(installation.node()), stage.base["PATH"]]),
            "OPENCODE_CONFIG_CONTENT": json.dumps(settings),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        }

    def command(self, stage: Stage, turn: Turn) -> list[str]:
        which = {"new": [], "continue": ["--continue"]}.get(turn.how, ["--session", turn.session or ""])
        fork = ["--fork"] if turn.how == "fork" else []
        start = [str(stage.executable), "run", "--format", "json", "--model", "/".join(_model(stage))]
        return [*start, *which, *fork, turn.prompt]

    def interactive(self, stage: Stage, session: str | None) -> list[str]:
        return [str(stage.executable), *(["--session", session] if session else [])]

    def session_of(self, log: str) -> str | None:
        found = re.search(r'"sessionID"\s*:\s*"(ses_\w+)"', log)
        return found[1] if found else None


def _model(stage: Stage) -> tuple[str, str]:
    return MODELS[list(SCENARIOS).index(stage.scenario) % len(MODELS)]


def _ripgrep(version: str) -> list[str]:
    """Return the folder of a `rg`, which older versions load from the network; the package of another client has it."""
    if numbered(version) >= (1, 2):
        return []
    package = installation.npm("@qwen-code/qwen-code", "0.15.10", "qwen").parents[1] / "@qwen-code" / "qwen-code"
    return [str(package / "vendor" / "ripgrep" / "x64-linux")]
