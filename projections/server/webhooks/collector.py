"""Messages of webhooks, made from the audit log, changed rows and damaged ledgers.

`cost.updated` comes from the audit log, entry by entry; `workflow.settled` and `budget.…` from the rows that
changed, and `budget.…` of periods from what was spent when any did; `ledger.damaged` from ledgers that could not be
replayed. Each is sent once: no message for the cost or the end that was sent last, for a run or a period that was over
already, or for damage that remains.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any, Final

import orjson

from ledger.errors import CostledgerError, DamagedLedger, UnknownWorkflow
from ledger.events import money, timestamps
from projections.documents.budgets import budget_document, period_budget_document
from projections.documents.types import usd
from projections.folding.cost_words import known_row_cost
from projections.folding.row import Row
from projections.history.store import AuditEntry
from projections.replay.refresh import ENDED, LedgerVanished
from projections.reports.budgets import BudgetState, BudgetStatus, budget_status
from projections.reports.period_budgets import PeriodBudgetStatus, budgets_now
from projections.server.background.row_refresher import RowRefresher
from projections.server.http.problems import sentence
from projections.server.service.service import Service
from projections.server.webhooks.endpoints import Endpoint
from projections.server.webhooks.outbox import Outbox, WebhookMessage

__all__ = ["MessageCollector"]

_AT_ONCE: Final = 1_000
_AUDIT, _CHANGE, _DAMAGES, _LAST, _PERIOD = "audit", "change", "damages", "last ", "period "
"""Names of notes: how far the audit log and the changes were read, the damage that was sent and remains, and what was
last sent of a workflow and of a period's budget."""


@dataclass(frozen=True, slots=True)
class LastNotified:
    """What was last sent of a workflow.

    Attributes:
        settled: how and when it ended.
        over_run: the run in which it was over its budget.
        warned: the run, and the largest share of its budget that was warned of: "1 0.8".
    """

    cost_nanousd: int | None = None
    settled: str | None = None
    over_run: int | None = None
    warned: str | None = None


class MessageCollector:
    """A collector of messages for an outbox, from the rows of a service and its row refresher."""

    def __init__(
        self, outbox: Outbox, service: Service, refresher: RowRefresher, endpoints: Sequence[Endpoint]
    ) -> None:
        self._outbox, self._service, self._refresher, self._endpoints = outbox, service, refresher, endpoints
        self._budgets = service.config.budgets
        self._periods_are_due = True

    def start(self) -> None:
        """Start at the present state, the first time: there is no message of what there is already."""
        with self._outbox.transaction():
            if self._outbox.note(_AUDIT) is not None:
                return
            number, mark = 0, ""
            while entries := self._service.history.audit(after=number, limit=_AT_ONCE):
                number, mark = entries[-1].id, _mark(entries[-1])
            self._outbox.set_note(_AUDIT, [number, mark])
            number = 0
            while changes := self._service.history.changes_after(number, _AT_ONCE):
                number = changes[-1][0]
            self._outbox.set_note(_CHANGE, number)
            for row in self._service.history.rows():
                reached = self._reached(row, budget_status(row, self._budgets))
                self._set_last(row.adw_id, reached)
            for found in self._periods():
                self._outbox.set_note(_period_note(found), _reached_of_period(found))

    def collect(self) -> bool:
        """Collect all messages that are new; return whether there was one."""
        now = time.time()
        found = False
        while True:
            with self._outbox.transaction():
                of_audit = self._audit(now)
                of_changes = False if of_audit else self._changes(now)
            if not (of_audit or of_changes):
                break
            found = self._periods_are_due = True
        with self._outbox.transaction():
            if self._periods_are_due:
                found = self._period_budgets(now) or found
            found = self._damages(now) or found
        self._periods_are_due = False
        return found

    def _audit(self, now: float) -> bool:
        number = self._audit_position()
        entries = self._service.history.audit(after=number, limit=_AT_ONCE)
        for entry in entries:
            last, cost = self._last(entry.adw_id), money.parse_total(entry.new_cost)
            if cost == last.cost_nanousd:
                continue
            self._set_last(entry.adw_id, replace(last, cost_nanousd=cost))
            before = last.cost_nanousd
            if before is None and entry.old_cost is not None:
                before = money.parse_total(entry.old_cost)
            data = {"adw_id": entry.adw_id, "old_cost": usd(before), "new_cost": usd(cost), "reason": entry.reason}
            self._put("cost.updated", entry.adw_id, data, now)
        if entries:
            self._outbox.set_note(_AUDIT, [entries[-1].id, _mark(entries[-1])])
        return bool(entries)

    def _audit_position(self) -> int:
        """Return how far the audit log was read; 0 when it is another one, since the database was made again."""
        number, mark = self._outbox.note(_AUDIT) or (0, "")
        if number:
            same = self._service.history.audit(after=number - 1, limit=1)
            if not same or same[0].id != number or _mark(same[0]) != mark:
                self._outbox.set_note(_CHANGE, 0)
                return 0
        return number

    def _changes(self, now: float) -> bool:
        number = self._outbox.note(_CHANGE) or 0
        changes = self._service.history.changes_after(number, _AT_ONCE)
        new = False
        for at, adw_id in changes:
            row = self._service.history.row(adw_id)
            if row is not None and adw_id in self._refresher.unsettled:
                break  # it is asked for again once its sources have been read
            if row is not None:
                self._row(row, now)
            number, new = at, True
        if new:
            self._outbox.set_note(_CHANGE, number)
        return new

    def _row(self, row: Row, now: float) -> None:
        last, budget = self._last(row.adw_id), budget_status(row, self._budgets)
        reached, data = self._reached(row, budget), self._of_row(row, budget)
        if reached.settled is not None and reached.settled != last.settled:
            self._put("workflow.settled", row.adw_id, data, now)
            last = self._noted(row, last, settled=reached.settled)
        if reached.over_run is not None and reached.over_run != last.over_run:
            self._put("budget.exceeded", row.adw_id, data | {"run": reached.over_run}, now)
            last = self._noted(row, last, over_run=reached.over_run)
        if reached.warned is not None and (run_and_share := _run_and_share(reached.warned)) > _run_and_share(
            last.warned
        ):
            run, share = run_and_share
            self._put("budget.warned", row.adw_id, data | {"run": run, "warned_at": float(share)}, now)
            self._noted(row, last, warned=reached.warned)

    def _periods(self) -> list[PeriodBudgetStatus]:
        return budgets_now(self._service.history, self._budgets, rules=self._service.tag_rules)

    def _period_budgets(self, now: float) -> bool:
        """Send what periods' budgets have reached, once for each period and share."""
        new = False
        for found in self._periods():
            period, share = _reached_of_period(found)
            sent = self._outbox.note(_period_note(found)) or ["", "0"]
            if share == "0" or (period == sent[0] and _rank(share) <= _rank(sent[1])):
                continue
            over = found.status.state is BudgetState.OVER
            data = {"adw_id": None, **period_budget_document(found)} | ({} if over else {"warned_at": float(share)})
            self._put("budget.exceeded" if over else "budget.warned", "", data, now)
            self._outbox.set_note(_period_note(found), [period, share])
            new = True
        return new

    def _noted(self, row: Row, last: LastNotified, **sent: Any) -> LastNotified:
        now = replace(last, **sent)
        self._set_last(row.adw_id, now)
        return now

    def _last(self, adw_id: str) -> LastNotified:
        return LastNotified(**(self._outbox.note(_LAST + adw_id) or {}))

    def _set_last(self, adw_id: str, last: LastNotified) -> None:
        self._outbox.set_note(_LAST + adw_id, asdict(last))

    def _reached(self, row: Row, budget: BudgetStatus | None) -> LastNotified:
        """Return what there is to send of a row; its run is asked for only when its budget matters."""
        settled = f"{row.status} {row.end_time}" if row.status in ENDED else None
        found = LastNotified(row.actual_cost_nanousd, settled)
        if budget is None or budget.state not in (BudgetState.OVER, BudgetState.WARNED):
            return found
        if (run := self._run(row)) is None:
            return found
        if budget.state is BudgetState.OVER:
            return replace(found, over_run=run)
        return found if budget.warned_at is None else replace(found, warned=f"{run} {budget.warned_at}")

    def _damages(self, now: float) -> bool:
        damages = {
            name: sentence(problem.error, self._service.settings.data)
            for name, problem in self._refresher.state.problems.items()
            if isinstance(problem.error, DamagedLedger | LedgerVanished)
        }
        sent = self._outbox.note(_DAMAGES) or {}
        new = sorted(damages.keys() - sent.keys())
        for adw_id in new:
            self._put("ledger.damaged", adw_id, {"adw_id": adw_id, "problem": damages[adw_id]}, now)
        if damages.keys() != sent.keys():
            self._outbox.set_note(_DAMAGES, damages)
        return bool(new)

    def _run(self, row: Row) -> int | None:
        try:
            folds, ledgers = self._service.folds, self._service.ledgers
            return folds.ask(ledgers, row.adw_id, lambda state, head: state.runs.run or 1)  # noqa: ARG005
        except UnknownWorkflow:
            return 1  # its ledger is on another host
        except CostledgerError:
            return None  # sent as damage; asked again with the row's next change

    def _of_row(self, row: Row, budget: BudgetStatus | None) -> dict[str, Any]:
        return {
            "adw_id": row.adw_id,
            "status": row.status,
            "cost_usd": usd(known_row_cost(row)),
            "cost_basis": row.cost_basis,
            "unpriced_events": row.unpriced_events,
            "issue_number": row.issue_number,
            "workflow_template": row.workflow_template,
            "project": row.project,
            "end_time": row.end_time,
            "budget": budget_document(budget),
        }

    def _put(self, type: str, adw_id: str, data: dict[str, Any], now: float) -> None:
        body = {"type": type, "timestamp": timestamps.to_wire(timestamps.now()), "data": data}
        message = WebhookMessage(f"msg_{uuid.uuid4().hex}", type, adw_id, orjson.dumps(body).decode())
        wanting = [endpoint.id for endpoint in self._endpoints if type in endpoint.config.events]
        self._outbox.put(message, wanting, now)


def _run_and_share(warned: str | None) -> tuple[int, Decimal]:
    run, _, share = (warned or "0 0").partition(" ")
    return int(run), Decimal(share)


def _period_note(found: PeriodBudgetStatus) -> str:
    """Return the name of the note of what was last sent of a budget; another amount makes another budget."""
    budget = found.budget
    return _PERIOD + orjson.dumps([budget.name, budget.per, *budget.where, budget.usd]).decode()


def _reached_of_period(found: PeriodBudgetStatus) -> list[str]:
    """Return the period, and the largest share that was reached: "over" above the whole, "0" below all."""
    over = found.status.state is BudgetState.OVER
    return [found.period, "over" if over else str(found.status.warned_at or 0)]


def _rank(share: str) -> Decimal:
    return Decimal(2) if share == "over" else Decimal(share)


def _mark(entry: AuditEntry) -> str:
    return f"{entry.timestamp} {entry.adw_id}"
