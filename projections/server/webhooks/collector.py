"""Messages of webhooks, made from the audit log, changed rows and damaged ledgers.

`cost.updated` comes from the audit log, entry by entry; `workflow.settled` and `budget.…` from the rows that
changed; `ledger.damaged` from ledgers that could not be replayed. Each is sent once: no message for the cost or the end
that was sent last, for a run that was over already, or for damage that remains.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import orjson

from ledger.errors import CostledgerError, UnknownWorkflow
from ledger.events import money, timestamps
from projections.documents.budgets import budget_document
from projections.documents.types import usd
from projections.folding.row import Row
from projections.history.store import AuditEntry, HistoryStore
from projections.replay.refresh import ENDED
from projections.reports.budgets import Budgets, BudgetState, budget_status
from projections.server.webhooks.outbox import LastNotified, Outbox, OutboxTransaction, WebhookMessage

__all__ = ["MessageCollector"]

_AT_ONCE: Final = 1_000
_AUDIT: Final = "audit"
_CHANGE: Final = "change"


class MessageCollector:
    """A collector of messages for an outbox.

    Args:
        wanted: the ids of the endpoints that want a type.
        history: returns the rows and their audit log.
        run_of: the run that a workflow is in.
    """

    def __init__(
        self,
        outbox: Outbox,
        history: Callable[[], HistoryStore],
        budgets: Budgets,
        wanted: Callable[[str], Sequence[str]],
        run_of: Callable[[str], int],
    ) -> None:
        self._outbox, self._history, self._budgets = outbox, history, budgets
        self._wanted, self._run_of = wanted, run_of

    def start(self) -> None:
        """Start at the present state, the first time: there is no message of what there is already."""
        with self._outbox.transaction() as into:
            if into.position(_AUDIT) is not None:
                return
            number, mark = 0, ""
            while entries := self._history().audit(after=number, limit=_AT_ONCE):
                number, mark = entries[-1].id, _mark(entries[-1])
            into.set_position(_AUDIT, number, mark)
            number = 0
            while changes := self._history().changes_after(number, _AT_ONCE):
                number = changes[-1][0]
            into.set_position(_CHANGE, number)
            for row in self._history().rows():
                over, warned = self._over_run(row), self._warned(row)
                into.set_last_notified(row.adw_id, LastNotified(row.actual_cost_nanousd, _settled(row), over, warned))

    def collect(self, unsettled: Collection[str], damages: Mapping[str, str], now: float) -> bool:
        """Collect all messages that are new; return whether there was one.

        Args:
            unsettled: workflows that have ended and whose sources are being read once more.
            damages: ledgers that cannot be replayed, and why.
            now: seconds since 1970.
        """
        found = False
        while True:
            with self._outbox.transaction() as into:
                of_audit = self._audit(into, now)
                of_changes = False if of_audit else self._changes(into, unsettled, now)
            if not (of_audit or of_changes):
                break
            found = True
        with self._outbox.transaction() as into:
            return self._damages(into, damages, now) or found

    def _audit(self, into: OutboxTransaction, now: float) -> bool:
        number = self._audit_position(into)
        entries = self._history().audit(after=number, limit=_AT_ONCE)
        for entry in entries:
            last, cost = into.last_notified(entry.adw_id), money.parse_total(entry.new_cost)
            if cost == last.cost_nanousd:
                continue
            into.set_last_notified(entry.adw_id, replace(last, cost_nanousd=cost))
            before = last.cost_nanousd
            if before is None and entry.old_cost is not None:
                before = money.parse_total(entry.old_cost)
            data = {"adw_id": entry.adw_id, "old_cost": usd(before), "new_cost": usd(cost), "reason": entry.reason}
            self._put(into, "cost.updated", entry.adw_id, data, now)
        if entries:
            into.set_position(_AUDIT, entries[-1].id, _mark(entries[-1]))
        return bool(entries)

    def _audit_position(self, into: OutboxTransaction) -> int:
        """Return how far the audit log was read; 0 when it is another one, since the database was made again."""
        number, mark = into.position(_AUDIT) or (0, "")
        if number:
            same = self._history().audit(after=number - 1, limit=1)
            if not same or same[0].id != number or _mark(same[0]) != mark:
                into.set_position(_CHANGE, 0)
                return 0
        return number

    def _changes(self, into: OutboxTransaction, unsettled: Collection[str], now: float) -> bool:
        number, _ = into.position(_CHANGE) or (0, "")
        changes = self._history().changes_after(number, _AT_ONCE)
        new = False
        for at, adw_id in changes:
            row = self._history().row(adw_id)
            if row is not None and adw_id in unsettled:
                break  # it is asked for again once its sources have been read
            if row is not None:
                self._row(into, row, now)
            number, new = at, True
        if new:
            into.set_position(_CHANGE, number)
        return new

    def _row(self, into: OutboxTransaction, row: Row, now: float) -> None:
        last = into.last_notified(row.adw_id)
        before, settled = last, _settled(row)
        if settled is not None and settled != last.settled:
            last = replace(last, settled=settled)
            self._put(into, "workflow.settled", row.adw_id, self._of_row(row), now)
        over = self._over_run(row)
        if over is not None and over != last.over_run:
            last = replace(last, over_run=over)
            self._put(into, "budget.exceeded", row.adw_id, self._of_row(row) | {"run": over}, now)
        warned = self._warned(row)
        if warned is not None and (last.warned is None or _run_and_share(warned) > _run_and_share(last.warned)):
            last = replace(last, warned=warned)
            run, share = _run_and_share(warned)
            data = self._of_row(row) | {"run": run, "warned_at": float(share)}
            self._put(into, "budget.warned", row.adw_id, data, now)
        if last != before:
            into.set_last_notified(row.adw_id, last)

    def _damages(self, into: OutboxTransaction, damages: Mapping[str, str], now: float) -> bool:
        sent = into.damages()
        for adw_id in sent.keys() - damages.keys():
            into.set_damage(adw_id, None)
        for adw_id in sorted(damages.keys() - sent.keys()):
            into.set_damage(adw_id, damages[adw_id])
            self._put(into, "ledger.damaged", adw_id, {"adw_id": adw_id, "problem": damages[adw_id]}, now)
        return bool(damages.keys() - sent.keys())

    def _over_run(self, row: Row) -> int | None:
        found = budget_status(row, self._budgets)
        return None if found is None or found.state is not BudgetState.OVER else self._run(row)

    def _warned(self, row: Row) -> str | None:
        """Return the run and the largest share of its budget that is warned of; None below all shares and when over."""
        found = budget_status(row, self._budgets)
        if found is None or found.state is not BudgetState.WARNED or found.warned_at is None:
            return None
        run = self._run(row)
        return None if run is None else f"{run} {found.warned_at}"

    def _run(self, row: Row) -> int | None:
        try:
            return self._run_of(row.adw_id)
        except UnknownWorkflow:
            return 1  # its ledger is on another host
        except CostledgerError:
            return None  # sent as damage; asked again with the row's next change

    def _of_row(self, row: Row) -> dict[str, Any]:
        return {
            "adw_id": row.adw_id,
            "status": row.status,
            "cost_usd": usd(row.actual_cost_nanousd),
            "cost_basis": row.cost_basis,
            "unpriced_events": row.unpriced_events,
            "issue_number": row.issue_number,
            "workflow_template": row.workflow_template,
            "project": row.project,
            "end_time": row.end_time,
            "budget": budget_document(budget_status(row, self._budgets)),
        }

    def _put(self, into: OutboxTransaction, type: str, adw_id: str, data: dict[str, Any], now: float) -> None:
        body = {"type": type, "timestamp": timestamps.to_wire(timestamps.now()), "data": data}
        message = WebhookMessage(f"msg_{uuid.uuid4().hex}", type, adw_id, orjson.dumps(body).decode())
        into.put(message, self._wanted(type), now)


def _run_and_share(warned: str) -> tuple[int, Decimal]:
    run, _, share = warned.partition(" ")
    return int(run), Decimal(share)


def _mark(entry: AuditEntry) -> str:
    return f"{entry.timestamp} {entry.adw_id}"


def _settled(row: Row) -> str | None:
    """Return how and when a workflow ended; None while it runs."""
    return f"{row.status} {row.end_time}" if row.status in ENDED else None
