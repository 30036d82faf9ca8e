"""Importing: read a source, append what is new, and remember what was read so that it can be read again."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.errors import (
    CostledgerError,
    InvalidInput,
    LedgerMoved,
    SourceUnreadable,
    UnknownWorkflow,
)
from ledger.events import timestamps as clocks
from ledger.events.event import END_TYPES
from ledger.events.timestamps import Clock
from ledger.events.workflow_ids import check_workflow_id
from ledger.importing.import_plan import ImportPlan
from ledger.importing.import_report import ATTEMPTS_MAX, ImportReport, Progress, WorkflowCounts
from ledger.importing.ledger_state import LedgerState, state_of
from ledger.importing.planner import plan
from ledger.importing.source_registry import SourceEntry, SourceRegister, Sources
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_book import PriceBook
from ledger.sources import MAPPED_KINDS, SESSION_KINDS, TRANSCRIPT_KINDS, source, transcript
from ledger.sources.findings import Findings, Location, Options, Part, Skipped
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore

if TYPE_CHECKING:
    from ledger.config.schema import Config

__all__ = ["SourceEntry", "SourceRegister", "configured", "import_entry", "import_parts", "import_source", "reread"]


def import_source(
    store: LedgerStore,
    kind: str,
    path: Path,
    *,
    workflow_id: str | None = None,
    agent: str | None = None,
    map: Sequence[str] = (),
    workflow_by: str = "session",
    status: str | None = None,
    only: Container[str] | None = None,
    unchanged: Callable[[Part], bool] | None = None,
    prices: PriceBook | None = None,
    clock: Clock = clocks.now,
    progress: Progress | None = None,
    processes: int = 1,
    waits: bool = True,
) -> ImportReport:
    """Append what a source holds and its ledgers do not; once more changes nothing.

    Args:
        kind: one of `sources.KINDS`.
        workflow_id, agent, map, workflow_by: see `Options`.
        status: the end of every workflow of this source, when the caller knows it.
        only: the workflows to read; None for all.
        unchanged: whether a part need not be read, because the caller read it as it is before.
        processes: how many may share the work, where that helps.
        waits: for another import of the same data directory.

    Raises:
        ImportBusy: another import is running.
        SourceUnreadable: the path is missing, or not this kind's.
        InvalidInput: an option is missing or makes no sense; nothing was appended.
    """
    _check(kind, map, status)
    options = Options(workflow_id, agent, tuple(map), workflow_by)
    given: dict[str, Any] = {"status": status, "only": only, "prices": prices, "clock": clock}
    given |= {"progress": progress, "waits": waits}
    if kind in TRANSCRIPT_KINDS:
        from ledger.importing.transcript_importer import import_transcripts

        return import_transcripts(store, kind, path, options, processes=processes, **given)
    parts = source(kind).parts(path, options)
    return import_parts(store, parts, one_subtree=kind in SESSION_KINDS, unchanged=unchanged, **given)


def _check(kind: str, map: Sequence[str], status: str | None) -> None:
    if status is not None and f"workflow_{status}" not in END_TYPES:
        raise InvalidInput(f"{status!r} is not an end; use completed, failed or cancelled")
    if map and kind not in MAPPED_KINDS:
        raise InvalidInput(f"a map is for {' and '.join(MAPPED_KINDS)}; {kind!r} knows its columns")


def import_parts(
    store: LedgerStore,
    parts: Sequence[Part],
    *,
    one_subtree: bool = False,
    status: str | None = None,
    only: Container[str] | None = None,
    unchanged: Callable[[Part], bool] | None = None,
    prices: PriceBook | None = None,
    clock: Clock = clocks.now,
    progress: Progress | None = None,
    waits: bool = True,
) -> ImportReport:
    """Append what parts hold and their ledgers do not; see `import_source`, which is this for a path.

    Args:
        one_subtree: look up where each session counts even if no transcript was ever imported.
    """
    book, homes = prices or GenaiPrices(), _homes(store, create=one_subtree, waits=waits)
    size, done = sum(part.size_bytes for part in parts), 0
    report = ImportReport()
    for part in parts:
        if (only is None or part.workflow_id in only) and not (unchanged and unchanged(part)):
            try:
                check_workflow_id(part.workflow_id)
                for workflow_id, findings in _by_home(part.workflow_id, part.read(), homes):
                    report.skipped += findings.skipped
                    made = _append(store, workflow_id, findings, book, clock, status)
                    counts = report.workflows.setdefault(workflow_id, WorkflowCounts())
                    counts.appended += len(made.events)
                    counts.unchanged += made.unchanged
                    report.skipped += made.skipped
            except CostledgerError as error:
                report.problems.append((part.workflow_id, error))
        done += part.size_bytes
        if progress is not None:
            progress(done, size)
    return report


def _homes(store: LedgerStore, *, create: bool, waits: bool) -> dict[str, set[str]]:
    """The workflows that have something of each session."""
    from ledger.importing.message_index import INDEX_FILE, MessageIndex

    if not create and not (isinstance(store, DirectoryStore) and (store.path / INDEX_FILE).exists()):
        return {}
    with MessageIndex.opened(store, waits=waits) as index:
        return index.sessions()


def _by_home(workflow_id: str, findings: Findings, homes: dict[str, set[str]]) -> Iterator[tuple[str, Findings]]:
    """What a part found, handed out to the workflows that have its sessions already: a session counts in one.

    The part's own workflow comes first, unless all of it counts elsewhere.
    """
    moved: dict[str, Findings] = {}

    def home(session_id: str | None, location: Location) -> Findings | None:
        known = homes.setdefault(session_id, set()) if session_id is not None else set()
        if not known or workflow_id in known:
            known.add(workflow_id)
            return None
        target = min(known)
        reason = f"session {session_id} counts in workflow {target}, which has something of it; it was added there"
        found = moved.setdefault(target, Findings())
        if not any(skipped.reason == reason for skipped in found.skipped):
            found.skipped.append(Skipped(Path(location.file), location.line, reason, note=True))
        return found

    some = bool(findings.sessions or findings.calls or findings.counters)
    sessions, calls, counters = findings.sessions, findings.calls, findings.counters
    findings.sessions, findings.calls, findings.counters = [], [], []
    for session in sessions:
        (home(session.session_id, session.where) or findings).sessions.append(session)
    for call in calls:
        (home(call.session_id if call.client else None, call.location) or findings).calls.append(call)
    for counter in counters:
        (home(counter.session_id if counter.client else None, counter.location) or findings).counters.append(counter)
    if not some or findings != Findings(skipped=findings.skipped):
        yield workflow_id, findings
    else:
        next(iter(moved.values())).skipped += findings.skipped
    yield from moved.items()


def _append(
    store: LedgerStore, workflow_id: str, findings: Findings, book: PriceBook, clock: Clock, status: str | None
) -> ImportPlan:
    """Plan against the ledger as it is, and again when it has moved."""
    for attempt in range(ATTEMPTS_MAX):
        ledger = _known(store, workflow_id)
        made = plan(workflow_id, findings, ledger, book, clock(), status)
        try:
            if not ledger.seq and not made.events:
                store.open(workflow_id)  # so that a workflow whose logs are still empty is seen
            store.append(made.events, expected_seq=ledger.seq)
        except LedgerMoved:
            if attempt + 1 == ATTEMPTS_MAX:
                raise
        else:
            return made
    raise AssertionError("unreachable: the last attempt returns or raises")


def _known(store: LedgerStore, workflow_id: str) -> LedgerState:
    try:
        return state_of(store.read(workflow_id))
    except UnknownWorkflow:
        return LedgerState()


def configured(config: Config) -> list[SourceEntry]:
    """The sources that a configuration names, at their paths or where their kind keeps its files."""
    return [
        SourceEntry(
            named.kind, str(path.absolute()), named.workflow_id, named.agent, named.map, named.workflow_by or "session"
        )
        for named in config.sources
        for path in ([named.path] if named.path is not None else transcript(named.kind).existing_folders())
    ]


def import_entry(
    store: LedgerStore,
    entry: SourceEntry,
    *,
    status: str | None = None,
    only: Container[str] | None = None,
    unchanged: Callable[[Part], bool] | None = None,
    prices: PriceBook | None = None,
    progress: Progress | None = None,
    processes: int = 1,
    waits: bool = True,
) -> ImportReport:
    """Import a source as it was imported before; see `import_source`."""
    return import_source(
        store,
        entry.kind,
        Path(entry.path),
        workflow_id=entry.workflow_id,
        agent=entry.agent,
        map=entry.map,
        workflow_by=entry.workflow_by,
        status=status,
        only=only,
        unchanged=unchanged,
        prices=prices,
        progress=progress,
        processes=processes,
        waits=waits,
    )


def reread(
    store: LedgerStore,
    sources: Sources,
    *,
    only: Container[str] | None = None,
    prices: PriceBook | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import sources again; one that is gone takes nothing away and is reported as skipped.

    Args:
        sources: those that are remembered, `SourceRegister`, and maybe more.

    Raises:
        SourceUnreadable: where the sources are kept cannot be read.
    """
    report = ImportReport()
    for entry in sources.entries():
        if only is not None and entry.workflow_id is not None and entry.workflow_id not in only:
            continue
        try:
            report.merge(import_entry(store, entry, only=only, prices=prices, progress=progress))
        except (SourceUnreadable, InvalidInput) as error:
            report.skipped.append(Skipped(Path(entry.path), None, f"{error}; what was read from it stays"))
    return report
