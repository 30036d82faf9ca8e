"""SDKs from PyPI: the client is a program that uses one of them, in an environment of its own (`programs`)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients import installation
from tests.clients.stage import Limit, Stage, Turn

__all__ = ["SDKS", "PythonSdk"]

_PROJECT: Final = Path(__file__).parents[2]
_CORE: Final = ("click", "genai-prices", "orjson", "pydantic", "rich", "typing-extensions")
"""What `ledger` needs; it is imported from this folder."""
_OTEL: Final = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")

_QUIET: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_AGENTS_DISABLE_TRACING": "false",
    "PYTHONDONTWRITEBYTECODE": "1",
}

TRACK, CHARGE = "track", "charge"
_SPANS: Final = ("spans", "OTLP protobuf")
_LEFT: Final = Limit("what a stream used after it was left", (TRACK,), ("left",))
_BROKEN: Final = Limit("what a stream used that broke", (TRACK, "callback"), ("dropped",), below=())


@dataclass(frozen=True)
class PythonSdk:
    """One SDK, as `stage.Client`.

    Attributes:
        package: its name on PyPI, which may ask for extras.
        others: packages that its program needs besides.
    """

    name: str
    package: str
    ways: Sequence[str]
    abilities: frozenset[str]
    limits: Sequence[Limit] = ()
    missing: Sequence[Limit] = ()
    defects: Sequence[Limit] = ()
    others: Sequence[str] = ()
    versions: Sequence[str] = ()
    leave: str = ""

    def install(self, version: str) -> Path:
        needed = [f"{self.package}=={version}", *self.others, *_CORE]
        return installation.python(f"{self.name}@{version}", needed)

    def newest(self) -> str:
        return installation.newest_pypi(self.package.partition("[")[0])

    def prepare(self, stage: Stage) -> None:
        (stage.folder / "ledgers").mkdir()

    def environment(self, stage: Stage) -> dict[str, str]:
        addresses = {f"{api.upper()}_ADDRESS": stage.address(api) for api in stage.api}
        ledgers = {"LEDGERS": str(stage.folder / "ledgers"), "PYTHONPATH": str(_PROJECT)}
        return {**addresses, **ledgers, "OTLP_ADDRESS": stage.otlp.url, **_QUIET}

    def command(self, stage: Stage, turn: Turn) -> list[str]:
        program = f"tests.clients.programs.{self.name.replace('-', '_')}"
        workflow_id = turn.session or f"w-{uuid.uuid4().hex[:12]}"
        return ["env", f"TURN={turn.how}", str(stage.executable), "-m", program, turn.prompt, workflow_id]

    def interactive(self, stage: Stage, session: str | None) -> list[str]:
        raise NotImplementedError(f"{self.name} has no terminal")

    def session_of(self, log: str) -> str | None:
        """Return the workflow that a program printed first; None when it failed."""
        first, *others = log.splitlines() or ["{}"]
        failed = any(line.startswith('{"failed"') for line in others)
        session: str | None = None if failed else json.loads(first).get("session_id")
        return session


_COMMON: Final = frozenset({"stream", "threads", "asyncio", "structured"})

SDKS: Final = (
    PythonSdk(
        "anthropic",
        "anthropic",
        (TRACK, CHARGE),
        _COMMON | {"events", "left", "raw", "runner", "batch", "fast", "region", "web-search", "server-compaction"},
        (_LEFT, Limit("inference in one region costs more than the list", (TRACK, CHARGE), ("region",))),
    ),
    PythonSdk(
        "openai",
        "openai",
        (TRACK, CHARGE),
        _COMMON | {"events", "left", "raw", "tiers", "web-search"},
        (_LEFT, _BROKEN),
    ),
    PythonSdk(
        "google-genai",
        "google-genai",
        (TRACK, CHARGE),
        _COMMON | {"events", "left", "runner", "tiers", "web-search"},
        (
            _LEFT,
            Limit("the fee of grounding depends on how many prompts are free", (TRACK, CHARGE), ("web-search",)),
            Limit("the price list has no rates for these tiers", (TRACK, CHARGE), ("tiers",)),
            Limit("the SDK returns the last of several responses", (CHARGE,), ("runner",)),
        ),
    ),
    PythonSdk(
        "litellm",
        "litellm",
        ("callback", CHARGE),
        _COMMON | {"tiers", "web-search"},
        (_BROKEN,),
        others=("tenacity",),  # for its retries
    ),
    PythonSdk(
        "pydantic-ai",
        "pydantic-ai-slim[anthropic,openai,google]",
        (TRACK, *_SPANS),
        _COMMON,
        (Limit("no attribute gives the lifetime of cache writes", _SPANS),),
        others=_OTEL,
    ),
    PythonSdk(
        "openai-agents",
        "openai-agents",
        (TRACK, "openllmetry", *_SPANS),
        _COMMON | {"tiers", "web-search"},
        (
            _BROKEN,
            Limit("OpenInference's spans of a chat do not say how much of the input was cached", _SPANS),
            Limit("OpenLLMetry's spans of a chat have no tokens", ("openllmetry",)),
        ),
        others=(*_OTEL, *(f"{name}-instrumentation-openai-agents" for name in ("openinference", "opentelemetry"))),
    ),
    PythonSdk(
        "claude-agent-sdk",
        "claude-agent-sdk",
        (CHARGE,),
        frozenset({"stream", "asyncio", "sub-agents", "web-search"}),
        (
            Limit("a process that was killed reports no result", (CHARGE,), ("kill",)),
            Limit(
                "the first total of a session may include an earlier process",
                (CHARGE,),
                below=("sub-agents", "two-processes", "web-search"),
            ),
        ),
    ),
)
