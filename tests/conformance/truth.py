"""Real clients' logs with the exact truth of each, read by every way in."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ledger.claude_code.spool import Spool
from ledger.config.schema import BudgetConfig
from ledger.errors import InvalidInput
from ledger.events import money
from ledger.importing.importer import import_source
from ledger.pricing.genai_book import GenaiPrices
from ledger.storage.directory_store import DirectoryStore
from projections.claude_code.drain import drain
from projections.replay.refresh import project

__all__ = ["WAYS", "Outcome", "Truth", "outcomes", "table"]

EXACT, EXACT_AT_LEAST, BELOW, WITH_CUT, WRONG = (
    "exact",
    "exact, at least",
    "below, at least",
    "with a cut call",
    "WRONG",
)


@dataclass(frozen=True, slots=True)
class Truth:
    """What one client was charged, by session, in nanodollars.

    Attributes:
        cut: what calls would have cost at most that were cut off: a stream that broke, a client that was killed.
    """

    folder: Path
    sessions: dict[str, int]
    cut: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Truth:
        given: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        cut: dict[str, int] = {}
        for response in given["responses"]:
            if not response["complete"] and response["cost_usd"] is not None:
                session = str(response["session"])
                cut[session] = cut.get(session, 0) + money.parse(response["cost_usd"])
        priced = {id: session for id, session in given["sessions"].items() if not session["unpriced"]}
        return cls(folder, {id: money.parse(Decimal(session["cost_usd"])) for id, session in priced.items()}, cut)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one row compares with the truth of its session."""

    session: str
    kind: str
    row_nanousd: int
    truth_nanousd: int


def outcomes(store: DirectoryStore, truth: Truth) -> list[Outcome]:
    """Every row whose session has a known truth, compared to the nanodollar."""
    found = []
    for workflow_id in store.workflow_ids():
        if workflow_id in truth.sessions:
            row, right = project(store, workflow_id).row, truth.sessions[workflow_id]
            cost, at_least = row.actual_cost_nanousd, row.cost_basis == "partial"
            if cost == right:
                kind = EXACT_AT_LEAST if at_least else EXACT
            elif cost < right:
                kind = BELOW if at_least else WRONG
            else:
                kind = WITH_CUT if cost <= right + truth.cut.get(workflow_id, 0) else WRONG
            found.append(Outcome(workflow_id, kind, cost, right))
    return found


def _transcripts(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    homes = sorted((folder / "homes").iterdir()) if (folder / "homes").is_dir() else []
    if chance.random() < 0.5:
        for home in homes:
            import_source(store, "claude", home / ".claude")
        return
    files = [file for home in homes for file in sorted(home.rglob("*.jsonl"))]
    chance.shuffle(files)
    for file in files:
        import_source(store, "claude", file)


def _streams(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    files = sorted(file for file in (folder / "streams").rglob("*.json*"))
    chance.shuffle(files)
    for file in files:
        try:
            import_source(store, "claude-stream", file)
        except InvalidInput as error:
            assert "names no session" in str(error)


def _telemetry(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    files = sorted((folder / "otlp").glob("*.jsonl")) + sorted(folder.glob("http-*.jsonl"))
    chance.shuffle(files)
    for file in files:
        import_source(store, "otlp", file)


def _status_lines(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    spool = Spool(str(store.path))
    for at, given in _recorded(folder / "statusline.log"):
        cost = given["cost"]
        line = {"at": _moment(at), "session_id": given["session_id"], "version": given["version"]}
        line |= {"project_dir": given["workspace"]["project_dir"], "counter_usd": str(cost["total_cost_usd"])}
        since = int(at * 1000) - cost["total_duration_ms"]
        spool.add(line | {"since_ms": since, "duration_ms": cost["total_duration_ms"]})
        if chance.random() < 0.2:
            drain(spool, store, GenaiPrices(), BudgetConfig())
    drain(spool, store, GenaiPrices(), BudgetConfig())


def _hooks(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    spool = Spool(str(store.path))
    for at, given in _recorded(folder / "hooks.log"):
        _, _, below = given["transcript_path"].partition("/homes/")
        path = folder / "homes" / below
        if path.is_file():
            cleared = {"cleared": True} if given.get("reason") == "clear" else {}
            spool.add({"at": _moment(at), "session_id": given["session_id"], "transcripts": [str(path)]} | cleared)
        if chance.random() < 0.1:
            drain(spool, store, GenaiPrices(), BudgetConfig())
    drain(spool, store, GenaiPrices(), BudgetConfig())


def _rollouts(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    if not (folder / ".codex").is_dir():
        return
    files = sorted((folder / ".codex").rglob("rollout-*.jsonl"))
    chance.shuffle(files)
    for file in files:
        import_source(store, "codex", file)


WAYS: dict[str, Callable[[DirectoryStore, Path, random.Random], None]] = {
    "transcripts": _transcripts,
    "stream logs": _streams,
    "telemetry": _telemetry,
    "status line": _status_lines,
    "hooks": _hooks,
    "rollouts": _rollouts,
}


def _recorded(path: Path) -> list[tuple[float, dict[str, Any]]]:
    if not path.exists():
        return []
    lines = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(float(at), json.loads(given)) for at, given in lines]


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def table(rows: list[tuple[str, str, list[Outcome]]]) -> str:
    """A Markdown table of clients and ways in, as `docs/conformance.md` has it."""
    kinds = (EXACT, EXACT_AT_LEAST, BELOW, WITH_CUT, WRONG)
    lines = [f"| client | read from | {' | '.join(kinds)} |", f"|---|---|{'---:|' * len(kinds)}"]
    for client, way, found in rows:
        counts = [sum(outcome.kind == kind for outcome in found) for kind in kinds]
        if found:
            lines.append(f"| {client} | {way} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)
