"""Importing a source: read its findings, plan them against the state of each ledger, append what is new.

A source of transcripts is read by `transcript_importer`, all its files together; any other one part by part here. Both
end in `append_findings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable
from ledger.events.event import END_TYPES
from ledger.events.workflow_ids import check_workflow_id
from ledger.importing.append_findings import append_findings
from ledger.importing.import_options import IMPORT_DEFAULTS, ImportOptions
from ledger.importing.import_report import ImportReport
from ledger.importing.removed_findings import removed_of
from ledger.importing.session_homes import by_session_home, session_homes
from ledger.importing.source_registry import SourceEntry, SourceRegister, Sources
from ledger.importing.takeovers import agent_of, is_default, sessions_of, take_over
from ledger.sources import MAPPED_KINDS, SESSION_KINDS, TRANSCRIPT_KINDS, source, transcript
from ledger.sources.findings import Options, Part, Skipped
from ledger.sources.formats.folders import unreadable
from ledger.storage.store import LedgerStore

if TYPE_CHECKING:
    from ledger.config.schema import Config

__all__ = [
    "ImportOptions",
    "SourceEntry",
    "SourceRegister",
    "configured",
    "import_entry",
    "import_parts",
    "import_source",
    "reread",
]


def import_source(
    store: LedgerStore,
    kind: str,
    path: Path,
    *,
    workflow_id: str | None = None,
    agent: str | None = None,
    map: Sequence[str] = (),
    workflow_by: str = "session",
    options: ImportOptions = IMPORT_DEFAULTS,
) -> ImportReport:
    """Append what a source has and its ledgers lack; see `import_entry`.

    Args:
        kind: one of `sources.KINDS`.
        workflow_id, agent, map, workflow_by: see `Options`.
    """
    return import_entry(store, SourceEntry(kind, str(path), workflow_id, agent, tuple(map), workflow_by), options)


def import_entry(store: LedgerStore, entry: SourceEntry, options: ImportOptions = IMPORT_DEFAULTS) -> ImportReport:
    """Append what a source has and its ledgers lack; once more changes nothing.

    Raises:
        ImportBusy: another import is running.
        SourceUnreadable: the path is missing, or is not of this kind.
        InvalidInput: an option is missing or invalid; nothing was appended.
    """
    if options.status is not None and f"workflow_{options.status}" not in END_TYPES:
        raise InvalidInput(f"{options.status!r} is not an end; use completed, failed or cancelled")
    if entry.map and entry.kind not in MAPPED_KINDS:
        raise InvalidInput(f"a map is for {' and '.join(MAPPED_KINDS)}; {entry.kind!r} knows its columns")
    path, given = Path(entry.path), Options(entry.workflow_id, entry.agent, entry.map, entry.workflow_by)
    if entry.kind in TRANSCRIPT_KINDS:
        from ledger.importing.transcript_importer import import_transcripts

        return import_transcripts(store, entry.kind, path, given, options)
    try:
        parts = source(entry.kind).parts(path, given)
    except OSError as error:
        refused = unreadable(path, error)
        raise SourceUnreadable(refused.path, refused.reason) from error
    return import_parts(store, parts, options, one_subtree=entry.kind in SESSION_KINDS)


def import_parts(
    store: LedgerStore, parts: Sequence[Part], options: ImportOptions = IMPORT_DEFAULTS, *, one_subtree: bool = False
) -> ImportReport:
    """Append what parts have and their ledgers lack; see `import_entry`, which does this for a path.

    Args:
        one_subtree: look up where each session counts even if no transcript was ever imported.
    """
    options = replace(options, prices=options.book())
    homes = session_homes(store, create=one_subtree, waits=options.waits)
    size, done = sum(part.size_bytes for part in parts), 0
    report = ImportReport()
    for part in parts:
        is_wanted = options.only is None or part.workflow_id in options.only
        if is_wanted and not (options.unchanged and options.unchanged(part)):
            try:
                _import_part(store, part, homes, options, report)
            except CostledgerError as error:
                report.problems.append((part.workflow_id, error))
        done += part.size_bytes
        if options.progress is not None:
            options.progress(done, size)
    return report


def _import_part(
    store: LedgerStore, part: Part, homes: dict[str, set[str]], options: ImportOptions, report: ImportReport
) -> None:
    check_workflow_id(part.workflow_id)
    for workflow_id, findings in by_session_home(part.workflow_id, part.read(), homes):
        report.skipped += findings.skipped
        made, _ = append_findings(store, workflow_id, findings, options.book(), options.clock, options.status)
        if not made.seq and not made.events and not removed_of(store).has_workflow(workflow_id):
            store.open(workflow_id)  # so that a workflow whose logs are still empty is shown
        report.count(workflow_id, len(made.events), made.unchanged)
        report.skipped += made.skipped
        if workflow_id != part.workflow_id and is_default(workflow_id, sessions_of(findings)):
            take_over(store, workflow_id, part.workflow_id, agent_of(findings), report)


def configured(config: Config) -> list[SourceEntry]:
    """Return the sources of a configuration, at their paths or in the default folders of their kind."""
    return [
        SourceEntry(
            named.kind, str(path.absolute()), named.workflow_id, named.agent, named.map, named.workflow_by or "session"
        )
        for named in config.sources
        for path in ([named.path] if named.path is not None else transcript(named.kind).existing_folders())
    ]


def reread(store: LedgerStore, sources: Sources, options: ImportOptions = IMPORT_DEFAULTS) -> ImportReport:
    """Import sources again; one that is gone is reported as skipped, and its events remain.

    Args:
        sources: those that are registered, `SourceRegister`, and maybe more.

    Raises:
        SourceUnreadable: the register of sources cannot be read.
    """
    report = ImportReport()
    for entry in sources.entries():
        if options.only is not None and entry.workflow_id is not None and entry.workflow_id not in options.only:
            continue
        try:
            report.merge(import_entry(store, entry, options))
        except (SourceUnreadable, InvalidInput) as error:
            report.skipped.append(Skipped(Path(entry.path), None, f"{error}; what was read from it stays"))
    return report
