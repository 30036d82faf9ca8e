"""An application's table as a copy of our rows: read to compare, written only where it differs.

Nothing depends on a checkpoint: values are compared. The values of the last write are in the table `costledger_written`
of the application's database. The first write creates it, and `cost_audit_log` unless the application has one; before
that, the database is backed up.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from ledger.errors import HistoryUnavailable
from ledger.events import money
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from projections.applications.columns import columns_written
from projections.applications.database import Database, RunStatement
from projections.applications.plan import Compared, LastWrite, RowUpdate, change_of, hold_of, plan_of
from projections.folding.cost_words import cost_before
from projections.folding.row import Row
from projections.history.store import FOLD_VERSION, AuditEntry, CostChange, visible_cost

__all__ = ["ApplicationTable", "Writes"]

_log = logging.getLogger("costledger")

_AUDITED_AGAIN_AFTER: Final = timedelta(hours=1)
"""The same pair of costs is audited at most once in this time, however often an application writes it."""

_IDS_AT_ONCE: Final = 500

_WRITTEN: Final = "costledger_written"
_AUDIT: Final = "cost_audit_log"
_AUDIT_COLUMNS: Final = ("adw_id", "old_cost", "new_cost", "reason", "timestamp")
_RECORD: Final = ("cost_nanousd", "row_values", "fold_version", "overwrites", "overwritten_nanousd", "overwritten_at")
_TABLES: Final = (
    f"CREATE TABLE IF NOT EXISTS {_WRITTEN} (adw_id TEXT PRIMARY KEY, cost_nanousd BIGINT NOT NULL, "
    "row_values TEXT NOT NULL, fold_version INTEGER NOT NULL, overwrites INTEGER NOT NULL, "
    "overwritten_nanousd BIGINT, overwritten_at TEXT)",
    f"CREATE TABLE IF NOT EXISTS {_AUDIT} (id {{serial}}, adw_id TEXT, old_cost DOUBLE PRECISION, "
    "new_cost DOUBLE PRECISION, reason TEXT, timestamp TEXT)",
)
"""SQL that both databases read. The text `row_values` is the JSON of the columns that were written last."""


@dataclass(slots=True)
class Writes:
    """The result of a write, or of a preview.

    Attributes:
        changes: of costs.
        audited: those of them that were audited, and rows whose larger cost is held from now on.
        repairs: those that were audited and replaced a cost that is not of our ledger: the one before the first write,
            or one of another writer.
        rows: ids of the rows that were written.
        waiting: ids that were not written, since after an upgrade only a resync writes them.
        backup: the backup of the database from before the first write.
    """

    changes: list[CostChange] = field(default_factory=list)
    audited: list[CostChange] = field(default_factory=list)
    repairs: list[CostChange] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    backup: Path | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """The tables of the database: the columns that are written, with their types, and those of the others."""

    kinds: dict[str, str]
    written: bool
    audit: tuple[str, ...]
    audit_time: str


class ApplicationTable:
    """A table `workflow_history` that another application owns. Safe between threads.

    It owns its rows and every column that is not ours; none of its rows is added or removed.

    Args:
        backups: the folder that the database is backed up to before the first write.
        fold_version: of the meaning of our rows; values of another version are replaced only with `after_upgrade`.
    """

    def __init__(
        self, database: Database, *, backups: Path, clock: Clock = clocks.now, fold_version: int = FOLD_VERSION
    ) -> None:
        self._database, self._backups, self._clock, self._fold_version = database, backups, clock, fold_version

    @property
    def where(self) -> str:
        """The database, without any password."""
        return self._database.where

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def check(self) -> None:
        """Check that the table has a column that shows a cost.

        Raises:
            HistoryUnavailable: it has none.
        """
        if "actual_cost_total" not in self._database.read(self._layout).kinds:
            raise HistoryUnavailable(self.where, "its table workflow_history has no column actual_cost_total")

    def state(self) -> object:
        """See `Database.state`."""
        return self._database.state()

    def compare(self, rows: Iterable[Row], *, pure: bool = False) -> dict[str, Compared]:
        """Return what the table shows of these workflows, for each that it has a row of; nothing is written.

        Args:
            rows: ours; one without a reading has no known cost, and is not compared.
            pure: a larger cost of a running workflow is wrong, too.

        Raises:
            HistoryUnavailable: it cannot be read.
        """
        wanted = {row.adw_id: row for row in rows if row.cost_basis is not None}
        plans = self._database.read(lambda run: self._plans(run, wanted, pure=pure)) if wanted else []
        return {plan.row.adw_id: plan.compared for plan in plans}

    def write(
        self, rows: Iterable[Row], *, pure: bool, reason: str, after_upgrade: bool = False, preview: bool = False
    ) -> Writes:
        """Make the table show these rows, with an audit entry for each cost that changes, in one transaction.

        Args:
            rows: ours; see `compare`.
            pure: a running workflow's larger cost is not held.
            reason: for the audit log.
            after_upgrade: also replace values of an earlier version, whose rows had another meaning.
            preview: return what would be written, and write nothing.

        Raises:
            HistoryUnavailable: it cannot be read or written; nothing was written.
        """
        wanted = {row.adw_id: row for row in rows if row.cost_basis is not None}
        if not wanted:
            return Writes()
        plan = partial(self._planned, pure=pure, reason=reason, after_upgrade=after_upgrade)
        plans, writes = self._database.read(partial(plan, wanted))
        if preview or not plans:
            return writes

        def work(run: RunStatement) -> Writes:
            again, done = plan({one.row.adw_id: one.row for one in plans}, run, locks=True)
            if again:
                self._put(run, again, reason, done)
            return done

        done = self._database.write(work)
        done.waiting = writes.waiting
        for change in done.audited:
            old, new = cost_before(change.old_nanousd), money.shown(change.new_nanousd)
            _log.info("[%s] %s → %s (status: %s) in %s", change.adw_id, old, new, change.status, self.where)
        return done

    def audit(self, adw_id: str, *, limit: int) -> list[AuditEntry]:
        """Return the newest entries of the application's `cost_audit_log`, in their order; none without such a table.

        Raises:
            HistoryUnavailable: it cannot be read.
        """

        def work(run: RunStatement) -> list[AuditEntry]:
            kinds = self._database.columns(run, _AUDIT)
            if not {"id", *_AUDIT_COLUMNS} <= kinds.keys():
                return []
            at = self._database.reads("timestamp", kinds["timestamp"])
            query = f"SELECT id, adw_id, old_cost, new_cost, reason, {at} FROM {_AUDIT} WHERE adw_id = ?"
            found = run(f"{query} ORDER BY id DESC LIMIT {int(limit)}", (adw_id,))
            return [
                AuditEntry(int(id), name, None if old is None else float(old), float(new or 0), str(why), str(moment))
                for id, name, old, new, why, moment in reversed(found)
            ]

        return self._database.read(work)

    def _layout(self, run: RunStatement) -> _Layout:
        database = self._database
        columns = database.columns(run, "workflow_history")
        if "adw_id" not in columns:
            raise HistoryUnavailable(self.where, "has no table workflow_history with an adw_id")
        added = run("SELECT name FROM costledger_column") if database.columns(run, "costledger_column") else []
        names = columns_written(columns, {name for (name,) in added})
        audit = database.columns(run, _AUDIT)
        written = bool(database.columns(run, _WRITTEN))
        audit_columns = tuple(name for name in _AUDIT_COLUMNS if name in audit)
        return _Layout({name: columns[name] for name in names}, written, audit_columns, audit.get("timestamp", ""))

    def _plans(
        self, run: RunStatement, wanted: Mapping[str, Row], *, pure: bool, locks: bool = False
    ) -> list[RowUpdate]:
        layout = self._layout(run)
        reads = ", ".join(self._database.reads(name, kind) for name, kind in layout.kinds.items())
        lock = self._database.for_update if locks else ""
        # As text, since `character(12)` pads an id, and a column without a type may have numbers, too.
        found = _of_ids(run, f"SELECT CAST(adw_id AS text), {reads} FROM workflow_history", wanted, lock)
        records: dict[str, LastWrite] = {}
        if layout.written:
            for adw_id, cost, values, *rest in _of_ids(
                run, f"SELECT adw_id, {', '.join(_RECORD)} FROM {_WRITTEN}", wanted
            ):
                records[adw_id] = LastWrite(cost, json.loads(values), *rest)
        return [
            plan_of(
                wanted[adw_id],
                dict(zip(layout.kinds, values, strict=True)),
                records.get(adw_id),
                lambda name, value: self._database.as_column(layout.kinds[name], value),
                pure=pure,
                fold_version=self._fold_version,
            )
            for adw_id, *values in sorted(found, key=itemgetter(0))
            if adw_id in wanted  # a case-insensitive column matches others, too
        ]

    def _planned(
        self,
        wanted: Mapping[str, Row],
        run: RunStatement,
        *,
        pure: bool,
        reason: str,
        after_upgrade: bool,
        locks: bool = False,
    ) -> tuple[list[RowUpdate], Writes]:
        """Return the updates to write, and what they would do."""
        plans = [plan for plan in self._plans(run, wanted, pure=pure, locks=locks) if plan.writes]
        waiting = [] if after_upgrade else [plan.row.adw_id for plan in plans if plan.compared.waits]
        plans = [plan for plan in plans if plan.row.adw_id not in waiting]
        changes = [change for plan in plans if (change := change_of(plan, reason)) is not None]
        return plans, Writes(changes, rows=[plan.row.adw_id for plan in plans if plan.changes_row], waiting=waiting)

    def _put(self, run: RunStatement, plans: Sequence[RowUpdate], reason: str, writes: Writes) -> None:
        try:
            self._put_all(run, plans, reason, writes)
        except BaseException:
            if writes.backup is not None:
                writes.backup.unlink(missing_ok=True)  # nothing was written, so the next try backs up again
                writes.backup = None
            raise

    def _put_all(self, run: RunStatement, plans: Sequence[RowUpdate], reason: str, writes: Writes) -> None:
        layout = self._layout(run)
        if not layout.written:
            writes.backup = self._database.back_up(run, self._backups, tuple(layout.kinds))
            for statement in _TABLES:
                run(statement.format(serial=self._database.serial))
            layout = self._layout(run)
        for plan in plans:
            if plan.values:
                assigned = ", ".join(f"{name} = ?" for name in plan.values)
                run(
                    f"UPDATE workflow_history SET {assigned} WHERE adw_id = ?", (*plan.values.values(), plan.row.adw_id)
                )
            self._note(run, plan)
            for change in (change_of(plan, reason), hold_of(plan)):
                if change is not None and self._audit(run, change, layout):
                    writes.audited.append(change)
                    if plan.record is None or plan.overwritten:
                        writes.repairs.append(change)

    def _note(self, run: RunStatement, plan: RowUpdate) -> None:
        """Record the written values, and whether another writer had overwritten the values of the last write."""
        old, now = plan.record, clocks.to_wire(self._clock())
        target = {name: getattr(plan.target, name) for name in plan.stored}
        overwrites, by, at = (old.overwrites, old.overwritten_nanousd, old.overwritten_at) if old else (0, None, None)
        if plan.overwritten:
            recent = at is not None and at > clocks.to_wire(self._clock() - _AUDITED_AGAIN_AFTER)
            overwrites, by, at = (overwrites if recent else 0) + 1, plan.compared.stored_nanousd, now
        run(f"DELETE FROM {_WRITTEN} WHERE adw_id = ?", (plan.row.adw_id,))
        values = json.dumps(target, sort_keys=True)
        record = (plan.target.actual_cost_nanousd, values, self._fold_version, overwrites, by, at)
        run(
            f"INSERT INTO {_WRITTEN} (adw_id, {', '.join(_RECORD)}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (plan.row.adw_id, *record),
        )

    def _audit(self, run: RunStatement, change: CostChange, layout: _Layout) -> bool:
        """Audit a change, unless the same one was audited within the last hour."""
        now = self._clock()
        entry = {
            "adw_id": change.adw_id,
            "old_cost": None if change.old_nanousd is None else float(money.to_wire(change.old_nanousd)),
            "new_cost": float(money.to_wire(change.new_nanousd)),
            "reason": change.reason,
            "timestamp": clocks.to_wire(now),
        }
        if {"old_cost", "new_cost", "timestamp"} <= set(layout.audit):
            since = clocks.to_wire(now - _AUDITED_AGAIN_AFTER)
            at = self._database.reads("timestamp", layout.audit_time)
            query = f"SELECT old_cost, new_cost FROM {_AUDIT} WHERE adw_id = ? AND {at} > ?"
            for old, new in run(query, (change.adw_id, since)):
                if (None if old is None else visible_cost(old), visible_cost(new)) == (
                    change.old_nanousd,
                    change.new_nanousd,
                ):
                    return False
        names = [name for name in _AUDIT_COLUMNS if name in layout.audit]
        marks = ", ".join("?" * len(names))
        run(f"INSERT INTO {_AUDIT} ({', '.join(names)}) VALUES ({marks})", [entry[name] for name in names])
        return True


def _of_ids(run: RunStatement, query: str, adw_ids: Collection[str], lock: str = "") -> list[tuple[Any, ...]]:
    names, found = list(adw_ids), []
    for first in range(0, len(names), _IDS_AT_ONCE):
        some = names[first : first + _IDS_AT_ONCE]
        found += run(f"{query} WHERE adw_id IN ({', '.join('?' * len(some))}) ORDER BY adw_id{lock}", some)
    return found
