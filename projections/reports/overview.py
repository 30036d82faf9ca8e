"""The overview: the spend of today, of 7 and of 30 days, by tool and by model; pure, from rows and sums of spend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from ledger.events import timestamps
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.cost_words import is_lower_bound
from projections.folding.row import Row
from projections.folding.spend import AMOUNTS, QUARTER_SECONDS, Amounts
from projections.history.idle import is_moved
from projections.history.packed import unpack
from projections.history.store import Group, SpendSum
from projections.reports.periods import quarters
from projections.reports.spend_report import at_least, total_tokens

__all__ = ["GROUPS", "WINDOW_DAYS", "Figure", "Overview", "by_tool_of", "first_quarter", "overview"]

WINDOW_DAYS: Final = (1, 7, 30)
"""Days up to today, and today is one of them."""

GROUPS: Final[tuple[Group, ...]] = ("adw_id", "model")
"""The groups of the sums that an overview is made of."""

_UNPRICED: Final = AMOUNTS.index("unpriced_events")


@dataclass(slots=True)
class Figure:
    """A cost, and whether it is complete.

    Attributes:
        at_least: the cost is a lower bound.
        unpriced: some of the tokens have no price.
    """

    nanousd: int = 0
    tokens: int = 0
    at_least: bool = False
    unpriced: bool = False

    def take(self, amounts: Amounts) -> None:
        """Add the amounts of a sum."""
        self.nanousd += amounts[0]
        self.tokens += total_tokens(amounts)
        self.at_least = self.at_least or at_least(amounts)
        self.unpriced = self.unpriced or amounts[_UNPRICED] > 0

    def take_row(self, row: Row) -> None:
        """Add the whole cost of a workflow."""
        self.nanousd += row.actual_cost_nanousd
        self.tokens += row.total_tokens
        self.at_least = self.at_least or is_lower_bound(row)
        self.unpriced = self.unpriced or row.unpriced_events > 0


def _figures() -> dict[int, Figure]:
    return {days: Figure() for days in WINDOW_DAYS}


@dataclass(slots=True)
class Overview:
    """The spend of the last days, by `WINDOW_DAYS`; the highest cost comes first, and parts without any are left out.

    Attributes:
        ever, ever_by_tool: over all time.
    """

    spent: dict[int, Figure] = field(default_factory=_figures)
    ever: Figure = field(default_factory=Figure)
    by_tool: dict[str, dict[int, Figure]] = field(default_factory=dict)
    ever_by_tool: dict[str, Figure] = field(default_factory=dict)
    by_model: dict[str, dict[int, Figure]] = field(default_factory=dict)


def first_quarter(day: date) -> int | None:
    """Return the first quarter hour that an overview of a day needs, in this host's zone."""
    return quarters(day - timedelta(days=max(WINDOW_DAYS) - 1), None, None)[0]


def overview(day: date, rows: Sequence[Row], sums: Iterable[SpendSum]) -> Overview:
    """Return the overview of a day.

    Args:
        sums: grouped by `GROUPS`, from `first_quarter` to the end of the day.
    """
    made, tools = Overview(), {row.adw_id: row.tool for row in rows if row.tool}
    firsts = {days: quarters(day - timedelta(days=days - 1), None, None)[0] or 0 for days in WINDOW_DAYS}
    for row in rows:
        made.ever.take_row(row)
        if row.cost_basis is None:
            _mark_unknown(made, row, firsts)
        else:
            made.ever_by_tool.setdefault(tools.get(row.adw_id, UNATTRIBUTED), Figure()).take_row(row)
    for quarter, (adw_id, model), packed in sums:
        amounts = unpack(packed)
        parts = [made.by_tool.setdefault(tools.get(str(adw_id), UNATTRIBUTED), _figures())]
        parts.append(made.by_model.setdefault(str(model or UNATTRIBUTED), _figures()))
        for days, first in firsts.items():
            if quarter >= first:
                for figures in (made.spent, *parts):
                    figures[days].take(amounts)
    made.by_tool = _sorted(made.by_tool)
    made.by_model = _sorted(made.by_model)
    ever_by_tool = [(tool, ever) for tool, ever in made.ever_by_tool.items() if ever != Figure()]
    made.ever_by_tool = dict(sorted(ever_by_tool, key=lambda both: (-both[1].nanousd, both[0])))
    return made


def by_tool_of(rows: Iterable[Row]) -> dict[str, tuple[int, Figure]]:
    """Return how many workflows of each tool there are and what they cost, the highest cost first."""
    found: dict[str, tuple[int, Figure]] = {}
    for row in rows:
        count, figure = found.get(row.tool or UNATTRIBUTED, (0, Figure()))
        figure.take_row(row)
        found[row.tool or UNATTRIBUTED] = (count + (not is_moved(row)), figure)
    return dict(sorted(found.items(), key=lambda both: (-both[1][1].nanousd, both[0])))


def _mark_unknown(made: Overview, row: Row, firsts: Mapping[int, int]) -> None:
    """Let the sums of the days on which a workflow without a reading was active be lower bounds."""
    active = timestamps.moment(row.last_activity)
    for days, first in firsts.items():
        if active is not None and active.timestamp() >= first * QUARTER_SECONDS:
            made.spent[days].at_least = True


def _sorted(parts: dict[str, dict[int, Figure]]) -> dict[str, dict[int, Figure]]:
    """Return the parts with a figure, by their cost in the longest time."""
    most = max(WINDOW_DAYS)
    found = {name: part for name, part in parts.items() if part[most] != Figure()}
    return dict(sorted(found.items(), key=lambda both: (-both[1][most].nanousd, both[0])))
