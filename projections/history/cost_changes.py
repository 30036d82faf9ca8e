"""Which cost a row shows after a write, and the change of it that is audited; pure."""

from __future__ import annotations

from projections.folding.projection import Projected
from projections.folding.row import Row, held
from projections.history.store import HELD_REASON, UPGRADE, Before, CostChange, Stored

__all__ = ["by_upgrade", "changed", "decide", "removed"]


def decide(
    projected: Projected, stored: Stored | None, before: Before | None, *, spent_nanousd: int, pure: bool, reason: str
) -> tuple[Row, CostChange | None]:
    """Return the row to store, and the change of the cost that people read.

    An ended workflow's row shows the replayed cost. A running one's keeps a larger cost that another program or a
    person stored, but none of our own: a row does not depend on when its ledger was refreshed. `pure` always shows the
    replayed cost.

    Args:
        before: the row before an upgrade, whose change has the upgrade as its reason if the ledger has not grown since;
            None when it was folded by this version already.
        spent_nanousd: the sum of the stored spend, which is the replayed cost of our last write.
    """
    if before is not None:
        reason = UPGRADE if before.seq == projected.head.seq else reason
        if stored is None:
            stored, spent_nanousd = before.stored, before.stored.exact_nanousd
    row = replayed = projected.row
    if stored is not None and not pure and replayed.status == "running":
        foreign = stored.edited or stored.exact_nanousd > spent_nanousd
        row = held(replayed, stored.cost_nanousd) if foreign else replayed
    old = None if stored is None else stored.known_nanousd
    raised = row.actual_cost_nanousd > replayed.actual_cost_nanousd
    if stored is not None and raised and stored.edited:
        old, reason = stored.exact_nanousd, HELD_REASON  # once: from then on both columns agree
    return row, changed(row.adw_id, old, row.actual_cost_nanousd, row.status, reason)


def by_upgrade(change: CostChange) -> bool:
    """Return whether an upgrade of this program changed a row's cost, and not its ledger."""
    return change.reason == UPGRADE


def changed(adw_id: str, old_nanousd: int | None, new_nanousd: int, status: str, reason: str) -> CostChange | None:
    """Return the change between two costs; None when there is none."""
    if old_nanousd == new_nanousd or (old_nanousd is None and new_nanousd == 0):
        return None
    return CostChange(adw_id, old_nanousd, new_nanousd, status, reason)


def removed(adw_id: str, stored: Stored, reason: str) -> CostChange:
    """Return the change of cost by removing a row."""
    return CostChange(adw_id, stored.cost_nanousd, 0, stored.status, reason)
