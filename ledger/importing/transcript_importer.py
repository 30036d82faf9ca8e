"""Importing transcripts: all files considered together, each message once, in the ledger where it counts.

A file that was not written to since it was read is not opened; one that grew is read from where it was left off. What
is found is joined over all files, compared with the index of messages, and handed out by workflow: a message that some
ledger has stays there, a new one belongs to the session that had it first; all of a session goes to the workflow that
has something of it. A total that a client wrote into its transcript becomes a reading of the session's meter, less what
the session carried over from a parent. Large reads and their appends are shared among processes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError, DamagedLedger, InvalidEvent, LedgerMoved, UnknownWorkflow
from ledger.events import timestamps as clocks
from ledger.events.event import COST_OBSERVED, Event
from ledger.events.fields import check_name
from ledger.events.timestamps import Clock
from ledger.importing.import_report import ATTEMPTS_MAX, ImportReport, Progress, WorkflowCounts
from ledger.importing.ledger_state import LedgerState, state_of
from ledger.importing.message_index import FileRead, IndexedMessage, MessageIndex
from ledger.importing.planner import plan
from ledger.importing.session_totals import count_totals
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_book import PriceBook
from ledger.providers.usage import is_larger, measure
from ledger.sources import transcript
from ledger.sources.findings import Beginning, Call, Counter, Findings, Location, Options, Skipped, spelled
from ledger.sources.names import name_id
from ledger.sources.repositories import repository_of
from ledger.sources.transcript import BEGINNING, COPY, Extract, FileStamp, Mark, TranscriptMessage
from ledger.storage.append import Receipt
from ledger.storage.line import Head
from ledger.storage.parallel import ask_each, collecting_rarely
from ledger.storage.store import LedgerStore

__all__ = ["import_transcripts"]

_MANY: Final = 1 << 30
_PARALLEL_BYTES: Final = 48 * 1024 * 1024
"""Below so much to read, starting processes costs more than it saves."""


def import_transcripts(
    ledgers: LedgerStore,
    kind: str,
    path: Path,
    options: Options | None = None,
    *,
    status: str | None = None,
    only: Container[str] | None = None,
    prices: PriceBook | None = None,
    clock: Clock = clocks.now,
    progress: Progress | None = None,
    processes: int = 1,
    waits: bool = True,
) -> ImportReport:
    """Append what transcripts hold and no ledger does: a whole tree's, or one file's from where it was left off.

    One unchanged file costs a few `stat` calls; a grown one costs what was added to it.

    Args:
        path: a folder, whose transcripts are considered together, or one transcript.
        options: without a `workflow_id` a workflow is what `workflow_by` says.
        status: the end of every workflow found, when the caller knows it.
        only: the workflows to append to; None for all.
        processes: how many may share a large read; 1 reads here.
        waits: for another import of the same data directory.

    Raises:
        ImportBusy: another import of the same data directory is running.
        SourceUnreadable: the path is missing or holds no transcript, or the index cannot be used.
        InvalidInput: an option makes no sense; nothing was appended.
    """
    given = options or Options()
    if given.agent is not None:
        _check_agent(given.agent)
    files = transcript(kind).files(path)
    everything = only is not None or status is not None
    report = ImportReport()
    with collecting_rarely(), MessageIndex.opened(ledgers, waits=waits) as index:
        marks = {} if everything else index.marks(kind, files)
        reads = [read for file in files if (read := _read_of(kind, file, marks.get(file), report)) is not None]
        size = sum(read.bytes for read in reads)
        book, many = prices or GenaiPrices(), processes if size >= _PARALLEL_BYTES else 1
        found, done_bytes = _FoundMessages(kind, given, index), 0
        with ask_each(_read, ledgers, reads, processes=many) as extracts:
            if many > 1:
                book.rates("", None)  # its list is loaded meanwhile, once, and not by each of those who append
            for read, extract in zip(reads, extracts, strict=True):
                found.add(read, extract)
                done_bytes += read.bytes
                if progress is not None:
                    progress(done_bytes, size)
        jobs = list(found.jobs(status, only))
        with ask_each(partial(_append, prices=book, clock=clock), ledgers, jobs, processes=many) as answers:
            for job, done in zip(jobs, answers, strict=True):
                _take(job, done, index, report)
        report.skipped += found.skipped
        report.without_folder |= found.without_folder
        if not everything:
            found.remember(index, failed={workflow_id for workflow_id, _ in report.problems})
    return report


def _check_agent(agent: str) -> None:
    try:
        check_name(agent)
    except ValueError as error:
        raise InvalidEvent("agent", str(error)) from None


@dataclass(frozen=True, slots=True)
class _FileRead:
    """One file to read."""

    kind: str
    path: Path
    written: FileStamp
    mark: Mark
    messages: int = 0
    skipped: tuple[Skipped, ...] = ()

    @property
    def bytes(self) -> int:
        return max(0, self.written.size - self.mark.offset)


def _read_of(kind: str, file: Path, before: FileRead | None, report: ImportReport) -> _FileRead | None:
    """How a file is to be read; None when it is as it was."""
    written = FileStamp.of(file)
    if written is None:
        report.skipped.append(Skipped(file, None, "is gone, or is no regular file"))
        return None
    if before is None:
        return _FileRead(kind, file, written, BEGINNING)
    if before.written == written:
        report.in_unchanged_files += before.messages
        report.skipped += before.skipped
        return None
    mark = before.mark
    if not mark.offset or written.size < mark.offset or written.inode != before.written.inode:
        return _FileRead(kind, file, written, BEGINNING)
    skipped = tuple(each for each in before.skipped if each.line is None or each.line <= mark.lines)
    return _FileRead(kind, file, written, mark, before.messages, skipped)


def _read(ledgers: LedgerStore, read: _FileRead) -> Extract:  # noqa: ARG001
    return transcript(read.kind).read(read.path, read.mark)


@dataclass(slots=True)
class _One:
    """One message, joined over the files that show it.

    Attributes:
        seen: its largest view, with the location of the first.
        first: orders the files that have it: those that did not copy it, then by its moment, how many responses the
            file begins with, its end and its name.
        file: of the largest view.
        at: where a ledger has it, and the id that it has there; None: no ledger has it.
    """

    seen: TranscriptMessage
    first: tuple[int, str, int, str, str]
    file: Path
    at: tuple[str, IndexedMessage] | None = None


class _FoundMessages:
    """What all files that were read hold together."""

    def __init__(self, kind: str, options: Options, index: MessageIndex) -> None:
        self.skipped: list[Skipped] = []
        self.without_folder: set[str] = set()
        self._kind, self._options, self._index = kind, options, index
        self._ones: dict[str, _One] = {}
        self._begun: dict[str, Beginning] = {}
        self._read: list[tuple[_FileRead, FileRead, set[str]]] = []
        self._with_totals: list[tuple[Path, Extract]] = []
        self._spelled, self._repository = cache(spelled), cache(repository_of)
        self._homes: dict[str, set[str]] = {}
        self._agents: dict[str, str] = {}

    def add(self, read: _FileRead, extract: Extract) -> None:
        """One file's extract, in the order of the files."""
        skipped = [*read.skipped, *extract.skipped] if extract.resumed else extract.skipped
        self.skipped += skipped
        for seen in extract.messages:
            opening = _MANY if extract.opening is None else extract.opening
            first = (seen.copied, seen.first_at or "~", opening, extract.last_at, str(read.path))
            had = self._ones.get(seen.message_id)
            if had is None:
                self._ones[seen.message_id] = _One(seen, first, read.path)
                continue
            location = seen if first < had.first else had.seen
            had.first = min(first, had.first)
            if seen.is_larger(had.seen):
                had.seen, had.file = seen, read.path
            had.seen = had.seen.in_session_of(location)
        for session_id, begun in extract.mark.beginnings.items():
            at, project, branch = self._begun.get(session_id, Beginning())
            at = min(at or begun.at, begun.at or at)
            self._begun[session_id] = Beginning(at, project or begun.project, branch or begun.branch)
        self._agents.update(extract.agents)
        if extract.totals:
            self._with_totals.append((read.path, extract))
        if not extract.failed:
            ids = {seen.message_id for seen in extract.messages}
            messages = len(ids) + (read.messages if extract.resumed else 0)
            self._read.append((read, FileRead(read.written, extract.mark, messages, tuple(skipped)), ids))

    def jobs(self, status: str | None, only: Container[str] | None) -> Iterator[_Job]:
        """What is to be appended, by workflow."""
        self._find_known()
        for one in self._ones.values():
            if one.seen.copied == COPY and one.seen.parent:
                one.seen = one.seen._replace(session_id=one.seen.parent, copied=0)
        sessions = {one.seen.session_id for one in self._ones.values()}
        homes = self._index.homes(sessions | {each.session_id for _, ex in self._with_totals for each in ex.totals})
        by_workflow: dict[str, list[_One]] = {}
        for id, one in self._ones.items():
            if one.at is None and one.seen.copied == COPY:
                continue  # it counts in the session that it was copied from, once that one's transcript is read
            workflow_id = one.at[1].workflow_id if one.at else self._home(homes.get(one.seen.session_id))
            workflow_id = workflow_id or self._workflow(one)
            self._homes.setdefault(workflow_id, set()).add(id)
            if only is None or workflow_id in only:
                by_workflow.setdefault(workflow_id, []).append(one)
        counters = self._counters(by_workflow, homes, only)
        for workflow_id in sorted(by_workflow.keys() | counters.keys()):
            ones = sorted(by_workflow.get(workflow_id, ()), key=lambda one: one.first)
            yield self._job(workflow_id, ones, counters.get(workflow_id, []), status)

    def _find_known(self) -> None:
        """Look up which messages some ledger has, by any of their names."""
        names = {name for one in self._ones.values() for name in one.seen.names}
        counted = self._index.counted(self._ones.keys() | names)
        for id, one in self._ones.items():
            one.at = next(((each, counted[each]) for each in (id, *one.seen.names) if each in counted), None)

    def _home(self, workflows: list[str] | None) -> str | None:
        """The workflow that has something of a session; the one that was asked for, if that is among several."""
        if not workflows:
            return None
        asked = self._options.workflow_id
        return asked if asked in workflows else workflows[0]

    def _counters(
        self, by_workflow: dict[str, list[_One]], homes: dict[str, list[str]], only: Container[str] | None
    ) -> dict[str, list[Counter]]:
        """The totals that clients wrote, less what their sessions carried over, by workflow."""
        if not self._with_totals:
            return {}
        workflows = {one.seen.session_id: id for id, ones in by_workflow.items() for one in ones if one.at is None}
        owners = {
            id: one.at[1].session_id if one.at else "" if one.seen.copied == COPY else one.seen.session_id
            for id, one in self._ones.items()
        }
        stored = self._index.totals(
            {id for id in owners.values() if id is not None}
            | {each.session_id for _, extract in self._with_totals for each in extract.totals}
        )
        found: dict[str, list[Counter]] = {}
        for counter in count_totals(self._kind, self._with_totals, owners, stored, transcript(self._kind).agent):
            session_id = counter.session_id or ""
            workflow_id = self._home(homes.get(session_id)) or workflows.get(session_id)
            if workflow_id is not None and (only is None or workflow_id in only):
                found.setdefault(workflow_id, []).append(counter)
        for session_id, totals in stored.items():
            self._index.keep_totals(session_id, totals)
        return found

    def remember(self, index: MessageIndex, failed: Container[str]) -> None:
        """Mark each file all of whose messages are in ledgers now."""
        missing = {id for workflow_id, ids in self._homes.items() if workflow_id in failed for id in ids}
        for read, done, ids in self._read:
            if not ids & missing:
                index.mark(read.kind, read.path, done)

    def _job(self, workflow_id: str, ones: Sequence[_One], counters: list[Counter], status: str | None) -> _Job:
        head, known_here = self._index.ledger(workflow_id)
        for one in ones:
            if one.at is not None and one.at[1].workflow_id == workflow_id:
                id, at = one.at
                known_here.messages[id] = (at.agent, at.session_id, at.model)
                known_here.measures[id] = (at.measure, at.observed_at)
                if id != one.seen.message_id:
                    known_here.aliases[one.seen.message_id] = id
        new = [one for one in ones if _is_new(one.seen, known_here)]
        seen = [(self._with_agent(one.seen), self._spelled(one.file)) for one in new]
        agent = self._options.agent or transcript(self._kind).agent
        begun = self._begun_of(ones)
        unchanged = len(ones) - len(new)
        return _Job(workflow_id, self._kind, agent, seen, counters, begun, head, known_here, status, unchanged)

    def _with_agent(self, seen: TranscriptMessage) -> TranscriptMessage:
        """A message under the kind of its sub-agent, where its own file has no more than the sub-agent's id."""
        kind = self._agents.get(seen.subagent or "")
        return seen if kind is None else seen._replace(subagent=kind)

    def _begun_of(self, ones: Iterable[_One]) -> Beginning | None:
        """When the sessions of a workflow's messages began, in which repository and on which branch."""
        sessions = {one.seen.session_id for one in ones}
        begun = sorted(self._begun[session_id] for session_id in sessions if session_id in self._begun)
        at = min((each.at for each in begun if each.at), default="")
        first = next((each for each in begun if each.project), Beginning())
        if not at and not first.project:
            return None
        return Beginning(at, self._repository(first.project) if first.project else "", first.branch)

    def _workflow(self, one: _One) -> str:
        """The workflow of a message that no ledger has."""
        seen, by = one.seen, self._options.workflow_by
        if self._options.workflow_id is not None:
            return self._options.workflow_id
        if by != "session" and not seen.project:
            self.without_folder.add(seen.session_id)
        if by == "session" or not seen.project:
            return name_id(seen.session_id)
        folder = Path(seen.project).name
        if by == "project":
            return name_id(seen.project, readable=folder)
        return name_id(f"{seen.project}\n{seen.branch}", readable=f"{folder}-{seen.branch or 'no-branch'}")


def _is_new(seen: TranscriptMessage, known_here: LedgerState) -> bool:
    """Whether a ledger has no view of the message, or only smaller ones."""
    id = known_here.aliases.get(seen.message_id, seen.message_id)
    path = known_here.messages.get(id)
    if path is None:
        return True
    return is_larger(measure(seen.usage), known_here.measures[id][0], same_model=seen.model == path[2])


@dataclass(slots=True)
class _Job:
    """What is to be appended to one ledger, and what is known of it.

    Attributes:
        agent: of the messages that name none.
        seen: the messages, each with its file.
        counters: what the sessions cost by their clients' own totals.
        unchanged: messages that it has already.
    """

    workflow_id: str
    kind: str
    agent: str
    seen: list[tuple[TranscriptMessage, str]]
    counters: list[Counter]
    begun: Beginning | None
    head: Head
    told: LedgerState
    status: str | None
    unchanged: int


@dataclass(slots=True)
class _Done:
    """What became of a job, or the problem.

    Attributes:
        head, news: the ledger's new head and what the lines up to it say; None: the next import is to read them.
    """

    appended: int = 0
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    head: Head | None = None
    news: LedgerState | None = None
    problem: CostledgerError | None = None


def _append(ledgers: LedgerStore, job: _Job, *, prices: PriceBook, clock: Clock) -> _Done:
    """Plan and append one workflow's messages, again when its ledger has moved; never raises ours."""
    try:
        calls = [_call(job, seen, file) for seen, file in job.seen]
        findings = Findings(calls=calls, counters=job.counters, beginning=job.begun)
        from_index = not _has_final_totals(job)
        head, told = (job.head, job.told) if from_index else _again(ledgers, job)
        for attempt in range(ATTEMPTS_MAX):
            made = plan(job.workflow_id, findings, told, prices, clock(), job.status)
            try:
                receipts = ledgers.append(made.events, expected_seq=head.seq)
            except LedgerMoved:
                if attempt + 1 == ATTEMPTS_MAX:
                    raise
                head, told = _again(ledgers, job)
                from_index = False
            else:
                appended = sum(not receipt.duplicate for receipt in receipts)
                done = _Done(appended, job.unchanged + made.unchanged + len(receipts) - appended, made.skipped)
                if from_index and appended and appended == len(receipts):
                    _learn(ledgers, job, made.state, made.events, receipts, done)
                return done
    except CostledgerError as error:
        return _Done(problem=error)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _has_final_totals(job: _Job) -> bool:
    """Whether the workflow has ended with totals that may not cover the messages: only its ledger says which."""
    sessions = {seen.session_id for seen, _ in job.seen}
    return job.told.runs.ended and any(
        kind == "claude_stream" and id in sessions for id, kind in job.told.session_kinds
    )


def _call(job: _Job, seen: TranscriptMessage, file: str) -> Call:
    return Call(
        job.kind,
        seen.message_id,
        seen.model,
        seen.usage,
        Location(file, seen.line),
        agent=seen.agent or job.agent,
        session_id=seen.session_id,
        observed_at=seen.first_at or None,
        service_tier=seen.priced_tier,
        partial=seen.partial,
        checked=True,
        names=seen.names,
        subagent=seen.subagent,
        skill=seen.skill,
        plugin=seen.plugin,
        client=True,
    )


def _learn(
    ledgers: LedgerStore,
    job: _Job,
    told: LedgerState,
    events: Sequence[Event],
    receipts: Sequence[Receipt],
    done: _Done,
) -> None:
    """What the ledger says now, known without reading it; whatever only it can tell, the next import reads."""
    begun = [event for event in events if event.type != COST_OBSERVED]
    if any(not {"run", "observed_at"} <= event.fields.keys() for event in begun):
        return
    last = receipts[-1]
    try:
        end = Head(last.seq, ledgers.size(job.workflow_id) or 0, last.hash)
        done.head = ledgers.read(job.workflow_id, start=end).head
    except DamagedLedger:
        return  # somebody has appended since
    done.news = state_of(({"type": event.type, "seq": last.seq, **event.fields} for event in begun), told)
    for event in events:
        if event.type == COST_OBSERVED and (session_id := event.fields.get("session_id")) is not None:
            told.session_kinds.add((session_id, job.kind))
            told.session_agents.setdefault(session_id, event.fields.get("agent"))
            if "message_id" in event.fields and not (event.fields.get("source") or {}).get("names"):
                told.unnamed.add(session_id)
    told.ids.clear()


def _again(ledgers: LedgerStore, job: _Job) -> tuple[Head, LedgerState]:
    """The ledger as it is now that somebody else has appended."""
    try:
        reader = ledgers.read(job.workflow_id)
        told = state_of(reader)
    except UnknownWorkflow:
        return job.head, job.told
    return reader.head, told


def _take(job: _Job, done: _Done, index: MessageIndex, report: ImportReport) -> None:
    if done.problem is not None:
        report.problems.append((job.workflow_id, done.problem))
        return
    report.workflows[job.workflow_id] = WorkflowCounts(done.appended, done.unchanged)
    report.skipped += done.skipped
    if done.head is not None and done.news is not None:
        index.learn(job.workflow_id, done.head, done.news)
