"""Importing what is new in remembered sources before something is read, without waiting for anyone.

What each source looked like when it was read is stored in `sources_read.json` of the data directory. A source that
looks the same costs a `stat` per file and is not opened. The file may be deleted: all is then read again, and nothing
is appended twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ledger.errors import CostledgerError, ImportBusy, SourceUnreadable, readable
from ledger.importing.source_fingerprint import fingerprint, looks
from ledger.importing.source_registry import SourceEntry, SourceRegister
from ledger.sources import TRANSCRIPT_KINDS, transcript
from ledger.sources.formats.jsonl import CUT
from ledger.storage.atomic_files import write_whole
from ledger.storage.directory_store import DirectoryStore

if TYPE_CHECKING:
    from ledger.importing.import_report import ImportReport, Progress
    from ledger.pricing.price_book import PriceBook
    from ledger.sources.findings import Part

__all__ = ["STATE_FILE", "AutoImport", "SourceReading", "default_sources", "import_new"]

STATE_FILE: Final = "sources_read.json"


@dataclass(slots=True)
class AutoImport:
    """What an import of all that is new did.

    Attributes:
        appended: events.
        skipped: by source, how many inputs could not be read, also at earlier imports, and of how many files.
        problems: what could not be imported, each with its location; the rest was.
        blocked: why what is new was not imported, or not all of it; "" when it was.
    """

    appended: int = 0
    skipped: dict[SourceEntry, tuple[int, int]] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    blocked: str = ""


@dataclass(slots=True)
class _Read:
    """A source as it was when it was read.

    Attributes:
        parts: fingerprints by workflow.
        sizes: of the ledgers it went into; a smaller one has lost something, and all is read again.
        skipped: see `AutoImport`.
    """

    looks: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    skipped: tuple[int, int] = (0, 0)


def default_sources() -> list[SourceEntry]:
    """Return the places where the supported agents keep their logs, as far as they exist."""
    return [
        SourceEntry(kind, str(path.absolute()))
        for kind in TRANSCRIPT_KINDS
        for path in transcript(kind).existing_folders()
    ]


def import_new(
    ledgers: DirectoryStore,
    *,
    defaults: Iterable[SourceEntry] = (),
    prices: Callable[[], PriceBook],
    progress: Callable[[SourceEntry], AbstractContextManager[Progress]],
    processes: int = 1,
) -> AutoImport:
    """Append what is new in the sources that the data directory remembers, and remember the default ones, too.

    A source that is gone is passed over: what was read from it stays.

    Args:
        defaults: sources to read although they are not remembered yet.
        prices: called once something is to be priced.
        progress: shows how far a source has been read.
    """
    done, data = AutoImport(), ledgers.path
    register = SourceRegister(data)
    try:
        remembered = register.entries()
    except SourceUnreadable as error:
        done.blocked = str(error)
        return done
    known = {(entry.kind, entry.path) for entry in remembered}
    fresh = [entry for entry in defaults if (entry.kind, entry.path) not in known]
    entries = [entry for entry in dict.fromkeys([*remembered, *fresh]) if os.path.lexists(entry.path)]
    state = _load(data) if entries else {}
    changed = [(entry, now) for entry in entries if (now := _looks_new(ledgers, entry, state.get(entry)))]
    done.skipped = {entry: read.skipped for entry, read in state.items() if entry in entries and read.skipped[0]}
    if changed:
        done.blocked = _problem_of(data)
    for entry, now in [] if done.blocked else changed:
        done.skipped.pop(entry, None)
        try:
            state[entry] = _import(ledgers, entry, now, state.get(entry, _Read()), done, prices, progress, processes)
            if entry in fresh:
                register.add(entry)
        except ImportBusy:
            done.blocked = "another import is running"
            break
        except CostledgerError as error:
            if not (entry in fresh and isinstance(error, SourceUnreadable)):  # its tool was never used
                done.problems.append((entry.kind, str(error)))
    if changed and not done.blocked:
        _store(data, {entry: read for entry, read in state.items() if entry in entries})
    return done


def _looks_new(ledgers: DirectoryStore, entry: SourceEntry, read: _Read | None) -> str:
    """Return what a source looks like when it is to be read; "" when it is as it was, and so are its ledgers."""
    now = looks(entry)
    return "" if read is not None and read.looks == now and not _has_shrunk(ledgers, read) else now


def _has_shrunk(ledgers: DirectoryStore, read: _Read) -> bool:
    """Whether a ledger has lost something since the source was read into it."""
    return any((ledgers.size(name) or 0) < size for name, size in read.sizes.items())


def _import(
    ledgers: DirectoryStore,
    entry: SourceEntry,
    now: str,
    before: _Read,
    done: AutoImport,
    prices: Callable[[], PriceBook],
    progress: Callable[[SourceEntry], AbstractContextManager[Progress]],
    processes: int,
) -> _Read:
    """Import what is new in a source, and return it as it was before that."""
    from ledger.importing.importer import import_entry  # which a command that finds nothing new does not wait for

    shrunk = _has_shrunk(ledgers, before)
    reading = SourceReading(entry, now, {} if shrunk or before.skipped[0] else before.parts)
    with progress(entry) as shown:
        report = import_entry(
            ledgers,
            entry,
            unchanged=reading.is_unchanged,
            prices=prices(),
            progress=shown,
            processes=processes,
            waits=False,
        )
    done.appended += report.appended
    done.problems += [(readable(name), str(problem)) for name, problem in report.problems]
    read = reading.read(ledgers, report, {} if shrunk else before.sizes)
    if read.skipped[0]:
        done.skipped[entry] = read.skipped
    return read


class SourceReading:
    """One reading of a source: what it looked like before, so that it need not be read again as it is."""

    def __init__(self, entry: SourceEntry, now: str | None = None, parts: Mapping[str, str] | None = None) -> None:
        """
        Args:
            now: what it looks like, when the caller knows it.
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
        """Return how the source was read; what had a problem is to be read again."""
        failed = {name for name, _ in report.problems}
        parts = {name: found for name, found in self._parts.items() if name not in failed}
        sizes = {**sizes, **{name: ledgers.size(name) or 0 for name in report.workflows}}
        return _Read("" if failed else self._looks, parts, sizes, _counted(report))

    def store(self, ledgers: DirectoryStore, report: ImportReport) -> None:
        """Remember that the whole source was read."""
        state = _load(ledgers.path)
        before = state.get(self._entry, _Read())
        state[self._entry] = self.read(ledgers, report, before.sizes)
        _store(ledgers.path, state)


def _counted(report: ImportReport) -> tuple[int, int]:
    """How many inputs were skipped, and of how many files; a line whose end is still to be written is none."""
    skipped = [each for each in report.skipped if each.reason != CUT and not each.note]
    return len(skipped), len({each.path for each in skipped})


def _problem_of(data: Path) -> str:
    """Return why nothing is to be written into a data directory; "" when it may be, or is to be made."""
    there = next((folder for folder in (data, *data.absolute().parents) if folder.exists()), data)
    if there == data and data.stat().st_uid != os.geteuid():
        return f"{readable(data)} belongs to another user"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{readable(data)} cannot be written"
    return ""


def _load(data: Path) -> dict[SourceEntry, _Read]:
    """What is stored of each source; nothing where that cannot be read."""
    try:
        told: list[dict[str, Any]] = orjson.loads((data / STATE_FILE).read_bytes())
        return {
            SourceEntry(**one["source"] | {"map": tuple(one["source"]["map"])}): _Read(
                one["looks"], one["parts"], one["sizes"], (one["skipped"][0], one["skipped"][1])
            )
            for one in told
        }
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def _store(data: Path, state: dict[SourceEntry, _Read]) -> None:
    """Store it; where that fails, the next import reads more than it has to."""
    told = [{"source": asdict(entry)} | asdict(read) for entry, read in state.items()]
    with suppress(OSError, TypeError):  # a path need not be text
        write_whole(data / STATE_FILE, orjson.dumps(told))
