"""Importing transcripts: all files considered together, each message once, in the ledger where it counts.

A file that was not written to since it was read is not opened; one that grew is read from where the last import
stopped. The messages are joined over all files, compared with the index of messages, and assigned to workflows; see
`joined_messages`. Large reads and their appends are shared among processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from ledger.errors import InvalidEvent
from ledger.events.fields import check_name
from ledger.importing.import_options import IMPORT_DEFAULTS, ImportOptions
from ledger.importing.import_report import ImportReport
from ledger.importing.joined_messages import FileReading, JoinedMessages
from ledger.importing.message_index import FileRead, MessageIndex
from ledger.importing.takeovers import regrouped, take_over
from ledger.importing.transcript_job import append_job, record_result
from ledger.sources import identified, transcript
from ledger.sources.agents import AGENTS
from ledger.sources.findings import Options, Skipped
from ledger.sources.transcript import BEGINNING, Extract, FileStamp
from ledger.storage.parallel import ask_each, collecting_rarely
from ledger.storage.store import LedgerStore

__all__ = ["import_transcripts"]

_FOREIGN_LOOKED_AT: Final = 20
"""Files of other tools that are recognised; of more, it is only reported that they are not of this one."""

_PARALLEL_BYTES: Final = 48 * 1024 * 1024
"""For less to read, starting processes costs more than it saves."""


def import_transcripts(
    ledgers: LedgerStore, kind: str, path: Path, given: Options | None = None, options: ImportOptions = IMPORT_DEFAULTS
) -> ImportReport:
    """Append what transcripts have and no ledger does; of one that was read before, only what was added to it is read.

    Args:
        path: a folder, whose transcripts are considered together, or one transcript.
        given: without a `workflow_id` a workflow is what `workflow_by` defines.

    Raises:
        ImportBusy: another import of the same data directory is running.
        SourceUnreadable: the path is missing or has no transcript, or the index cannot be used.
        InvalidInput: an option is invalid; nothing was appended.
    """
    given = given or Options()
    _check_agent(given.agent)
    report = ImportReport()
    files = transcript(kind).files(path, report.skipped)
    everything = options.only is not None or options.status is not None
    options = replace(options, prices=options.book())
    with collecting_rarely(), MessageIndex.opened(ledgers, waits=options.waits) as index:
        marks = index.marks(kind, files)
        given_readings = (_reading_of(kind, file, marks.get(file), report, everything) for file in files)
        readings = [found for found in given_readings if found is not None]
        processes = options.processes if sum(reading.bytes for reading in readings) >= _PARALLEL_BYTES else 1
        joined = JoinedMessages(kind, given, index)
        for reading, extract in _extracts(ledgers, readings, options, processes):
            joined.add(reading, extract)
        jobs = list(joined.jobs(options.status, options.only))
        append = partial(append_job, prices=options.book(), clock=options.clock)
        with ask_each(append, ledgers, jobs, processes=processes, appends=True) as results:
            for job, result in zip(jobs, results, strict=True):
                record_result(job, result, index, report)
        if options.only is None:
            _regroup(ledgers, marks, joined, index, given, report)
        report.skipped += joined.skipped
        report.without_folder |= joined.without_folder
        if not everything:
            joined.store_marks({workflow_id for workflow_id, _ in report.problems})
    return report


def _regroup(
    ledgers: LedgerStore,
    marks: Mapping[Path, FileRead],
    joined: JoinedMessages,
    index: MessageIndex,
    given: Options,
    report: ImportReport,
) -> None:
    """Move sessions to the workflow that is named for them, from those that were made for them by default."""
    if given.workflow_id is None and given.workflow_by == "session":
        return
    beginnings = {id: found for mark in marks.values() for id, found in mark.mark.beginnings.items()}
    beginnings |= joined.beginnings
    if given.workflow_id is not None:  # not those that its files only copied
        alone = {id for mark in marks.values() if len(mark.mark.beginnings) == 1 for id in mark.mark.beginnings}
        beginnings = {id: found for id, found in beginnings.items() if id in alone | joined.own_sessions}
    agent = given.agent if given.workflow_id is not None else None
    for workflow_id, to in regrouped(beginnings, index.workflows_of(beginnings), given).items():
        if not index.ledger(workflow_id)[1].moved:
            take_over(ledgers, workflow_id, to, agent, report)


def _check_agent(agent: str | None) -> None:
    try:
        if agent is not None:
            check_name(agent)
    except ValueError as error:
        raise InvalidEvent("agent", str(error)) from None


def _reading_of(
    kind: str, file: Path, before: FileRead | None, report: ImportReport, everything: bool
) -> FileReading | None:
    """How a file is to be read; None when it is as it was, unless everything is to be read.

    A document is read whole each time, but with the state of its last reading: the calls that it had then.
    """
    stamp = FileStamp.of(file)
    if stamp is None:
        report.skipped.append(Skipped(file, None, "is gone, or is no regular file"))
        return None
    if before is None:
        return FileReading(kind, file, stamp, BEGINNING)
    if before.stamp == stamp and not everything:
        report.in_unchanged_files += before.messages
        report.skipped += before.skipped
        return None
    mark = before.mark
    if everything or not mark.offset or stamp.size < mark.offset or stamp.inode != before.stamp.inode:
        return FileReading(kind, file, stamp, BEGINNING if mark.offset else replace(BEGINNING, state=mark.state))
    skipped = tuple(each for each in before.skipped if each.line is None or each.line <= mark.lines)
    return FileReading(kind, file, stamp, mark, before.messages, skipped)


def _extracts(
    ledgers: LedgerStore, readings: Sequence[FileReading], options: ImportOptions, processes: int
) -> Iterator[tuple[FileReading, Extract]]:
    """Read the files, in their order."""
    size, done = sum(reading.bytes for reading in readings), 0
    with ask_each(_extract, ledgers, readings, processes=processes) as extracts:
        if processes > 1:
            options.book().rates("", None)  # load the price list now, once, and not in each process that appends
        foreign = 0
        for reading, extract in zip(readings, extracts, strict=True):
            if extract.foreign and not extract.skipped:  # a line that cannot be read says more
                foreign += 1
                extract.skipped.append(_foreign(reading, look=foreign <= _FOREIGN_LOOKED_AT))
            yield reading, extract
            done += reading.bytes
            if options.progress is not None:
                options.progress(done, size)


def _foreign(reading: FileReading, *, look: bool) -> Skipped:
    """A file of another tool, and of which one, as far as a look into it shows."""
    found = identified(reading.path) if look else None
    whose = "of no tool that `import` knows" if found is None else f"`import {found}` reads it"
    return Skipped(reading.path, None, f"is not {AGENTS[reading.kind].file}" + (f"; {whose}" if look else ""))


def _extract(ledgers: LedgerStore, reading: FileReading) -> Extract:  # noqa: ARG001
    return transcript(reading.kind).read(reading.path, reading.mark)
