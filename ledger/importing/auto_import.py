"""Importing what is new in registered sources before a command reads, without waiting for another import.

A fingerprint of each source when it was read is stored in `sources_read.json` of the data directory. A source with the
same fingerprint costs a `stat` per file and is not opened. The file may be deleted: all is then read again, and nothing
is appended twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ledger.errors import CostledgerError, ImportBusy, NoLogs, SourceUnreadable, readable
from ledger.importing.source_fingerprint import fingerprint, looks
from ledger.importing.source_registry import SourceEntry, SourceRegister
from ledger.sources import TRANSCRIPT_KINDS
from ledger.sources.agent_places import agent_folders
from ledger.sources.formats.folders import may_exist
from ledger.sources.formats.jsonl import CUT
from ledger.storage.atomic_files import write_whole
from ledger.storage.directory_store import DirectoryStore

if TYPE_CHECKING:
    from ledger.importing.import_report import ImportReport, Progress
    from ledger.pricing.price_book import PriceBook
    from ledger.sources.findings import Part

__all__ = [
    "CUT_AFTER",
    "STATE_FILE",
    "AutoImport",
    "SourceReading",
    "default_sources",
    "import_new",
    "not_registered",
    "skipped_inputs",
]

STATE_FILE: Final = "sources_read.json"

CUT_AFTER: Final = timedelta(hours=1)
"""A file whose last line has no end is being written, unless it was not written to for so long."""


@dataclass(slots=True)
class AutoImport:
    """What an import of all that is new did.

    Attributes:
        appended: events.
        read: the sources that were read.
        skipped: by source, how many inputs could not be read, also at earlier imports, and of how many files.
        cut: by source, the files whose last line has no end and that were not written to for `CUT_AFTER`.
        problems: what could not be imported, each with its location; the rest was.
        blocked: why what is new was not imported, or not all of it; "" when it was.
        unwritable: it was blocked since nothing can be written into the data directory.
    """

    appended: int = 0
    read: list[SourceEntry] = field(default_factory=list)
    skipped: dict[SourceEntry, tuple[int, int]] = field(default_factory=dict)
    cut: dict[SourceEntry, list[str]] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    blocked: str = ""
    unwritable: bool = False


@dataclass(slots=True)
class _Read:
    """A source as it was when it was read.

    Attributes:
        parts: fingerprints by workflow.
        sizes: of the ledgers it went into; a smaller one has lost something, and all is read again.
        skipped: see `AutoImport`.
        cut: files whose last line had no end.
    """

    looks: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    skipped: tuple[int, int] = (0, 0)
    cut: list[str] = field(default_factory=list)


def default_sources() -> list[SourceEntry]:
    """Return the default folders of the supported agents' logs that exist here."""
    return [
        SourceEntry(kind, str(path.absolute()))
        for kind in TRANSCRIPT_KINDS
        for path in agent_folders(kind, existing=True)
    ]


def import_new(
    ledgers: DirectoryStore,
    *,
    defaults: Iterable[SourceEntry] = (),
    prices: Callable[[], PriceBook],
    progress: Callable[[SourceEntry], AbstractContextManager[Progress]],
    processes: int = 1,
) -> AutoImport:
    """Append what is new in the sources of the data directory's register, and register the default ones, too.

    A source that is gone is ignored: what was read from it stays.

    Args:
        defaults: sources to read although they are not registered yet.
        prices: called once something is to be priced.
        progress: shows how far a source has been read.
    """
    run = _Run(ledgers, prices, progress, processes)
    try:
        registered = (register := SourceRegister(ledgers.path)).entries()
        fresh = not_registered(defaults, registered, register.forgotten())
    except SourceUnreadable as error:
        run.done.blocked = str(error)
        return run.done
    entries = [entry for entry in dict.fromkeys([*registered, *fresh]) if may_exist(Path(entry.path))]
    state = {entry: read for entry, read in _load(ledgers.path).items() if entry in entries} if entries else {}
    run.done.skipped = {entry: read.skipped for entry, read in state.items() if read.skipped[0]}
    changed = [(entry, now) for entry in entries if (now := _changed(ledgers, entry, state.get(entry)))]
    if changed:
        problem = _problem_of(ledgers.path)
        run.done.unwritable = problem != ""
        run.done.blocked = problem or run.read_all(changed, state, register, fresh)
        if not run.done.blocked:
            _store(ledgers.path, state)
    before = time.time() - CUT_AFTER.total_seconds()
    cut = {entry: [name for name in read.cut if _was_written(name, before)] for entry, read in state.items()}
    run.done.cut = {entry: names for entry, names in cut.items() if names}
    return run.done


def _was_written(name: str, before: float) -> bool:
    """Whether a file was last written to before a time, in seconds since 1970."""
    try:
        return os.stat(name).st_mtime < before
    except OSError:
        return False  # it is gone


def not_registered(
    defaults: Iterable[SourceEntry], registered: Iterable[SourceEntry], forgotten: Iterable[tuple[str, str]]
) -> list[SourceEntry]:
    """Return the default sources that are neither registered, however they were imported, nor forgotten."""
    paths = {*forgotten, *((entry.kind, entry.path) for entry in registered)}
    return [entry for entry in defaults if (entry.kind, entry.path) not in paths]


def _changed(ledgers: DirectoryStore, entry: SourceEntry, read: _Read | None) -> str:
    """Return the fingerprint of a source that is to be read; "" when it is as it was, and so are its ledgers."""
    now = looks(entry)
    return "" if read is not None and read.looks == now and not _has_shrunk(ledgers, read) else now


def _has_shrunk(ledgers: DirectoryStore, read: _Read) -> bool:
    """Whether a ledger has lost something since the source was read into it."""
    return any((ledgers.size(name) or 0) < size for name, size in read.sizes.items())


@dataclass(slots=True)
class _Run:
    """One import of all that is new."""

    ledgers: DirectoryStore
    prices: Callable[[], PriceBook]
    progress: Callable[[SourceEntry], AbstractContextManager[Progress]]
    processes: int
    done: AutoImport = field(default_factory=AutoImport)

    def read_all(
        self,
        changed: Iterable[tuple[SourceEntry, str]],
        state: dict[SourceEntry, _Read],
        register: SourceRegister,
        fresh: Container[SourceEntry],
    ) -> str:
        """Import the sources that changed, and register fresh ones; return what blocks the import, or ""."""
        for entry, now in changed:
            try:
                state[entry] = self.read(entry, now, state.get(entry, _Read()))
                if entry in fresh:
                    register.add(entry)
            except ImportBusy:
                return "another import is running"
            except CostledgerError as error:
                if entry in fresh and isinstance(error, NoLogs):
                    state[entry] = _Read(now)  # its tool was never used
                else:
                    self.done.problems.append((entry.kind, str(error)))
        return ""

    def read(self, entry: SourceEntry, now: str, before: _Read) -> _Read:
        """Import what is new in a source, and return how it was read.

        Args:
            now: the fingerprint of the source.
        """
        from ledger.importing.importer import ImportOptions, import_entry  # here: often, nothing is new

        self.done.skipped.pop(entry, None)
        shrunk = _has_shrunk(self.ledgers, before)
        reading = SourceReading(entry, now, {} if shrunk or before.skipped[0] else before.parts)
        with self.progress(entry) as shown:
            options = ImportOptions(
                unchanged=reading.is_unchanged,
                prices=self.prices(),
                progress=shown,
                processes=self.processes,
                waits=False,
            )
            report = import_entry(self.ledgers, entry, options)
        self.done.appended += report.appended
        self.done.read.append(entry)
        self.done.problems += [(readable(name), str(problem)) for name, problem in report.problems]
        read = reading.read(self.ledgers, report, {} if shrunk else before.sizes)
        if read.skipped[0]:
            self.done.skipped[entry] = read.skipped
        return read


class SourceReading:
    """One reading of a source: its fingerprints before, so that what has not changed is not read again."""

    def __init__(self, entry: SourceEntry, now: str | None = None, parts: Mapping[str, str] | None = None) -> None:
        """
        Args:
            now: its fingerprint, when the caller has it.
            parts: the fingerprints of the parts that need not be read, by workflow.
        """
        self._entry, self._looks = entry, looks(entry) if now is None else now
        self._before, self._parts = parts or {}, dict[str, str]()

    def is_unchanged(self, part: Part) -> bool:
        """Return whether a part need not be read, and note it."""
        if (found := fingerprint(part)) is None:
            return False
        self._parts[part.workflow_id] = found
        return self._before.get(part.workflow_id) == found

    def read(self, ledgers: DirectoryStore, report: ImportReport, sizes: Mapping[str, int]) -> _Read:
        """Return how the source was read; parts with a problem are to be read again."""
        failed = {name for name, _ in report.problems}
        parts = {name: found for name, found in self._parts.items() if name not in failed}
        sizes = {**sizes, **{name: ledgers.size(name) or 0 for name in report.workflows}}
        cut = sorted({str(each.path) for each in report.skipped if each.reason == CUT})
        return _Read("" if failed else self._looks, parts, sizes, _counted(report), cut)

    def store(self, ledgers: DirectoryStore, report: ImportReport) -> None:
        """Store that the whole source was read."""
        state = _load(ledgers.path)
        before = state.get(self._entry, _Read())
        state[self._entry] = self.read(ledgers, report, before.sizes)
        _store(ledgers.path, state)


def _counted(report: ImportReport) -> tuple[int, int]:
    """How many inputs were skipped, and in how many files; a last line without an end is none, see `AutoImport.cut`."""
    skipped = [each for each in report.skipped if each.reason != CUT and not each.note]
    return len(skipped), len({each.path for each in skipped})


def skipped_inputs(data: Path) -> dict[SourceEntry, tuple[int, int]]:
    """Return by source how many inputs could not be read when it was read, and in how many files."""
    return {entry: read.skipped for entry, read in _load(data).items() if read.skipped[0]}


def _problem_of(data: Path) -> str:
    """Return why nothing can be written into a data directory; "" when it can, or can be created."""
    existing = next((folder for folder in (data, *data.absolute().parents) if folder.exists()), data)
    if existing == data and data.stat().st_uid != os.geteuid():
        return f"{readable(data)} belongs to another user"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"{readable(existing)} cannot be written"
    return ""


def _load(data: Path) -> dict[SourceEntry, _Read]:
    """How each source was read; nothing where that cannot be read."""
    try:
        stored: list[dict[str, Any]] = orjson.loads((data / STATE_FILE).read_bytes())
        return {
            SourceEntry(**one["source"] | {"map": tuple(one["source"]["map"])}): _Read(
                one["looks"], one["parts"], one["sizes"], (one["skipped"][0], one["skipped"][1]), one.get("cut", [])
            )
            for one in stored
        }
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def _store(data: Path, state: dict[SourceEntry, _Read]) -> None:
    """Store it; where that fails, the next import reads more than it has to."""
    stored = [{"source": asdict(entry)} | asdict(read) for entry, read in state.items()]
    with suppress(OSError, TypeError):  # a path need not be text
        write_whole(data / STATE_FILE, orjson.dumps(stored))
