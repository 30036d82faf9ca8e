"""The `workflow_history` row: a pure function of a workflow's lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import orjson

from ledger.errors import UnstorableRow
from ledger.events import money, timestamps
from ledger.events.fields import USAGE_FIELDS
from ledger.storage.line import Head
from projections.folding.attribution import bring_up_to_date, partial_keys
from projections.folding.breakdown import (
    Summary,
    basis_of,
    possible_double_counting,
    retries_without_counter,
    subagents,
    summarise,
    summary_of_spend,
)
from projections.folding.fold import State
from projections.folding.readings import Tokens
from projections.folding.spend import Spend, amounts_of, spend_rows
from projections.folding.tools import tools_of

__all__ = ["COLUMNS", "FIGURE_MAX", "HELD", "Row", "held", "is_empty", "is_held", "row", "spend", "with_spend"]

HELD: Final = "(held)"
"""The part of a running row's cost by which a person or another program raised it above the ledger's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `workflow_history`; times are UTC text, tokens are counts."""

    adw_id: str
    issue_number: int | None
    workflow_template: str | None
    project: str | None
    """The repository, or the folder, that it worked in; a name, where its start gives one."""
    branch: str | None
    tool: str | None
    """Whose logs its readings come from, such as "Claude Code"; None without a reading."""
    tags: str | None
    """JSON: its own tags by key; None without any."""
    status: str
    start_time: str | None
    end_time: str | None
    duration_seconds: int | None
    """From start to end; None while it runs, and when the end was recorded long after all activity."""
    last_activity: str | None
    """The latest moment of its readings, starts and ends; None without any."""
    actual_cost_total: float
    """USD, the shortest decimal of `actual_cost_nanousd`; the figure that people read and edit."""
    actual_cost_nanousd: int
    estimated_cost_total: float | None
    budget_nanousd: int | None
    cost_breakdown: str
    """JSON: USD text by agent and by model; tokens without a price by model; findings, and those that were accepted."""
    token_breakdown: str
    """JSON: token counts by agent and by model."""
    input_tokens: int
    """Uncached input, the same as `cache_miss_tokens`."""
    cached_tokens: int
    """Cache writes."""
    cache_hit_tokens: int
    """Cache reads."""
    cache_miss_tokens: int
    output_tokens: int
    total_tokens: int
    cache_efficiency_percent: float
    model_used: str | None
    cost_basis: str | None
    unpriced_events: int
    event_count: int
    ledger_seq: int
    ledger_hash: str
    error_message: str | None
    created_at: str
    updated_at: str


COLUMNS: Final = tuple(column.name for column in fields(Row))

_EMPTY: Final = "empty"
"""The key of a breakdown by which a history knows that a workflow has no row."""

FIGURE_MAX: Final = 2**63 - 1
"""The largest figure of a column in every database: 9.2 billion USD, or as many tokens."""

_MOMENTS: Final = ("start_time", "end_time", "last_activity", "created_at", "updated_at")
_TEXTS: Final = ("workflow_template", "project", "branch", "tool", "tags")
_FIGURES: Final = tuple(column.name for column in fields(Row) if str(column.type).startswith("int"))


def row(state: State, head: Head) -> Row:
    """Return the row of a state.

    Args:
        head: of the ledger at that state.

    Raises:
        UnstorableRow: a figure is above `FIGURE_MAX`, or a text or a time is not valid.
    """
    try:
        made = _row(state, head)
        problem = _problem_of(made)
    except (TypeError, ValueError, OverflowError) as error:  # an integer above 64 bits in the JSON, an invalid time
        problem = str(error)
    if problem is not None:
        raise UnstorableRow(state.workflow_id, problem)
    return made


def _problem_of(made: Row) -> str | None:
    """Return why no history could store a row; None when every one can."""
    for name in _FIGURES:
        value = getattr(made, name)
        if value is not None and not -FIGURE_MAX <= value <= FIGURE_MAX:
            return f"{name} comes to {value:,}, above the limit of {FIGURE_MAX:,}"
    for name in _MOMENTS:
        value = getattr(made, name)
        if value and timestamps.from_wire(value).tzinfo is None:
            return f"{name} is {value!r}, which names no time zone"
    for name in _TEXTS:
        if "\0" in (getattr(made, name) or ""):
            return f"{name} contains a NUL character"
    return None


def _row(state: State, head: Head) -> Row:
    summary = summarise(state.tree)
    tokens = {"by_agent": _named_tokens(summary.tokens_by_agent), "by_model": _named_tokens(summary.tokens_by_model)}
    cost, estimate = state.cost_nanousd, state.estimated_nanousd
    return Row(
        adw_id=state.workflow_id,
        issue_number=state.issue_number,
        workflow_template=state.workflow_template,
        project=state.project or state.folder,
        branch=state.branch,
        tool=tools_of(state.kinds),
        tags=_json(state.tags) if state.tags else None,
        status=state.status,
        start_time=state.start_time,
        end_time=state.end_time,
        duration_seconds=None if state.ended_late else _seconds(state.start_time, state.end_time),
        last_activity=state.last_activity,
        actual_cost_total=_usd(cost),
        actual_cost_nanousd=cost,
        estimated_cost_total=None if estimate is None else _usd(estimate),
        budget_nanousd=state.budget_nanousd,
        cost_breakdown=_json(_cost_breakdown(state, summary)),
        token_breakdown=_json(tokens),
        **_token_columns(summary.tokens),
        model_used=_main_model(summary.cost_by_model, summary.tokens_by_model),
        cost_basis=basis_of(summary, state.unread_events),
        unpriced_events=summary.unpriced,
        event_count=state.event_count,
        ledger_seq=head.seq,
        ledger_hash=head.hash,
        error_message=None if state.error_message is None else state.error_message.replace("\0", "␀"),
        created_at=state.created_at,
        updated_at=state.updated_at,
    )


def _cost_breakdown(state: State, summary: Summary) -> dict[str, Any]:
    """Return the costs by agent and by model, and what needs attention in them; empty parts are left out."""
    optional: dict[str, Any] = {
        "unpriced": _unpriced(summary),
        "possible_double_counting": possible_double_counting(state.tree),
        "retries_without_counter": retries_without_counter(state.tree),
        "subagents": subagents(state.tree),
        "unread_events": state.unread_events,
        _EMPTY: state.is_empty,
        "accepted": {kind: accepted._asdict() for kind, accepted in state.accepted.items()},
    }
    return {
        "by_agent": {name: money.to_wire(cost) for name, cost in summary.cost_by_agent.items()},
        "by_model": {name: money.to_wire(cost) for name, cost in summary.cost_by_model.items()},
    } | {name: part for name, part in optional.items() if part}


def _unpriced(summary: Summary) -> dict[str, dict[str, int]]:
    return {name: {"events": events, "tokens": tokens} for name, (events, tokens) in summary.unpriced_by_model.items()}


def _token_columns(tokens: Tokens) -> dict[str, Any]:
    uncached, writes, _, reads, output, _ = tokens
    read_in = uncached + writes + reads
    return {
        "input_tokens": uncached,
        "cached_tokens": writes,
        "cache_hit_tokens": reads,
        "cache_miss_tokens": uncached,
        "output_tokens": output,
        "total_tokens": read_in + output,
        "cache_efficiency_percent": round(100 * reads / read_in, 2) if read_in else 0.0,
    }


def spend(state: State) -> tuple[Spend, ...]:
    """Return the spend over time by pure replay; it sums to the row that `row` makes of the same state.

    Raises:
        UnstorableRow: a figure or a run's number is above `FIGURE_MAX`.
    """
    bring_up_to_date(state.tree)
    tree = state.tree
    keys = (key for spent in tree.spend.values() for key, amounts in spent.items() if any(amounts))
    every = set(keys) if state.unread_events else set()
    rows = spend_rows(tree.spend, every | partial_keys(tree))
    _check_storable(state.workflow_id, rows)
    return rows


def _check_storable(workflow_id: str, spend: Sequence[Spend]) -> None:
    for one in spend:
        amounts = amounts_of(one)
        if max(amounts) > FIGURE_MAX or min(amounts) < -FIGURE_MAX:
            problem = f"the spend of one quarter hour is above the limit of {FIGURE_MAX:,}"
            raise UnstorableRow(workflow_id, problem)
        if one.run > FIGURE_MAX:
            raise UnstorableRow(workflow_id, f"the number of a run is above the limit of {FIGURE_MAX:,}")


def with_spend(of: Row, spend: Sequence[Spend], notes: Mapping[str, Mapping[str, object]]) -> Row:
    """Return a row with the cost, the tokens and the breakdown of other spend than its ledger's.

    Args:
        notes: what else the breakdown says, by key; empty parts are left out.

    Raises:
        UnstorableRow: a figure is above `FIGURE_MAX`.
    """
    summary, cost = summary_of_spend(spend), sum(one.cost_nanousd for one in spend)
    figures = {"by_agent": summary.cost_by_agent, "by_model": summary.cost_by_model}
    kept = {name: part for name, part in orjson.loads(of.cost_breakdown).items() if name not in ("unpriced", _EMPTY)}
    wires = {by: {name: money.to_wire(each) for name, each in costs.items()} for by, costs in figures.items()}
    tokens = {"by_agent": _named_tokens(summary.tokens_by_agent), "by_model": _named_tokens(summary.tokens_by_model)}
    optional = {"unpriced": _unpriced(summary), **notes}
    columns: dict[str, Any] = {
        "actual_cost_total": _usd(cost),
        "actual_cost_nanousd": cost,
        "cost_breakdown": _json(kept | wires | {name: part for name, part in optional.items() if part}),
        "token_breakdown": _json(tokens),
        **_token_columns(summary.tokens),
        "model_used": _main_model(summary.cost_by_model, summary.tokens_by_model),
        "unpriced_events": summary.unpriced,
    }
    made = replace(of, **columns)
    if (problem := _problem_of(made)) is not None:
        raise UnstorableRow(of.adw_id, problem)
    _check_storable(of.adw_id, spend)
    return made


def is_empty(of: Row) -> bool:
    """Return whether a workflow has no row: nothing is moved to it, and it was only opened for that."""
    return f'"{_EMPTY}":true' in of.cost_breakdown


def is_held(of: Row) -> bool:
    """Return whether a row has a larger cost than its ledger adds up to, which was stored by hand; see `held`."""
    return f'"{HELD}":' in of.cost_breakdown


def held(replayed: Row, stored_nanousd: int) -> Row:
    """Return a running row with the larger cost that is stored; the difference shows as `(held)`."""
    difference = stored_nanousd - replayed.actual_cost_nanousd
    if difference <= 0:
        return replayed
    breakdown = orjson.loads(replayed.cost_breakdown)
    for part in ("by_agent", "by_model"):
        breakdown[part][HELD] = money.to_wire(difference)
    return replace(
        replayed,
        actual_cost_total=_usd(stored_nanousd),
        actual_cost_nanousd=stored_nanousd,
        cost_breakdown=_json(breakdown),
    )


def _usd(nanousd: int) -> float:
    return float(money.to_wire(nanousd))


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _named_tokens(tokens: dict[str, Tokens]) -> dict[str, dict[str, int]]:
    return {
        name: {bucket: count for bucket, count in zip(USAGE_FIELDS, counts, strict=True) if count}
        for name, counts in tokens.items()
    }


def _main_model(costs: dict[str, int], tokens: dict[str, Tokens]) -> str | None:
    """Return the model that cost most, or without costs the one that used most tokens; of two the first by name."""
    named = {name: cost for name, cost in costs.items() if not name.startswith("(")}
    used = named or {name: sum(counts) for name, counts in tokens.items() if not name.startswith("(")}
    return min(used, key=lambda name: (-used[name], name), default=None)


def _seconds(start: str | None, end: str | None) -> int | None:
    """Return the whole seconds from start to end; at least 0, since the clocks of two hosts may disagree."""
    if start is None or end is None:
        return None
    return max(0, int((timestamps.from_wire(end) - timestamps.from_wire(start)).total_seconds()))
