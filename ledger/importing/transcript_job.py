"""Jobs of an import of transcripts: what is to be appended to one ledger, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.errors import CostledgerError
from ledger.events import money
from ledger.events.event import COST_OBSERVED, Event
from ledger.events.timestamps import Clock
from ledger.importing.append_findings import append_findings
from ledger.importing.import_plan import ImportPlan
from ledger.importing.import_report import ImportReport
from ledger.importing.ledger_state import STREAM, LedgerState, state_of
from ledger.importing.message_index import MessageIndex
from ledger.pricing.price_book import PriceBook
from ledger.sources.findings import Beginning, Call, Counter, Findings, Location, Skipped
from ledger.sources.transcript import TranscriptMessage
from ledger.storage.append import Receipt
from ledger.storage.line import Head
from ledger.storage.store import LedgerStore

__all__ = ["JobResult", "TranscriptJob", "append_job", "record_result"]


@dataclass(slots=True)
class TranscriptJob:
    """What is to be appended to one ledger.

    Attributes:
        agent: of the messages that name none.
        messages: each with its file.
        counters: what the sessions cost by their clients' own totals.
        state: of the ledger by the index, with those of its messages that the files have.
        unchanged: messages that it has already.
    """

    workflow_id: str
    kind: str
    agent: str
    messages: list[tuple[TranscriptMessage, str]]
    counters: list[Counter]
    beginning: Beginning | None
    head: Head
    state: LedgerState
    status: str | None
    unchanged: int

    def findings(self) -> Findings:
        """Return the messages as findings, made by the process that appends them."""
        calls = [self._call(message, file) for message, file in self.messages]
        return Findings(calls=calls, counters=self.counters, beginning=self.beginning)

    def _call(self, message: TranscriptMessage, file: str) -> Call:
        return Call(
            self.kind,
            message.message_id,
            message.model,
            message.usage or None,
            Location(file, message.line),
            agent=message.agent or self.agent,
            session_id=message.session_id,
            cost_usd=None if message.nanousd is None else money.to_wire(message.nanousd),
            observed_at=message.first_at or None,
            service_tier=message.priced_tier,
            partial=message.partial,
            checked=True,
            names=message.names,
            subagent=message.subagent,
            skill=message.skill,
            plugin=message.plugin,
            client=True,
            several=message.several,
        )


@dataclass(slots=True)
class JobResult:
    """What was appended, or the problem.

    Attributes:
        head, state: of the ledger now; None: the next import is to read it.
    """

    appended: int = 0
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    head: Head | None = None
    state: LedgerState | None = None
    problem: CostledgerError | None = None


def append_job(ledgers: LedgerStore, job: TranscriptJob, *, prices: PriceBook, clock: Clock) -> JobResult:
    """Append the findings of one workflow; an error of ours is in the result and never raised."""
    state = None if _has_totals_of_processes(job) else job.state
    try:
        made, receipts = append_findings(ledgers, job.workflow_id, job.findings(), prices, clock, job.status, state)
        appended = sum(not receipt.duplicate for receipt in receipts)
        result = JobResult(appended, job.unchanged + made.unchanged + len(receipts) - appended, made.skipped)
        if appended and appended == len(receipts):
            result.head, result.state = _now(ledgers, job, made, receipts)
    except CostledgerError as error:
        return JobResult(problem=error)
    return result


def _has_totals_of_processes(job: TranscriptJob) -> bool:
    """Whether a session has totals of single processes: only the ledger shows what they cover, and where."""
    sessions = {message.session_id for message, _ in job.messages} | {counter.session_id for counter in job.counters}
    return any(kind == STREAM and id in sessions for id, kind in job.state.session_kinds)


def _now(
    ledgers: LedgerStore, job: TranscriptJob, made: ImportPlan, receipts: Sequence[Receipt]
) -> tuple[Head | None, LedgerState | None]:
    """The head and the state of a ledger, without reading it; None where only its lines show them."""
    lifecycle = [event for event in made.events if event.type != COST_OBSERVED]
    if any(not {"run", "observed_at"} <= event.fields.keys() for event in lifecycle):
        return None, None
    last = receipts[-1]
    if (head := ledgers.head_after(last)) is None:
        return None, None
    state = state_of(({"type": event.type, "seq": last.seq, **event.fields} for event in lifecycle), made.state)
    _add_sessions(state, job.kind, made.events)
    state.ids.clear()  # another process sends the state to this one
    return head, state


def _add_sessions(state: LedgerState, kind: str, events: Sequence[Event]) -> None:
    for event in events:
        if event.type == COST_OBSERVED and (session_id := event.fields.get("session_id")) is not None:
            state.session_kinds.add((session_id, kind))
            state.session_agents.setdefault(session_id, event.fields.get("agent"))
            if "message_id" in event.fields and not (event.fields.get("source") or {}).get("names"):
                state.unnamed.add(session_id)


def record_result(job: TranscriptJob, result: JobResult, index: MessageIndex, report: ImportReport) -> None:
    """Add the result of a job to the report and to the index."""
    if result.problem is not None:
        report.problems.append((job.workflow_id, result.problem))
        return
    report.count(job.workflow_id, result.appended, result.unchanged)
    report.skipped += result.skipped
    if result.head is not None and result.state is not None:
        index.update(job.workflow_id, result.head, result.state)
