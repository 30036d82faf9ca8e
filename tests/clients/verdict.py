"""The verdict on a row: it equals the truth, or is below it and says "at least"; anything else is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
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
        aliases: sessions that count in another one, whose process made their calls.
    """

    folder: Path
    sessions: dict[str, int]
    cut: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, aliases: Mapping[str, str] = MappingProxyType({})) -> Truth:
        """Read the truth of a recording; `aliases` are those that it does not name."""
        given: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        aliases = {**aliases, **given.get("aliases", {})}
        cut: dict[str, int] = {}
        for response in given["responses"]:
            if not response["complete"] and response["cost_usd"] is not None:
                session = aliases.get(str(response["session"]), str(response["session"]))
                cut[session] = cut.get(session, 0) + money.parse(response["cost_usd"])
        sessions: dict[str, int] = {}
        for id, session in given["sessions"].items():
            if not session["unpriced"]:
                owner = aliases.get(id, id)
                sessions[owner] = sessions.get(owner, 0) + money.parse(Decimal(session["cost_usd"]))
        return cls(folder, sessions, cut, dict(aliases))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one row compares with the truth of its session."""

    session: str
    kind: str
    row_nanousd: int
    truth_nanousd: int


def outcomes(store: DirectoryStore, truth: Truth) -> list[Outcome]:
    """Every row whose session has a known truth, compared to the nanodollar."""
    return [one for one in _compared(store, truth) if one.session in truth.sessions]


def whole(store: DirectoryStore, truth: Truth) -> list[Outcome]:
    """As `outcomes`, with a verdict on each row that no session has and each session that has no row."""
    found = [one for one in _compared(store, truth) if one.row_nanousd or one.session in truth.sessions]
    missing = truth.sessions.keys() - {one.session for one in found}
    return found + [Outcome(session, ABSENT, 0, truth.sessions[session]) for session in sorted(missing)]


def _compared(store: DirectoryStore, truth: Truth) -> list[Outcome]:
    costs: dict[str, int] = {}
    lower_bounds: set[str] = set()
    for workflow_id in store.workflow_ids():
        row, session = project(store, workflow_id).row, truth.aliases.get(workflow_id, workflow_id)
        costs[session] = costs.get(session, 0) + row.actual_cost_nanousd
        if row.cost_basis == "partial":
            lower_bounds.add(session)
    return [_outcome(session, cost, truth, at_least=session in lower_bounds) for session, cost in costs.items()]


def _outcome(session: str, cost: int, truth: Truth, *, at_least: bool) -> Outcome:
    right = truth.sessions.get(session, 0)
    if cost == right:
        kind = EXACT_AT_LEAST if at_least else EXACT
    elif cost < right:
        kind = BELOW if at_least else WRONG
    else:
        kind = WITH_CUT if cost <= right + truth.cut.get(session, 0) else WRONG
    return Outcome(session, kind, cost, right)


_ORDER: Final = (WRONG, ABSENT, BELOW, WITH_CUT, EXACT_AT_LEAST, EXACT)


def worst(found: Iterable[Outcome]) -> str:
    """Return the verdict on a cell: that of its worst session; nothing charged and nothing shown is exact."""
    return min((_kind(one) for one in found), key=_ORDER.index, default=EXACT)


def _kind(one: Outcome) -> str:
    return WRONG if one.kind.startswith(WRONG) else one.kind
