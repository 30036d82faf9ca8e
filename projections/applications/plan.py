"""What an application's row shows, and what is to be written so that it shows ours; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.events import money
from projections.applications.columns import AsColumn, difference
from projections.folding.cost_words import NO_FIGURES, row_cost
from projections.folding.row import Row, held
from projections.history.store import HELD_REASON, CostChange, visible_cost

__all__ = ["Compared", "LastWrite", "RowUpdate", "change_of", "hold_of", "plan_of"]


@dataclass(frozen=True, slots=True)
class Compared:
    """What the application's table shows of a workflow, and what it should.

    Attributes:
        stored_nanousd: None: its cost is NULL.
        ledger_nanousd: of our row.
        held: the workflow runs and a larger cost is stored, which stays until it ends.
        wrong: the columns that do not show our row.
        overwrites: how often another writer has overwritten what was written, each time within an hour of the last.
        overwritten_nanousd, overwritten_at: what it last set, and when that was found.
        no_figure: what is said of a ledger's cost that is no figure: "unpriced" or "unknown"; "" where it is one.
        waits: this version reads ledgers in another way than what was written last, so only a resync writes.
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
        return bool(self.wrong) or self.held

    @property
    def differs_in_cost(self) -> bool:
        return self.stored_nanousd != self.ledger_nanousd

    def __str__(self) -> str:
        stored = "nothing" if self.stored_nanousd is None else f"${money.to_wire(self.stored_nanousd)}"
        until = " (held)" if self.held else ""
        return f"stored {stored}{until}, ledger {self.no_figure or f'${money.to_wire(self.ledger_nanousd)}'}"


@dataclass(frozen=True, slots=True)
class LastWrite:
    """What was written last."""

    cost_nanousd: int
    values: dict[str, Any]
    fold_version: int
    overwrites: int
    overwritten_nanousd: int | None
    overwritten_at: str | None


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """What is to be written of one row."""

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
        return bool(self.values) or self.notes_hold

    @property
    def writes(self) -> bool:
        return self.changes_row or self.of_older_version  # whose values are the same in this version


def plan_of(
    row: Row, stored: Mapping[str, Any], record: LastWrite | None, as_column: AsColumn, *, pure: bool, fold_version: int
) -> RowUpdate:
    """What is to be written so that an application's row shows ours.

    Args:
        stored: the columns that are written, as they are there.
        record: what was written last; None before the first time.
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
        overwrites=record.overwrites if record else 0,
        overwritten_nanousd=record.overwritten_nanousd if record else None,
        overwritten_at=record.overwritten_at if record else None,
        waits=older
        and record is not None
        and any(name in record.values and record.values[name] != getattr(target, name) for name in values),
        no_figure=row_cost(row) if row_cost(row) in NO_FIGURES else "",
    )
    notes_hold = holds and (record is None or record.cost_nanousd != target.actual_cost_nanousd)
    again = record is not None and any(record.values.get(name) == getattr(target, name) for name in values)
    if record is not None and "actual_cost_total" in values:
        was = record.values.get("actual_cost_total")
        again |= was is not None and cost != visible_cost(as_column("actual_cost_total", was))
    return RowUpdate(compared, row, target, stored, values, record, notes_hold, again, older)


def change_of(plan: RowUpdate, reason: str) -> CostChange | None:
    """The change of the cost that people see."""
    if not {"actual_cost_total", "actual_cost_nanousd"} & plan.values.keys():
        return None
    old, new = plan.compared.stored_nanousd, plan.target.actual_cost_nanousd
    return None if old == new else CostChange(plan.row.adw_id, old, new, plan.row.status, reason)


def hold_of(plan: RowUpdate) -> CostChange | None:
    """That a cost which another program raised is held from now on."""
    if not plan.notes_hold:
        return None
    old = plan.row.actual_cost_nanousd if plan.record is None else plan.record.cost_nanousd
    return CostChange(plan.row.adw_id, old, plan.target.actual_cost_nanousd, plan.row.status, HELD_REASON)
