"""The verdict on a row: it equals the truth, or is below it and says "at least"; anything else is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ledger.events import money
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project

__all__ = [
    "ABSENT",
    "BELOW",
    "EXACT",
    "EXACT_AT_LEAST",
    "KINDS",
    "WITH_CUT",
    "WRONG",
    "Outcome",
    "Truth",
    "outcomes",
    "whole",
    "worst",
]

EXACT: Final = "exact"
EXACT_AT_LEAST: Final = "exact, at least"
BELOW: Final = "below, at least"
WITH_CUT: Final = "with a cut call"
WRONG: Final = "WRONG"
ABSENT: Final = "no row"

KINDS: Final = (EXACT, EXACT_AT_LEAST, BELOW, WITH_CUT, WRONG)
"""Of rows; `ABSENT` is the verdict on a session of which a way shows nothing."""


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


def whole(store: DirectoryStore, truth: Truth) -> list[Outcome]:
    """As `outcomes`, with a verdict on each row that no session has and each session that has no row."""
    found = outcomes(store, truth)
    rows = {one.session for one in found}
    for workflow_id in store.workflow_ids():
        cost = project(store, workflow_id).row.actual_cost_nanousd
        if workflow_id not in rows and cost > truth.cut.get(workflow_id, 0):
            found.append(Outcome(workflow_id, WRONG, cost, 0))
    missing = truth.sessions.keys() - rows
    return found + [Outcome(session, ABSENT, 0, truth.sessions[session]) for session in sorted(missing)]


_ORDER: Final = (WRONG, ABSENT, BELOW, WITH_CUT, EXACT_AT_LEAST, EXACT)


def worst(found: Iterable[Outcome]) -> str:
    """Return the verdict on a cell: that of its worst session."""
    return min((one.kind for one in found), key=_ORDER.index, default=ABSENT)
