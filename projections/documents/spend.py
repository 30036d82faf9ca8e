"""Spend over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Annotated, Any, Final, cast

from ledger.events import money
from projections.documents.types import About, AdwIdText, NotRequired, TypedDict, Usd, document
from projections.folding.spend import AMOUNTS, Amounts
from projections.reports.spend_report import PERIODS, By, Kind, Line, Report, at_least, total_tokens
from projections.reports.timezones import zone_called

__all__ = [
    "PERIOD_OF",
    "SpendDocument",
    "SpendFigures",
    "SpendGroup",
    "SpendLine",
    "SpendTotal",
    "UnpricedDocument",
    "dated_document",
    "spend_document",
    "spend_figures",
    "unpriced_document",
]

PERIOD_OF: Final[dict[Kind, str]] = {"daily": "day", "weekly": "week", "monthly": "month", "session": "session"}
"""What a line of each kind of report is about."""

_SESSION: Final = ("session_id", "adw_id", "last_activity")


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

    group: Annotated[str | int | None, About("null: not named", examples=["claude-sonnet-4-5"])]


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
    unknown_count: Annotated[int, About("workflows last active in this time without a reading: their cost is unknown")]


def spend_document(
    kind: Kind, by: By | None, made: Report, zone: tzinfo | None, dated: Mapping[str, int], *, breakdown: bool
) -> SpendDocument:
    """Return a report.

    Args:
        dated: nanodollars by the evidence that dates them.
        breakdown: the figures of each line and of the total by model, too.
    """
    return {
        "period": PERIOD_OF[kind],
        "by": by,
        "timezone": zone_called(zone),
        "lines": [_line(kind, by, line, breakdown=breakdown) for line in made.lines],
        "groups": [] if by is None else _groups(made.lines, by),
        "total": _sums(made.total, breakdown=breakdown),
        "spent_at_from_usd": dated_document(dated),
        "unpriced": unpriced_document(made.unpriced),
        "unknown_count": made.total.unknown,
    }


def dated_document(dated: Mapping[str, int]) -> dict[str, Usd]:
    """Return amounts by the evidence that dates them."""
    return {name: money.to_wire(nanousd) for name, nanousd in dated.items()}


def unpriced_document(unpriced: Mapping[str, tuple[int, int]]) -> dict[str, UnpricedDocument]:
    """Return messages without a price and their tokens, by model."""
    return {name: {"events": events, "tokens": tokens} for name, (events, tokens) in unpriced.items()}


def spend_figures(amounts: Sequence[int]) -> SpendFigures:
    """Return what amounts in the order of `AMOUNTS` say."""
    by_name = dict(zip(AMOUNTS, amounts, strict=True))
    return {
        "cost_usd": money.to_wire(by_name["cost_nanousd"]),
        "at_least": at_least(amounts),
        "input_tokens": by_name["input_tokens"],
        "cache_write_tokens": by_name["cache_write_tokens"],
        "cache_write_1h_tokens": by_name["cache_write_1h_tokens"],
        "cache_read_tokens": by_name["cache_read_tokens"],
        "output_tokens": by_name["output_tokens"],
        "total_tokens": total_tokens(amounts),
        "web_search_requests": by_name["web_search_requests"],
        "unpriced_events": by_name["unpriced_events"],
        "unpriced_tokens": by_name["unpriced_tokens"],
    }


def _line(kind: Kind, by: By | None, line: Line, *, breakdown: bool) -> SpendLine:
    names = {"period": PERIODS[kind]} if kind in PERIODS else {name: name for name in _SESSION}
    found: dict[str, Any] = {field: line.labels[label] for field, label in names.items()}
    found |= {"group": None if by is None else line.labels[by], "models": sorted(line.models)}
    return cast(SpendLine, found | _sums(line, breakdown=breakdown))


def _sums(line: Line, *, breakdown: bool) -> SpendTotal:
    found = cast(SpendTotal, {**spend_figures(line.amounts), "at_least": line.at_least})
    if breakdown:
        found["by_model"] = {name: spend_figures(amounts) for name, amounts in sorted(line.models.items())}
    return found


def _groups(lines: Sequence[Line], by: By) -> list[SpendGroup]:
    """Return what each group adds up to over all periods, the one with the highest cost first."""
    sums: dict[str | int | None, Amounts] = {}
    for line in lines:
        total = sums.setdefault(line.labels[by], [0] * len(AMOUNTS))
        for at, amount in enumerate(line.amounts):
            total[at] += amount
    ordered = sorted(sums.items(), key=lambda both: (-both[1][0], str(both[0])))
    return [{"group": group, **spend_figures(amounts)} for group, amounts in ordered]
