"""The history in memory, by the same rules; it ends with the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import add

from ledger.events import money
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.storage.line import Head
from projections.folding.projection import Projected
from projections.folding.row import Row
from projections.folding.spend import AMOUNTS, Spend
from projections.history.query import Page, Query, page_of
from projections.history.store import (
    NO_LEDGER,
    OWN,
    AuditEntry,
    CostChange,
    Group,
    Recorded,
    SpendSum,
    Stored,
    decide,
    number_before_first,
    removed,
    stored_cost,
)
from projections.history.suspects import may_need_attention

__all__ = ["MemoryHistory"]


class MemoryHistory:
    """Rows in a dictionary; a `HistoryStore`."""

    shared = False
    identity = None
    replaced = False
    was_cut = False

    def __init__(self, *, clock: Clock = clocks.now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._spend: dict[str, tuple[Spend, ...]] = {}
        self._checkpoints: dict[str, Head] = {}
        self._audit: list[AuditEntry] = []
        self._changes: dict[str, int] = {}
        self._last_change = number_before_first(clock())

    def origins(self, adw_id: str) -> dict[str, Head]:  # noqa: ARG002
        """See `HistoryStore.origins`."""
        return {}

    def is_whole(self) -> bool:
        """See `HistoryStore.is_whole`."""
        return True

    def recover(self) -> None:
        """See `HistoryStore.recover`: there is no file."""

    def close(self) -> None:
        """See `HistoryStore.close`: nothing is open."""

    def rows(self) -> list[Row]:
        """See `HistoryStore.rows`."""
        return [self._rows[adw_id] for adw_id in sorted(self._rows)]

    def row(self, adw_id: str) -> Row | None:
        """See `HistoryStore.row`."""
        return self._rows.get(adw_id)

    def ids(self, prefix: str) -> list[str]:
        """See `HistoryStore.ids`."""
        return sorted(name for name in self._rows if name.startswith(prefix))

    def recorded(self, adw_id: str) -> Recorded:
        """See `HistoryStore.recorded`."""
        with self._lock:
            return Recorded(self.row(adw_id), self._checkpoints.get(adw_id), self.spend(adw_id))

    def page(self, query: Query) -> Page:
        """See `HistoryStore.page`."""
        return page_of(self._rows.values(), query)

    def suspect_rows(self, limit: int, *, idle_before: str, offset: int = 0) -> list[Row]:
        """See `HistoryStore.suspect_rows`."""
        found = [row for row in self._rows.values() if may_need_attention(row, idle_before)]
        found.sort(key=lambda row: row.adw_id)
        return sorted(found, key=lambda row: row.updated_at, reverse=True)[offset : offset + limit]

    def recorded_after(self, moment: str, limit: int) -> list[Row]:
        """See `HistoryStore.recorded_after`."""
        found = sorted((row for row in self._rows.values() if row.updated_at > moment), key=lambda row: row.adw_id)
        return sorted(found, key=lambda row: row.updated_at, reverse=True)[:limit]

    def changes_after(self, number: int, limit: int) -> list[tuple[int, str]]:
        """See `HistoryStore.changes_after`."""
        return sorted((at, adw_id) for adw_id, at in self._changes.items() if at > number)[:limit]

    def stored(self, adw_ids: Collection[str] | None = None) -> dict[str, Stored]:
        """See `HistoryStore.stored`."""
        wanted = self._rows.keys() if adw_ids is None else self._rows.keys() & set(adw_ids)
        return {adw_id: _stored(self._rows[adw_id]) for adw_id in wanted}

    def checkpoints(self, workflow_ids: Collection[str] | None = None) -> dict[str, Head]:
        """See `HistoryStore.checkpoints`."""
        wanted = self._checkpoints.keys() if workflow_ids is None else self._checkpoints.keys() & set(workflow_ids)
        return {workflow_id: self._checkpoints[workflow_id] for workflow_id in wanted}

    def spend(self, adw_id: str) -> tuple[Spend, ...]:
        """See `HistoryStore.spend`."""
        return self._spend.get(adw_id, ())

    def spent(
        self, by: Sequence[Group] = (), *, first: int | None = None, last: int | None = None, merged: bool = False
    ) -> Iterator[SpendSum]:
        """See `HistoryStore.spent`."""
        sums: dict[tuple[int | str | None, ...], SpendSum] = {}
        for adw_id, rows in self._spend.items():
            for one in rows:
                if (first is not None and one.quarter < first) or (last is not None and one.quarter > last):
                    continue
                group = tuple(getattr(one if name in OWN else self._rows[adw_id], name) for name in by)
                key = group if merged else (one.quarter, *group)
                before = sums.get(key, SpendSum(one.quarter, group, [0] * len(AMOUNTS)))
                amounts = list(map(add, before.amounts, one[-len(AMOUNTS) :]))
                sums[key] = SpendSum(max(before.quarter, one.quarter), group, amounts)
        yield from sorted(sums.values(), key=lambda found: found.quarter)

    def write(self, batch: Sequence[Projected], *, pure: bool, reason: str) -> list[CostChange]:
        """See `HistoryStore.write`."""
        changes: list[CostChange] = []
        with self._lock:
            for projected in batch:
                adw_id = projected.row.adw_id
                checkpoint, old = self._checkpoints.get(adw_id), self._rows.get(adw_id)
                if checkpoint is not None and checkpoint.seq > projected.head.seq:
                    continue
                stored = None if old is None else _stored(old)
                spent = sum(part.cost_nanousd for part in self._spend.get(adw_id, ()))
                row, change = decide(projected.row, stored, spent_nanousd=spent, pure=pure, reason=reason)
                self._put(row, projected)
                if change is not None:
                    self._log(change)
                    changes.append(change)
        return changes

    def forget(self, workflow_id: str) -> None:
        """See `HistoryStore.forget`."""
        self._checkpoints.pop(workflow_id, None)

    def audit(self, adw_id: str | None = None, *, after: int = 0, limit: int | None = None) -> list[AuditEntry]:
        """See `HistoryStore.audit`."""
        found = [entry for entry in self._audit if entry.id > after and adw_id in (None, entry.adw_id)]
        return found[:limit]

    def remove(self, adw_ids: Collection[str], *, reason: str) -> list[CostChange]:
        """See `HistoryStore.remove`."""
        changes: list[CostChange] = []
        with self._lock:
            for adw_id in sorted(adw_ids):
                old = self._rows.pop(adw_id, None)
                self._checkpoints.pop(adw_id, None)
                self._spend.pop(adw_id, None)
                if old is not None:
                    self._number(adw_id)
                    changes.append(removed(adw_id, _stored(old), reason))
                    self._log(changes[-1])
        return changes

    @contextmanager
    def rebuilding(self) -> Iterator[_FreshMemory]:
        """See `HistoryStore.rebuilding`."""
        yield _FreshMemory(self)

    def drop_old_versions(self) -> list[int]:
        """See `HistoryStore.drop_old_versions`: there are none."""
        return []

    def edit(self, adw_id: str, cost_total: float) -> None:
        """Edit `actual_cost_total`, as a person's UPDATE does in a database."""
        self._rows[adw_id] = replace(self._rows[adw_id], actual_cost_total=cost_total)
        self._number(adw_id)

    def put(self, row: Row, checkpoint: Head | None, spend: tuple[Spend, ...]) -> None:
        """Store a row of another history; nothing is audited."""
        self._rows[row.adw_id], self._spend[row.adw_id] = row, spend
        if checkpoint is not None:
            self._checkpoints[row.adw_id] = checkpoint

    def _put(self, row: Row, projected: Projected) -> None:
        if self._rows.get(row.adw_id) != row:
            self._number(row.adw_id)
        self._rows[row.adw_id], self._spend[row.adw_id] = row, projected.spend
        self._checkpoints[row.adw_id] = projected.head

    def _number(self, adw_id: str) -> None:
        self._last_change += 1
        self._changes[adw_id] = self._last_change

    def _log(self, change: CostChange) -> None:
        old = None if change.old_nanousd is None else float(money.to_wire(change.old_nanousd))
        new = float(money.to_wire(change.new_nanousd))
        at = clocks.to_wire(self._clock())
        self._audit.append(AuditEntry(len(self._audit) + 1, change.adw_id, old, new, change.reason, at))


class _FreshMemory:
    """The rows of a rebuild until they are swapped in."""

    def __init__(self, history: MemoryHistory) -> None:
        self._history = history
        self._fresh: dict[str, Projected] = {}

    def add(self, batch: Sequence[Projected]) -> None:
        """See `Fresh.add`."""
        self._fresh |= {projected.row.adw_id: projected for projected in batch}

    def swap(self, *, keep: Collection[str], again: Callable[[str], Projected | None], reason: str) -> list[CostChange]:
        """See `Fresh.swap`."""
        history = self._history
        gone: list[str] = []
        for adw_id in sorted(history.stored().keys() - set(keep)):
            checkpoint, fresh = history.checkpoints().get(adw_id), self._fresh.get(adw_id)
            if fresh is None or (checkpoint is not None and checkpoint.seq > fresh.head.seq):
                projected = again(adw_id)
                if projected is None:
                    gone.append(adw_id)
                else:
                    self.add([projected])
        removals = history.remove(gone, reason=NO_LEDGER)
        batch = [self._fresh[adw_id] for adw_id in sorted(self._fresh)]
        return removals + history.write(batch, pure=True, reason=reason)


def _stored(row: Row) -> Stored:
    return stored_cost(row.actual_cost_total, row.actual_cost_nanousd, row.status)
