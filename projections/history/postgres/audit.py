"""The audit log in PostgreSQL: each change of a row's cost, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.events import money
from projections.history.postgres.connection import Cursor
from projections.history.postgres.tables import records
from projections.history.store import AuditEntry, CostChange

__all__ = ["audit_entries", "log_changes"]

_ENTRY: Final = ("adw_id", "old_cost", "new_cost", "reason", "timestamp")
_INSERT: Final = (
    f"INSERT INTO cost_audit_log ({', '.join(_ENTRY)}) "
    f"SELECT {', '.join(_ENTRY)} FROM json_populate_recordset(NULL::cost_audit_log, %s)"
)
_SELECT: Final = (
    "SELECT id, adw_id, old_cost::float8, new_cost::float8, reason, "
    """to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM cost_audit_log """
    "WHERE id > %s AND coalesce(adw_id = %s, true) ORDER BY id LIMIT %s"
)


def audit_entries(cursor: Cursor, adw_id: str | None, after: int, limit: int | None) -> list[AuditEntry]:
    """Return entries after an id, the oldest first; `adw_id` None: of all workflows."""
    return [AuditEntry(*entry) for entry in cursor.execute(_SELECT, (after, adw_id, limit)).fetchall()]


def log_changes(cursor: Cursor, changes: Sequence[CostChange], at: str) -> None:
    """Append changes.

    Args:
        at: when they are made, in the ledger's spelling.
    """
    entries = []
    for change in changes:
        old = None if change.old_nanousd is None else money.to_wire(change.old_nanousd)
        entries.append((change.adw_id, old, money.to_wire(change.new_nanousd), change.reason, at))
    if entries:
        cursor.execute(_INSERT, (records(_ENTRY, entries),))
