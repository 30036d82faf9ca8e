"""What is said of a workflow when its row is read, beyond the stored status: that it is idle, or was moved.

Idle is an open workflow without activity for some time, by the reader's clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from ledger.events.timestamps import moment

if TYPE_CHECKING:
    from projections.folding.row import Row

__all__ = ["IDLE_AFTER", "MOVED", "is_idle", "is_moved", "open_seconds", "shown_status", "workflows_of"]

MOVED: Final = "moved"
"""The status that is shown, counted and asked for of a workflow that was moved, whatever its own events say."""

IDLE_AFTER: Final = timedelta(hours=1)
"""Without `idle_after` in the configuration."""


def is_idle(row: Row, now: datetime, after: timedelta | None = None) -> bool:
    """Return whether a row is of an open workflow without activity for some time.

    Args:
        after: the configured `idle_after`; None is `IDLE_AFTER`.
    """
    if row.status != "running" or is_moved(row):
        return False
    if row.last_activity is None:
        return bool(row.event_count)  # its ledger was opened, and nothing has happened; not a row that has no ledger
    active_at = moment(row.last_activity)
    return active_at is not None and now - active_at > (IDLE_AFTER if after is None else after)


def is_moved(row: Row) -> bool:
    """Return whether a workflow was moved, so that its cost and its activity are those of another row.

    Any other row with a basis has a reading, and so an activity.
    """
    return row.last_activity is None and row.cost_basis is not None


def shown_status(row: Row) -> str:
    """Return the status of a workflow as people and programs are shown it; "running" also of an idle one."""
    return MOVED if is_moved(row) else row.status


def workflows_of(rows: Iterable[Row]) -> int:
    """Return how many workflows rows are of: one that was moved is not counted, since it counts in another row."""
    return sum(not is_moved(row) for row in rows)


def open_seconds(row: Row) -> int | None:
    """Return for how long an open workflow has been active: from its start to its last activity, in whole seconds."""
    start, last = moment(row.start_time), moment(row.last_activity)
    if row.status != "running" or start is None or last is None:
        return None
    return max(0, int((last - start).total_seconds()))
