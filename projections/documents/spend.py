"""Spend over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Annotated, Any, Final, Literal, cast

from ledger.events import money
from projections.documents.types import About, AdwIdText, NotRequired, TypedDict, Usd, document
from projections.reports.dimensions import Value
from projections.reports.periods import Per, day_of
from projections.reports.spend_report import SESSIONS, Line, Report, at_least, total_tokens
from projections.reports.timezones import zone_called

__all__ = [
    "PERIODS",
    "Period",
    "SpendDocument",
    "SpendFigures",
    "SpendGroup",
    "SpendLine",
    "SpendTotal",
    "UnpricedDocument",
    "dated_document",
    "named_group",
    "spend_document",
    "spend_figures",
    "unpriced_document",
]

Period = Literal["day", "week", "month", "session", "all"]

PERIODS: Final[dict[Period, Per | None]] = {
    "day": "day",
    "week": "week",
    "month": "month",
    "session": None,
    "all": None,
}
"""What a line can be about, and the period of its query."""


@document
class SpendFigures(TypedDict):
    """What was spent."""

    cost_usd: Usd
    at_least: Annotated[bool, About("more was spent: some usage has no price or is incomplete")]
    input_tokens: Annotated[int, About("uncached input")]
    cache_write_tokens: int
    cache_write_1h_tokens: Annotated[int, About("the part of the cache writes that lives for an hour")]
    cache_read_tokens: int
    output_tokens: int
    total_tokens: int
    web_search_requests: int
    unpriced_events: Annotated[int, About("messages without a price: a cost of 0.00 is unpriced then, and no figure")]
    unpriced_tokens: Annotated[int, About("the tokens of these messages")]


@document
class SpendGroup(SpendFigures):
    """What was spent on one value of `by`."""

    group: Annotated[
        str | int | None,
        About("null: not named; of several in `by`, their values joined by ` / `", examples=["claude-sonnet-4-5"]),
    ]
    dimensions: Annotated[dict[str, str | int | None], About("by name in `by`", examples=[{"agent": "plan"}])]


@document
class SpendLine(SpendGroup):
    """What was spent in a period, or in a session."""

    period: NotRequired[Annotated[str, About("a day, an ISO week or a month", examples=["2026-11-23"])]]
    session_id: NotRequired[Annotated[str | None, About("with `period=session`, which lists sessions of workflows")]]
    adw_id: NotRequired[AdwIdText]
    last_activity: NotRequired[Annotated[str, About("the last day of the session", examples=["2026-11-23"])]]
    models: list[str]
    by_model: NotRequired[Annotated[dict[str, SpendFigures], About("with `breakdown`")]]


@document
class SpendTotal(SpendFigures):
    """What was spent in all."""

    by_model: NotRequired[Annotated[dict[str, SpendFigures], About("with `breakdown`")]]


@document
class SpendOthers(SpendFigures):
    """What was spent on the lines that a limit leaves out."""

    lines: Annotated[int, About("how many")]


@document
class UnpricedDocument(TypedDict):
    """Usage without a price: the true cost is above the one that is shown."""

    events: int
    tokens: int


@document
class SpendDocument(TypedDict):
    """Spend over time: `lines` add up to `groups`, which are one for each value of `by`, and all of them to `total`."""

    period: str
    by: str | None
    timezone: Annotated[str, About("whose days; for `local`, what the host calls its zone")]
    lines: list[SpendLine]
    groups: list[SpendGroup]
    total: SpendTotal
    spent_at_from_usd: Annotated[
        dict[str, Usd],
        About(
            "what is dated by evidence since its source has no time: file (the log's modification time), adw_state, "
            "application (its row) or transcript",
            examples=[{"file": "1.23"}],
        ),
    ]
    unpriced: Annotated[dict[str, UnpricedDocument], About("by model")]
    others: NotRequired[Annotated[SpendOthers, About("lines that are left out; with `limit`")]]
    unknown_count: Annotated[int, About("workflows last active in this time without a reading: their cost is unknown")]


def spend_document(
    period: Period, made: Report, zone: tzinfo | None, *, breakdown: bool, limit: int | None = None
) -> SpendDocument:
    """Return a report.

    Args:
        breakdown: the figures of each line and of the total by model, too.
        limit: so many lines, and what the others come to.
    """
    by = _split_by(period, made)
    found: SpendDocument = {
        "period": period,
        "by": ",".join(by) or None,
        "timezone": zone_called(zone),
        "lines": [_line(period, made, line, zone, breakdown=breakdown) for line in made.lines[:limit]],
        "groups": [_group(period, made, line) for line in made.groups()[:limit]] if by else [],
        "total": _sums(made.total, breakdown=breakdown),
        "spent_at_from_usd": dated_document(made.dated),
        "unpriced": unpriced_document(made.unpriced),
        "unknown_count": made.total.unknown,
    }
    count, others = made.after(limit)
    if count:
        found["others"] = {"lines": count, **_sums(others, breakdown=False)}  # type: ignore[typeddict-unknown-key]
    return found


def _split_by(period: Period, made: Report) -> tuple[str, ...]:
    return made.query.by[len(SESSIONS) :] if period == "session" else made.query.by


def dated_document(dated: Mapping[str, int]) -> dict[str, Usd]:
    """Return amounts by the evidence that dates them."""
    return {name: money.to_wire(nanousd) for name, nanousd in dated.items()}


def unpriced_document(unpriced: Mapping[str, tuple[int, int]]) -> dict[str, UnpricedDocument]:
    """Return messages without a price and their tokens, by model."""
    return {name: {"events": events, "tokens": tokens} for name, (events, tokens) in unpriced.items()}


def spend_figures(amounts: Sequence[int]) -> SpendFigures:
    """Return what amounts in the order of `AMOUNTS` say."""
    cost, read, cache_write, cache_write_1h, cache_read, output, searches, unpriced, unpriced_tokens, _ = amounts
    return {
        "cost_usd": money.to_wire(cost),
        "at_least": at_least(amounts),
        "input_tokens": read,
        "cache_write_tokens": cache_write,
        "cache_write_1h_tokens": cache_write_1h,
        "cache_read_tokens": cache_read,
        "output_tokens": output,
        "total_tokens": total_tokens(amounts),
        "web_search_requests": searches,
        "unpriced_events": unpriced,
        "unpriced_tokens": unpriced_tokens,
    }


def _line(period: Period, made: Report, line: Line, zone: tzinfo | None, *, breakdown: bool) -> SpendLine:
    found: dict[str, Any] = {} if line.period is None else {"period": line.period}
    if period == "session":
        session_id, adw_id = line.group[: len(SESSIONS)]
        day = day_of(line.quarter, zone).isoformat()
        found |= {"session_id": session_id, "adw_id": adw_id, "last_activity": day}
    found |= _named(period, made, line) | {"models": sorted(line.packed)}
    return cast(SpendLine, found | _sums(line, breakdown=breakdown))


def _group(period: Period, made: Report, line: Line) -> SpendGroup:
    return cast(SpendGroup, _named(period, made, line) | _sums(line, breakdown=False))


def _named(period: Period, made: Report, line: Line) -> dict[str, Any]:
    """Return the group of a line, and the same by dimension."""
    by = _split_by(period, made)
    values = line.group[len(line.group) - len(by) :]
    return named_group(by, values)


def named_group(by: Sequence[str], values: Sequence[Value]) -> dict[str, Any]:
    """Return the fields of a `SpendGroup` that name it."""
    whole: Value = " / ".join("" if value is None else str(value) for value in values) if len(by) > 1 else None
    return {"group": values[0] if len(by) == 1 else whole, "dimensions": dict(zip(by, values, strict=True))}


def _sums(line: Line, *, breakdown: bool) -> SpendTotal:
    models = {name: spend_figures(amounts) for name, amounts in sorted(line.models.items())}
    whole = next(iter(models.values())) if len(models) == 1 else spend_figures(line.amounts)
    found = cast(SpendTotal, {**whole})
    found["at_least"] = line.unknown > 0 or any(figures["at_least"] for figures in models.values())
    if breakdown:
        found["by_model"] = models
    return found
