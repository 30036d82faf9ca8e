"""Codex CLI: https://developers.openai.com/codex/cli/reference, …/config-reference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.clients import installation
from tests.clients.stage import Limit, Stage, Turn

__all__ = ["Codex"]

PACKAGE: Final = "@openai/codex"
MODEL: Final = "gpt-5-codex"

_CONFIG: Final = """model = "{model}"
model_provider = "fake"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[model_providers.fake]
name = "Fake"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "FAKE_KEY"
request_max_retries = 4
stream_max_retries = 4

[projects."{work}"]
trust_level = "trusted"

[otel]
trace_exporter = "none"
metrics_exporter = "none"
exporter = {{ otlp-http = {{ endpoint = "{otlp}/v1/logs", protocol = "{protocol}", headers = {{}} }} }}
"""

_OTLP: Final = ("OTLP JSON", "OTLP protobuf")
_SEARCH: Final = ("web-search",)
_BOTH: Final = ("two-processes", "two-terminals")
_TYPED: Final = ("terminal", "clear", "compact-terminal", "two-terminals")


class Codex:
    """The client `codex`."""

    name = "codex"
    versions = ("0.147.0", "0.98.0", "0.50.0")
    ways = ("rollouts", *_OTLP)
    leave = "/quit"
    abilities = frozenset({"continue", "fork", "sub-agents", "web-search", "terminal", "compact"})
    missing = (
        Limit("`exec fork` came later", scenarios=("fork",), until="0.170.0"),
        Limit("`exec resume --last` took no prompt", scenarios=("continue",), until="0.98.0"),
        Limit("sub-agents came later", scenarios=("sub-agents",), until="0.140.0"),
        Limit("a session is refused to a second process", scenarios=_BOTH, since="0.140.0"),
        Limit("`/compact` is for a terminal", scenarios=("compact",)),
        Limit("at a terminal, it first offers another model", scenarios=_TYPED, until="0.140.0"),
    )
    limits = (
        Limit("rollouts of this version leave no trace of web searches", ("rollouts",), until="0.63.0", below=_SEARCH),
        Limit("the call for a thread's title is in no rollout", ("rollouts",), _TYPED),
        Limit("telemetry does not say what was searched, and what only opened", _OTLP, _SEARCH),
        Limit("rollouts of this version leave no trace of web searches", ("all together",), _SEARCH, until="0.63.0"),
        Limit("rollouts and telemetry name no call alike, so the higher counts", ("all together",), below=()),
        Limit("what was not exported yet when the process was killed", _OTLP, ("kill",)),
        Limit("the calls of a sub-agent are a row of its own", _OTLP, ("sub-agents",)),
    )

    defects: tuple[Limit, ...] = ()

    def install(self, version: str) -> Path:
        return installation.npm(PACKAGE, version, "codex")

    def newest(self) -> str:
        return installation.newest_npm(PACKAGE)

    def prepare(self, stage: Stage) -> None:
        protocol = {"http/json": "json", "http/protobuf": "binary"}[stage.protocols[0]]
        config = stage.home / ".codex" / "config.toml"
        config.parent.mkdir()
        url, otlp = stage.api["openai"].url, stage.otlp.url
        text = _CONFIG.format(model=MODEL, url=url, work=stage.work, otlp=otlp, protocol=protocol)
        config.write_text(text, encoding="utf-8")

    def environment(self, stage: Stage) -> dict[str, str]:
        exports = {"OTEL_BLRP_SCHEDULE_DELAY": "200"}  # milliseconds between exports
        return {"FAKE_KEY": "sk-fake", "CODEX_HOME": str(stage.home / ".codex")} | exports

    def command(self, stage: Stage, turn: Turn) -> list[str]:
        base = f'model_providers.fake.base_url="{stage.address("openai")}/v1"'
        search = ["-c", "tools.web_search=true"] if stage.scenario == "web-search" else []
        start = [str(stage.executable), "exec", "-c", base, *search, "--json"]
        if turn.how == "new":
            return [*start, turn.prompt]
        if turn.how == "continue":
            return [*start, "resume", "--last", turn.prompt]
        return [*start, turn.how, turn.session or "", turn.prompt]

    def interactive(self, stage: Stage, session: str | None) -> list[str]:
        return [str(stage.executable), *(["resume", session] if session else [])]

    def session_of(self, log: str) -> str | None:
        found = re.search(r'"(?:thread_id|session_id)"\s*:\s*"([0-9a-f-]{36})"', log)
        return found[1] if found else None
