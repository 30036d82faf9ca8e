"""Moves: the rows of workflows of which one counts in the row of another.

Each ledger is folded on its own. What was moved counts under the workflow it was moved to, in its own quarter hours, so
that no day's total changes. The result is a function of the ledgers alone, in whatever order they were folded. A move
to a workflow without a ledger, or in a circle, has no effect.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import add
from typing import Any, Final, NamedTuple

import orjson

from ledger.errors import UnstorableRow
from ledger.events import money, timestamps
from projections.folding.projection import Move
from projections.folding.row import HELD, Row, is_empty, with_spend
from projections.folding.spend import NAMES, QUARTER_SECONDS, Amounts, Spend, amounts_of, spend_order
from projections.folding.tools import split_tools

__all__ = ["CountedRow", "LedgerPart", "composed", "moved_from", "moved_to", "part_of_row"]

_BASES: Final = (None, "reported", "priced", "partial")
_DESCRIPTION: Final = (
    *("issue_number", "workflow_template", "project", "branch", "start_time", "estimated_cost_total"),
    "budget_nanousd",
)
_LIFE: Final = ("status", "end_time", "duration_seconds", "error_message")


class LedgerPart(NamedTuple):
    """The row and the spend of one ledger by itself, and what of it was moved."""

    row: Row
    spend: tuple[Spend, ...]
    moves: tuple[Move, ...]


class CountedRow(NamedTuple):
    """The row and the spend of a workflow with all that was moved to it, and without what was moved from it.

    Attributes:
        moved: nothing is left in it, so that the row shows no cost of its own.
    """

    row: Row
    spend: tuple[Spend, ...]
    moved: bool


def moved_to(row: Row) -> dict[str, int]:
    """Return the workflows that costs of a row were moved to, each with nanodollars."""
    return _moved(row, "moved_to")


def moved_from(row: Row) -> dict[str, int]:
    """Return the workflows that costs of a row were moved from, each with nanodollars."""
    return _moved(row, "moved_from")


def _moved(row: Row, key: str) -> dict[str, int]:
    if f'"{key}"' not in row.cost_breakdown:
        return {}
    found = orjson.loads(row.cost_breakdown).get(key) or {}
    return {name: money.from_wire(usd) for name, usd in found.items()}


def part_of_row(row: Row, spend: tuple[Spend, ...]) -> LedgerPart:
    """Return the part of a stored row of a ledger without moves, without what another program raised it by."""
    cost = sum(one.cost_nanousd for one in spend)
    if HELD in row.cost_breakdown:
        breakdown = orjson.loads(row.cost_breakdown)
        for by in ("by_agent", "by_model"):
            breakdown[by].pop(HELD, None)
        row = replace(row, cost_breakdown=orjson.dumps(breakdown, option=orjson.OPT_SORT_KEYS).decode())
    return LedgerPart(replace(row, actual_cost_nanousd=cost, actual_cost_total=float(money.to_wire(cost))), spend, ())


def composed(parts: Mapping[str, LedgerPart], changed: Collection[str] | None = None) -> dict[str, CountedRow]:
    """Return the rows and the spend of workflows that moves connect, by id.

    Args:
        parts: of all of them that have a ledger.
        changed: return only rows that depend on these ledgers; None: all.
    """
    counted: dict[str, dict[str, list[Spend]]] = {name: {} for name in parts}
    for name, part in sorted(parts.items()):
        _distribute(name, part, parts, counted)
    _align_runs(parts, counted)
    try:
        wanted = parts if changed is None else _depending(changed, parts)
        return {name: _composed(name, parts, counted) for name in wanted}
    except UnstorableRow:  # their sum does not fit a row
        return {name: CountedRow(part.row, part.spend, moved=False) for name, part in parts.items()}


def _depending(changed: Collection[str], parts: Mapping[str, LedgerPart]) -> list[str]:
    """Return these workflows, and those in which something of them counts."""
    found = {name for name in changed if name in parts}
    for name in tuple(found):
        found |= {_destination(parts, name, session_id)[0] for session_id in (None, *(m[0] for m in parts[name].moves))}
    return sorted(found)


def _distribute(
    name: str, part: LedgerPart, parts: Mapping[str, LedgerPart], counted: dict[str, dict[str, list[Spend]]]
) -> None:
    """Add the spend of one ledger to the workflows where it counts, by that ledger."""
    destinations = {session_id: _destination(parts, name, session_id) for session_id, _, _ in part.moves}
    other = destinations.get(None, (name, None))
    for to, _ in [other, *destinations.values()]:
        counted[to].setdefault(name, [])
    subagents = _subagents(part.row)
    for one in part.spend:
        to, agent = other if one.session_id is None else destinations.get(one.session_id, other)
        renamed = one if agent is None or one.agent in subagents else one._replace(agent=agent)
        counted[to][name].append(renamed)


def _align_runs(parts: Mapping[str, LedgerPart], counted: dict[str, dict[str, list[Spend]]]) -> None:
    """Number the runs that count in one workflow so that the last run of each ledger has the highest number.

    Ledgers number their runs on their own: a run of one is no repetition of another's.
    """
    last = {name: max((one.run for one in part.spend), default=1) for name, part in parts.items()}
    for sources in counted.values():
        highest = max((last[source] for source in sources), default=1)
        for source, rows in sources.items():
            if more := highest - last[source]:
                rows[:] = [one._replace(run=one.run + more) for one in rows]


def _subagents(row: Row) -> dict[str, list[str]]:
    """Return the names of sub-agents, which a new name of their agent does not change, each with those agents."""
    found: dict[str, list[str]] = {}
    if '"subagents"' in row.cost_breakdown:
        found = orjson.loads(row.cost_breakdown).get("subagents", {})
    return found


def _destination(parts: Mapping[str, LedgerPart], name: str, session_id: str | None) -> tuple[str, str | None]:
    """Return the workflow where a session of a workflow counts, or all else of it, and the agent's name there."""
    at, agent = name, None
    move = _move_of(parts, name, session_id)
    path: list[str] = []
    while move is not None:
        at, agent = move.to, move.agent or agent
        if at in path or at == name:
            break
        path.append(at)
        move = _move_of(parts, at, None)
    return (at, None) if at == name else (at, agent)


def _move_of(parts: Mapping[str, LedgerPart], name: str, session_id: str | None) -> Move | None:
    """Return the move of a session, or of all else; None without one, and for one to a workflow without a ledger."""
    found = {move.session_id: move for move in parts[name].moves if move.to in parts}
    if session_id in found and session_id is not None:
        return found[session_id]
    move = found.get(None)
    return None if move is None or move.to == name else move


def _composed(
    name: str, parts: Mapping[str, LedgerPart], counted: Mapping[str, Mapping[str, list[Spend]]]
) -> CountedRow:
    part, sources = parts[name], counted[name]
    elsewhere = {to: rows[name] for to, rows in counted.items() if to != name and name in rows}
    arrived = {source: rows for source, rows in sources.items() if source != name}
    if not elsewhere and not arrived:
        return CountedRow(part.row, part.spend, moved=is_empty(part.row))
    away, remaining = _destination(parts, name, None)[0] != name, sources.get(name, [])
    moved = away and not remaining
    own = part.row if not away else _left(part.row, remaining)
    spend = _merged([*remaining, *(one for rows in arrived.values() for one in rows)])
    if elsewhere:
        basis = _basis(part.row, remaining, whole=False)
        own = replace(own, cost_basis=basis or ("reported" if away else None))  # what is known to be nothing
    whole = {source for source in arrived if _destination(parts, source, None)[0] == name}
    own = _joined(own, {source: (parts[source].row, rows) for source, rows in arrived.items()}, whole)
    subagents = _subagents(part.row)
    for source, rows in arrived.items():
        names = {one.agent for one in rows}
        subagents |= {called: by for called, by in _subagents(parts[source].row).items() if called in names}
    notes: dict[str, Mapping[str, object]] = {
        "subagents": subagents,
        "moved_to": _costs(elsewhere),
        "moved_from": _costs(arrived),
    }
    return CountedRow(with_spend(own, spend, notes), spend, moved)


def _left(row: Row, remaining: Sequence[Spend]) -> Row:
    """Return the row of a workflow that was moved, but for these sessions: its budget counts where it was moved to."""
    return replace(row, last_activity=_latest(row, remaining) or None, budget_nanousd=None, estimated_cost_total=None)


def _joined(own: Row, arrived: Mapping[str, tuple[Row, list[Spend]]], whole: set[str]) -> Row:
    """Return a row with the basis, the tools and the latest activity of what was moved to it."""
    own = _described(own, sorted((arrived[name][0] for name in whole), key=lambda row: (row.created_at, row.adw_id)))
    bases, tools, moments = [own.cost_basis], split_tools(own.tool), [own.last_activity or ""]
    for source, (row, rows) in arrived.items():
        bases.append(_basis(row, rows, whole=source in whole))
        tools += split_tools(row.tool)
        moments.append(row.last_activity or "" if source in whole else _latest(row, rows))
    return replace(
        own,
        cost_basis=max(bases, key=_BASES.index),
        tool=", ".join(sorted(set(tools))) or None,
        last_activity=max(moments) or None,
        updated_at=max(own.updated_at, *(row.updated_at for row, _ in arrived.values())) if arrived else own.updated_at,
    )


def _described(own: Row, whole: Sequence[Row]) -> Row:
    """Return a row with what its own ledger does not say, from workflows that were moved to it, the first one first.

    One of which nothing happened itself, since it was opened by the move, ran when the first of them did.
    """
    if not whole:
        return own
    known: dict[str, Any] = {}
    for name in _DESCRIPTION:
        known[name] = next((value for row in (own, *whole) if (value := getattr(row, name)) is not None), None)
    if own.start_time is None and own.end_time is None and own.last_activity is None:
        known |= {name: getattr(whole[0], name) for name in _LIFE}
    tags: dict[str, str] = {}
    for row in (*reversed(whole), own):
        tags |= orjson.loads(row.tags) if row.tags else {}
    known["tags"] = orjson.dumps(tags, option=orjson.OPT_SORT_KEYS).decode() if tags else None
    return replace(own, **known)


def _basis(row: Row, rows: Sequence[Spend], *, whole: bool) -> str | None:
    """Return the basis of a part of a row; "priced" where it is not known that no price was used."""
    if whole or row.cost_basis in (None, "reported"):
        return row.cost_basis
    if any(one.partial or one.unpriced_events or one.unpriced_tokens for one in rows):
        return "partial"
    return "priced" if rows else "reported"


def _latest(row: Row, rows: Sequence[Spend]) -> str:
    """Return the latest activity that the spend of a session shows, to a quarter hour."""
    if not rows:
        return ""
    end = datetime.fromtimestamp((max(one.quarter for one in rows) + 1) * QUARTER_SECONDS, UTC)
    return min(timestamps.to_wire(end), row.last_activity or "~")


def _merged(rows: Iterable[Spend]) -> tuple[Spend, ...]:
    """Return spend of several ledgers with one row for each quarter hour, agent, session, model and evidence."""
    sums: dict[Any, Amounts] = {}
    partial: set[Any] = set()
    for one in rows:
        key, amounts = one[: len(NAMES)], amounts_of(one)
        sums[key] = list(map(add, sums[key], amounts)) if key in sums else amounts
        if one.partial:
            partial.add(key[1:4])
    found = [Spend._make((*key, *amounts[:-1], int(key[1:4] in partial))) for key, amounts in sums.items()]
    return tuple(sorted((one for one in found if any(amounts_of(one))), key=spend_order))


def _costs(by_workflow: Mapping[str, Sequence[Spend]]) -> dict[str, str]:
    return {name: money.to_wire(sum(one.cost_nanousd for one in rows)) for name, rows in by_workflow.items()}
