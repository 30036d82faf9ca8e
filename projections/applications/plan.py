"""The comparison of an application's row with ours, and the values to write; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ledger.events import money
from projections.applications.columns import AsColumn, difference
from projections.folding.cost_words import NO_FIGURES, row_cost
from projections.folding.row import Row, held
from projections.history.store import HELD_REASON, CostChange, visible_cost

__all__ = ["Compared", "LastWrite", "RowUpdate", "change_of", "hold_of", "plan_of"]


@dataclass(frozen=True, slots=True)
class Compared:
    """The cost that an application's table shows of a workflow, and the cost of our row.

    Attributes:
        stored_nanousd: None when its cost is NULL.
        ledger_nanousd: of our row.
        held: the workflow runs and a larger cost is stored, which stays until it ends.
        wrong: the columns that do not show our row.
        overwrites: how often another writer has overwritten what was written, each time within an hour of the last.
        overwritten_nanousd, overwritten_at: the cost that it set last, and when that was detected.
        no_figure: the word for a ledger's cost without a figure: "unpriced" or "unknown"; "" where there is a figure.
        waits: the last write was of a version in which the row had another meaning, so only a resync writes.
    """

    adw_id: str
    stored_nanousd: int | None
    ledger_nanousd: int
    held: bool = False
    wrong: tuple[str, ...] = ()
    overwrites: int = 0
    overwritten_nanousd: int | None = None
    overwritten_at: str | None = None
    waits: bool = False
    no_figure: str = ""

    @property
    def differs(self) -> bool:
        """Whether the table shows other values than our row."""
        return bool(self.wrong) or self.held

    @property
    def differs_in_cost(self) -> bool:
        """Whether the table shows another cost than our row."""
        return self.stored_nanousd != self.ledger_nanousd

    def __str__(self) -> str:
        stored = "nothing" if self.stored_nanousd is None else f"${money.to_wire(self.stored_nanousd)}"
        until = " (held)" if self.held else ""
        return f"stored {stored}{until}, ledger {self.no_figure or f'${money.to_wire(self.ledger_nanousd)}'}"


@dataclass(frozen=True, slots=True)
class LastWrite:
    """The values of the last write of a row."""

    cost_nanousd: int
    values: dict[str, Any]
    fold_version: int
    overwrites: int
    overwritten_nanousd: int | None
    overwritten_at: str | None

    def wrote_other(self, target: Row, name: str) -> bool:
        """Return whether the last write set a column to another value than this row has."""
        return name in self.values and self.values[name] != getattr(target, name)


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """The values to write to one row."""

    compared: Compared
    row: Row
    target: Row
    stored: Mapping[str, Any]
    values: dict[str, Any]
    record: LastWrite | None
    notes_hold: bool
    overwritten: bool
    of_older_version: bool

    @property
    def changes_row(self) -> bool:
        """Whether the row or its hold changes."""
        return bool(self.values) or self.notes_hold

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return self.changes_row or self.of_older_version  # then only its version is recorded


def plan_of(
    row: Row, stored: Mapping[str, Any], record: LastWrite | None, as_column: AsColumn, *, pure: bool, fold_version: int
) -> RowUpdate:
    """Return the values to write so that an application's row shows ours.

    Args:
        stored: the columns that are written, with their current values.
        record: the last write; None before the first one.
        pure: a running workflow's larger cost is not held.
        fold_version: of the meaning of our row.
    """
    shown, target = stored.get("actual_cost_total"), row
    cost = None if shown is None else visible_cost(shown)
    rounded = cost is not None and cost == visible_cost(as_column("actual_cost_total", row.actual_cost_total))
    if cost is not None and row.status == "running" and not pure and not rounded:
        target = held(row, cost)
    holds = target is not row
    values = difference(target, stored, as_column)
    if holds:
        values.pop("actual_cost_total", None)
    older = record is not None and record.fold_version != fold_version
    compared = Compared(
        row.adw_id,
        row.actual_cost_nanousd if rounded else cost,
        row.actual_cost_nanousd,
        held=holds,
        wrong=tuple(values),
        waits=older and record is not None and any(record.wrote_other(target, name) for name in values),
        no_figure=row_cost(row) if row_cost(row) in NO_FIGURES else "",
    )
    if record is not None:
        compared = replace(
            compared,
            overwrites=record.overwrites,
            overwritten_nanousd=record.overwritten_nanousd,
            overwritten_at=record.overwritten_at,
        )
    notes_hold = holds and (record is None or record.cost_nanousd != target.actual_cost_nanousd)
    overwritten = record is not None and _is_overwritten(record, cost, target, values, as_column)
    return RowUpdate(compared, row, target, stored, values, record, notes_hold, overwritten, older)


def _is_overwritten(
    record: LastWrite, cost: int | None, target: Row, values: Mapping[str, Any], as_column: AsColumn
) -> bool:
    """Return whether another writer has replaced a value of our last write."""
    if any(record.values.get(name) == getattr(target, name) for name in values):
        return True
    written = record.values.get("actual_cost_total")
    if written is None or "actual_cost_total" not in values:
        return False
    return cost != visible_cost(as_column("actual_cost_total", written))


def change_of(plan: RowUpdate, reason: str) -> CostChange | None:
    """Return the change of the cost that people read; None without one."""
    if not {"actual_cost_total", "actual_cost_nanousd"} & plan.values.keys():
        return None
    old, new = plan.compared.stored_nanousd, plan.target.actual_cost_nanousd
    return None if old == new else CostChange(plan.row.adw_id, old, new, plan.row.status, reason)


def hold_of(plan: RowUpdate) -> CostChange | None:
    """Return the change that holds a cost which another program raised; None when none is held from now on."""
    if not plan.notes_hold:
        return None
    old = plan.row.actual_cost_nanousd if plan.record is None else plan.record.cost_nanousd
    return CostChange(plan.row.adw_id, old, plan.target.actual_cost_nanousd, plan.row.status, HELD_REASON)
