"""Spend reports by day, ISO week, month or session, in a time zone.

A report only groups the sums of a store, so every report of the same quarter hours adds up to the same nanodollar. A
quarter hour belongs to the day on which it starts. Pure: the zone and the range are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from operator import add
from typing import Final, Literal

from ledger.events import timestamps
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.spend import AMOUNTS, QUARTER_SECONDS, Amounts
from projections.history.query import Query
from projections.history.store import Group, HistoryStore, SpendSum

__all__ = [
    "BY",
    "PERIODS",
    "By",
    "Kind",
    "Line",
    "Report",
    "at_least",
    "day_of",
    "groups",
    "last_activities",
    "minute_of",
    "quarters",
    "report",
    "spent_at_from",
    "total_tokens",
    "without_reading",
]

Kind = Literal["daily", "weekly", "monthly", "session"]
By = Literal["agent", "model", "template", "issue", "project", "session", "tool"]

BY: Final[dict[By, Group]] = {
    "agent": "agent",
    "model": "model",
    "template": "workflow_template",
    "issue": "issue_number",
    "project": "project",
    "session": "session_id",
    "tool": "tool",
}
"""The ways to split lines, and the group of spend of each."""

PERIODS: Final[dict[Kind, str]] = {"daily": "date", "weekly": "week", "monthly": "month"}
"""The label of a line's period; the lines of sessions have none."""

_NOTHING: Final = [0] * len(AMOUNTS)
_COUNTED: Final = [AMOUNTS.index(f"{kind}_tokens") for kind in ("input", "cache_write", "cache_read", "output")]
_UNPRICED: Final = (AMOUNTS.index("unpriced_events"), AMOUNTS.index("unpriced_tokens"))
_PARTIAL: Final = AMOUNTS.index("partial")


@dataclass(slots=True)
class Line:
    """One line of a report.

    Attributes:
        labels: by column: the period or the session, and the group that the report is split by.
        quarter: its last quarter hour.
        at: its last activity, in seconds since 1970; where no more is known, the start of the quarter hour.
        models: figures by model; `amounts` is their sum.
        unknown: workflows without a reading; only of a total, since no model or agent is known of them.
    """

    labels: dict[str, str | int | None]
    quarter: int = 0
    at: float = 0.0
    amounts: Amounts = field(default_factory=lambda: list(_NOTHING))
    models: dict[str, Amounts] = field(default_factory=dict)
    unknown: int = 0

    @property
    def at_least(self) -> bool:
        """Whether the line is a lower bound: under any model, or since the cost of a workflow is unknown."""
        return self.unknown > 0 or any(map(at_least, self.models.values()))

    @property
    def is_partial(self) -> bool:
        """Whether some of its usage is incomplete, under any model."""
        return any(amounts[_PARTIAL] > 0 for amounts in self.models.values())

    def take(self, model: str, amounts: Amounts) -> None:
        """Add figures of a model."""
        before = self.models.get(model)
        self.models[model] = amounts if before is None else list(map(add, before, amounts))
        self.amounts = list(map(add, self.amounts, amounts))


@dataclass(frozen=True, slots=True)
class Report:
    """The lines of a report, and their sum by model."""

    lines: list[Line]
    total: Line

    @property
    def unpriced(self) -> dict[str, tuple[int, int]]:
        """The number of messages without a price and their tokens, by model; a later price has removed its own."""
        pairs = {name: (amounts[_UNPRICED[0]], amounts[_UNPRICED[1]]) for name, amounts in self.total.models.items()}
        return {name: both for name, both in sorted(pairs.items()) if max(both) > 0}


def groups(kind: Kind, by: By | None) -> list[Group]:
    """Return the groups of the sums that a report is made of."""
    split: list[Group] = [] if by is None else [BY[by]]
    session: list[Group] = ["session_id", "adw_id"] if kind == "session" else []
    return list(dict.fromkeys([*session, *split, "model"]))


def report(
    kind: Kind,
    by: By | None,
    sums: Iterable[SpendSum],
    zone: tzinfo | None,
    *,
    descending: bool = False,
    unknown: int = 0,
    latest: Mapping[str, float] | None = None,
) -> Report:
    """Return the lines by period or session, and within one by cost.

    Args:
        sums: grouped by `groups`; those of sessions over all quarter hours.
        zone: None is the local one of this host.
        unknown: see `without_reading`.
        latest: the last activity of workflows, in seconds since 1970; it orders their sessions.
    """
    names = groups(kind, by)
    model_at = names.index("model")
    lines: dict[tuple[str | int | None, ...], Line] = {}
    total = Line({}, unknown=unknown)
    days: dict[int, date] = {}
    for quarter, group, amounts in sums:
        day = days.get(quarter) or days.setdefault(quarter, day_of(quarter, zone))
        labels = _labels(kind, by, day, dict(zip(names, group, strict=True)))
        key = tuple([value for name, value in labels.items() if name != "last_activity"])
        line = lines.get(key)
        if line is None:
            line = lines[key] = Line(labels, quarter)
        elif quarter > line.quarter:
            line.quarter, line.labels = quarter, labels
        model = str(group[model_at] or UNATTRIBUTED)
        line.take(model, amounts)
        total.take(model, amounts)
    found = [line for line in lines.values() if any(map(any, line.models.values()))]
    _sort(found, kind, latest or {}, descending=descending)
    return Report(found, total)


def _sort(lines: list[Line], kind: Kind, latest: Mapping[str, float], *, descending: bool) -> None:
    """Sort by period, or by the last activity of a session; within one by cost, the highest first."""
    lines.sort(key=lambda line: (-line.amounts[0], str(line.labels.values())))
    if kind == "session":
        for line in lines:
            line.at = _last_of(line, latest)
        lines.sort(key=lambda line: line.at, reverse=descending)
    else:
        lines.sort(key=lambda line: str(line.labels[PERIODS[kind]]), reverse=descending)


def _last_of(line: Line, latest: Mapping[str, float]) -> float:
    """When a session was last active: with its workflow, if that was in the session's last quarter hour."""
    at = latest.get(str(line.labels["adw_id"]), 0.0)
    return at if int(at // QUARTER_SECONDS) == line.quarter else float(line.quarter * QUARTER_SECONDS)


def without_reading(history: HistoryStore, first: int | None, last: int | None) -> int:
    """Return how many workflows were last active in some quarter hours and have no reading: their cost is unknown.

    Args:
        first, last: quarter hours, both included; None: no bound.
    """
    since, until = (_wire(first), _wire(None if last is None else last + 1))
    return history.page(Query(basis="none", since=since, until=until, limit=1)).totals.count


def last_activities(history: HistoryStore) -> dict[str, float]:
    """Return the last activity of each workflow that has one, in seconds since 1970."""
    found = {row.adw_id: timestamps.moment(row.last_activity) for row in history.rows()}
    return {adw_id: at.timestamp() for adw_id, at in found.items() if at is not None}


def _wire(quarter: int | None) -> str | None:
    """The start of a quarter hour; None where the calendar has none."""
    try:
        return None if quarter is None else timestamps.to_wire(timestamps.from_unix(quarter * QUARTER_SECONDS))
    except (OverflowError, ValueError, OSError):
        return None


def spent_at_from(history: HistoryStore, first: int | None, last: int | None) -> dict[str, int]:
    """Return nanodollars by the evidence that dates them, without those whose events have a time.

    Args:
        first, last: quarter hours, both included; None: no bound.
    """
    found = history.spent(["spent_at_from"], first=first, last=last, merged=True)
    sums = {str(group[0]): amounts[0] for _, group, amounts in found if group[0] is not None and amounts[0]}
    return dict(sorted(sums.items()))


def _labels(kind: Kind, by: By | None, day: date, group: dict[Group, str | int | None]) -> dict[str, str | int | None]:
    labels: dict[str, str | int | None]
    if kind == "session":
        labels = {"session_id": group["session_id"], "adw_id": group["adw_id"], "last_activity": day.isoformat()}
    elif kind == "daily":
        labels = {"date": day.isoformat()}
    elif kind == "weekly":
        year, week, _ = day.isocalendar()
        labels = {"week": f"{year:04d}-W{week:02d}"}
    else:
        labels = {"month": day.isoformat()[:7]}
    return labels if by is None else labels | {by: group[BY[by]]}


def at_least(amounts: Sequence[int]) -> bool:
    """Return whether these figures are a lower bound: some usage has no price or is incomplete."""
    return amounts[_UNPRICED[0]] > 0 or amounts[_PARTIAL] > 0


def total_tokens(amounts: Sequence[int]) -> int:
    """Return the sum of input, cache writes, cache reads and output."""
    return sum(amounts[at] for at in _COUNTED)


def day_of(quarter: int, zone: tzinfo | None) -> date:
    """Return the day on which a quarter hour starts; outside the years 1 to 9999 the nearest one inside.

    Args:
        zone: None is the local one of this host.
    """
    try:
        return datetime.fromtimestamp(quarter * QUARTER_SECONDS, zone).date()
    except (OverflowError, ValueError, OSError):
        return date.min if quarter < 0 else date.max


def minute_of(at: float, zone: tzinfo | None) -> str:
    """Return a moment in seconds since 1970 to the minute; outside the years 1 to 9999 only the nearest day inside.

    Args:
        zone: None is the local one of this host.
    """
    try:
        return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return (date.min if at < 0 else date.max).isoformat()


def quarters(since: date | None, until: date | None, zone: tzinfo | None) -> tuple[int | None, int | None]:
    """Return the first and the last quarter hour of some days, both included; None: no bound.

    Args:
        zone: None is the local one of this host.
    """
    last = None if until is None or until == date.max else _first_of(until + timedelta(days=1), zone)
    return None if since is None else _first_of(since, zone), None if last is None else last - 1


def _first_of(day: date, zone: tzinfo | None) -> int | None:
    try:
        start = datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    except (OverflowError, ValueError, OSError):
        return None
    return -int(-start // QUARTER_SECONDS)
