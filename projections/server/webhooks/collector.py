"""News: what webhooks tell, made from the audit log, changed rows and damaged ledgers.

`cost.updated` comes from the audit log, entry by entry; `workflow.settled` and `budget.…` from the rows that
changed; `ledger.damaged` from what the keeper could not replay. Each is told once: a cost that is the last one told,
an end that is the last one told, a run that was over, damage that stands, are no news.
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
from projections.folding.row import Row
from projections.history.store import AuditEntry, HistoryStore
from projections.replay.refresh import ENDED
from projections.reports.budgets import Budgets, BudgetState, budget_json, budget_status
from projections.server.http.serializers import usd
from projections.server.webhooks.outbox import Collecting, LastNotified, Outbox, WebhookMessage

__all__ = ["News"]

_AT_ONCE: Final = 1_000
_AUDIT: Final = "audit"
_CHANGE: Final = "change"


class News:
    """Collects what is new into an outbox.

    Args:
        wanted: the ids of the endpoints that want a type.
        history: the rows and their audit log, as they are to be asked now.
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

    def begin(self) -> None:
        """The first time: what there is already is known, and no news."""
        with self._outbox.collecting() as into:
            if into.seen(_AUDIT) is not None:
                return
            number, mark = 0, ""
            while entries := self._history().audit(after=number, limit=_AT_ONCE):
                number, mark = entries[-1].id, _mark(entries[-1])
            into.see(_AUDIT, number, mark)
            number = 0
            while changes := self._history().changes_after(number, _AT_ONCE):
                number = changes[-1][0]
            into.see(_CHANGE, number)
            for row in self._history().rows():
                over, warned = self._over_run(row), self._warned(row)
                into.tell(row.adw_id, LastNotified(row.actual_cost_nanousd, _settled(row), over, warned))

    def collect(self, unsettled: Collection[str], damages: Mapping[str, str], now: float) -> bool:
        """Everything that is new; False when nothing was.

        Args:
            unsettled: workflows that have ended and whose sources are being read once more.
            damages: ledgers that cannot be replayed, and why.
            now: seconds since 1970.
        """
        found = False
        while True:
            with self._outbox.collecting() as into:
                of_audit = self._audit(into, now)
                of_changes = False if of_audit else self._changes(into, unsettled, now)
            if not (of_audit or of_changes):
                break
            found = True
        with self._outbox.collecting() as into:
            return self._damages(into, damages, now) or found

    def _audit(self, into: Collecting, now: float) -> bool:
        number = self._seen_audit(into)
        entries = self._history().audit(after=number, limit=_AT_ONCE)
        for entry in entries:
            told, cost = into.told(entry.adw_id), money.parse_total(entry.new_cost)
            if cost == told.cost_nanousd:
                continue
            into.tell(entry.adw_id, replace(told, cost_nanousd=cost))
            before = told.cost_nanousd
            if before is None and entry.old_cost is not None:
                before = money.parse_total(entry.old_cost)
            data = {"adw_id": entry.adw_id, "old_cost": usd(before), "new_cost": usd(cost), "reason": entry.reason}
            self._put(into, "cost.updated", entry.adw_id, data, now)
        if entries:
            into.see(_AUDIT, entries[-1].id, _mark(entries[-1]))
        return bool(entries)

    def _seen_audit(self, into: Collecting) -> int:
        """How far the audit log was read; 0 when another one stands there, since the database was made anew."""
        number, mark = into.seen(_AUDIT) or (0, "")
        if number:
            same = self._history().audit(after=number - 1, limit=1)
            if not same or same[0].id != number or _mark(same[0]) != mark:
                into.see(_CHANGE, 0)
                return 0
        return number

    def _changes(self, into: Collecting, unsettled: Collection[str], now: float) -> bool:
        number, _ = into.seen(_CHANGE) or (0, "")
        changes = self._history().changes_after(number, _AT_ONCE)
        new = False
        for at, adw_id in changes:
            row = self._history().row(adw_id)
            if row is not None and adw_id in unsettled:
                break  # it is asked for again, once its last word is in
            if row is not None:
                self._row(into, row, now)
            number, new = at, True
        if new:
            into.see(_CHANGE, number)
        return new

    def _row(self, into: Collecting, row: Row, now: float) -> None:
        told = into.told(row.adw_id)
        known, settled = told, _settled(row)
        if settled is not None and settled != told.settled:
            told = replace(told, settled=settled)
            self._put(into, "workflow.settled", row.adw_id, self._of_row(row), now)
        over = self._over_run(row)
        if over is not None and over != told.over_run:
            told = replace(told, over_run=over)
            self._put(into, "budget.exceeded", row.adw_id, self._of_row(row) | {"run": over}, now)
        warned = self._warned(row)
        if warned is not None and (told.warned is None or _run_and_share(warned) > _run_and_share(told.warned)):
            told = replace(told, warned=warned)
            run, share = _run_and_share(warned)
            data = self._of_row(row) | {"run": run, "warned_at": float(share)}
            self._put(into, "budget.warned", row.adw_id, data, now)
        if told != known:
            into.tell(row.adw_id, told)

    def _damages(self, into: Collecting, damages: Mapping[str, str], now: float) -> bool:
        known = into.damages()
        for adw_id in known.keys() - damages.keys():
            into.tell_damage(adw_id, None)
        for adw_id in sorted(damages.keys() - known.keys()):
            into.tell_damage(adw_id, damages[adw_id])
            self._put(into, "ledger.damaged", adw_id, {"adw_id": adw_id, "problem": damages[adw_id]}, now)
        return bool(damages.keys() - known.keys())

    def _over_run(self, row: Row) -> int | None:
        found = budget_status(row, self._budgets)
        return None if found is None or found.state is not BudgetState.OVER else self._run(row)

    def _warned(self, row: Row) -> str | None:
        """The run, and the largest share of its budget that is warned of; None below all shares and above the whole."""
        found = budget_status(row, self._budgets)
        if found is None or found.state is not BudgetState.WARNED or found.warned_at is None:
            return None
        run = self._run(row)
        return None if run is None else f"{run} {found.warned_at}"

    def _run(self, row: Row) -> int | None:
        try:
            return self._run_of(row.adw_id)
        except UnknownWorkflow:
            return 1  # its ledger is another host's
        except CostledgerError:
            return None  # told as damage; asked again with the row's next change

    def _of_row(self, row: Row) -> dict[str, Any]:
        return {
            "adw_id": row.adw_id,
            "status": row.status,
            "cost": usd(row.actual_cost_nanousd),
            "cost_basis": row.cost_basis,
            "unpriced_events": row.unpriced_events,
            "issue_number": row.issue_number,
            "workflow_template": row.workflow_template,
            "project": row.project,
            "end_time": row.end_time,
            "budget": budget_json(budget_status(row, self._budgets)),
        }

    def _put(self, into: Collecting, type: str, adw_id: str, data: dict[str, Any], now: float) -> None:
        told = {"type": type, "timestamp": timestamps.to_wire(timestamps.now()), "data": data}
        message = WebhookMessage(f"msg_{uuid.uuid4().hex}", type, adw_id, orjson.dumps(told).decode())
        into.put(message, self._wanted(type), now)


def _run_and_share(warned: str) -> tuple[int, Decimal]:
    run, _, share = warned.partition(" ")
    return int(run), Decimal(share)


def _mark(entry: AuditEntry) -> str:
    return f"{entry.timestamp} {entry.adw_id}"


def _settled(row: Row) -> str | None:
    """How and when a workflow ended; None while it runs."""
    return f"{row.status} {row.end_time}" if row.status in ENDED else None
