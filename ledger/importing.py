"""Importing: read a source, append what is new, and remember what was read so that it can be read again."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ledger import clock as clocks
from ledger.clock import Clock
from ledger.errors import (
    CostledgerError,
    InvalidInput,
    LedgerMoved,
    SourceUnreadable,
    UnknownWorkflow,
)
from ledger.events import END_TYPES, check_workflow_id
from ledger.planning import Known, Plan, known, plan
from ledger.pricing import GenaiPrices, PriceBook
from ledger.sources import MAPPED_KINDS, source
from ledger.sources.findings import Findings, Options, Part, Skipped
from ledger.store import LedgerStore

if TYPE_CHECKING:
    from ledger.config import Config

__all__ = [
    "ImportReport",
    "SourceEntry",
    "SourceRegister",
    "WorkflowCounts",
    "configured",
    "import_entry",
    "import_parts",
    "import_source",
    "reread",
]

Progress = Callable[[int, int], None]
"""`(bytes done, bytes in all)`."""

_ATTEMPTS_MAX: Final = 50
"""How often a plan is made anew because somebody else appended meanwhile."""


@dataclass(slots=True)
class WorkflowCounts:
    """Events of one workflow."""

    appended: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        problems: workflows that could not be imported, each with its error; the others were.
    """

    workflows: dict[str, WorkflowCounts] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    problems: list[tuple[str, CostledgerError]] = field(default_factory=list)

    @property
    def appended(self) -> int:
        return sum(counts.appended for counts in self.workflows.values())

    @property
    def unchanged(self) -> int:
        return sum(counts.unchanged for counts in self.workflows.values())

    def merge(self, other: ImportReport) -> None:
        """Add another import's report to this one."""
        for workflow_id, counts in other.workflows.items():
            mine = self.workflows.setdefault(workflow_id, WorkflowCounts())
            mine.appended += counts.appended
            mine.unchanged += counts.unchanged
        self.skipped += other.skipped
        self.problems += other.problems


def import_source(
    store: LedgerStore,
    kind: str,
    path: Path,
    *,
    workflow_id: str | None = None,
    agent: str | None = None,
    map: Sequence[str] = (),
    status: str | None = None,
    only: Container[str] | None = None,
    unchanged: Callable[[Part], bool] | None = None,
    prices: PriceBook | None = None,
    clock: Clock = clocks.now,
    progress: Progress | None = None,
) -> ImportReport:
    """Append what a source holds and its ledgers do not; once more changes nothing.

    Args:
        kind: one of `sources.KINDS`.
        workflow_id, agent: what the files do not say.
        map: see `Options`.
        status: the end of every workflow of this source, when the caller knows it.
        only: the workflows to read; None for all.
        unchanged: whether a part need not be read, because the caller read it as it is before.

    Raises:
        SourceUnreadable: the path is missing, or not this kind's.
        InvalidInput: an option is missing or makes no sense; nothing was appended.
    """
    if status is not None and f"workflow_{status}" not in END_TYPES:
        raise InvalidInput(f"{status!r} is not an end; use completed, failed or cancelled")
    if map and kind not in MAPPED_KINDS:
        raise InvalidInput(f"a map is for {' and '.join(MAPPED_KINDS)}; {kind!r} knows its columns")
    return import_parts(
        store,
        source(kind).parts(path, Options(workflow_id, agent, tuple(map))),
        status=status,
        only=only,
        unchanged=unchanged,
        prices=prices,
        clock=clock,
        progress=progress,
    )


def import_parts(
    store: LedgerStore,
    parts: Sequence[Part],
    *,
    status: str | None = None,
    only: Container[str] | None = None,
    unchanged: Callable[[Part], bool] | None = None,
    prices: PriceBook | None = None,
    clock: Clock = clocks.now,
    progress: Progress | None = None,
) -> ImportReport:
    """Append what parts hold and their ledgers do not; see `import_source`, which is this for a path."""
    book = prices or GenaiPrices()
    size, done = sum(part.size_bytes for part in parts), 0
    report = ImportReport()
    for part in parts:
        if (only is None or part.workflow_id in only) and not (unchanged and unchanged(part)):
            try:
                check_workflow_id(part.workflow_id)
                findings = part.read()
                report.skipped += findings.skipped
                made = _append(store, part.workflow_id, findings, book, clock, status)
                counts = report.workflows.setdefault(part.workflow_id, WorkflowCounts())
                counts.appended += len(made.events)
                counts.unchanged += made.unchanged
                report.skipped += made.skipped
            except CostledgerError as error:
                report.problems.append((part.workflow_id, error))
        done += part.size_bytes
        if progress is not None:
            progress(done, size)
    return report


def _append(
    store: LedgerStore, workflow_id: str, findings: Findings, book: PriceBook, clock: Clock, status: str | None
) -> Plan:
    """Plan against the ledger as it is, and again when it has moved."""
    for attempt in range(_ATTEMPTS_MAX):
        ledger = _known(store, workflow_id)
        made = plan(workflow_id, findings, ledger, book, clock(), status)
        try:
            if not ledger.seq and not made.events:
                store.open(workflow_id)  # so that a workflow whose logs are still empty is seen
            store.append(made.events, expected_seq=ledger.seq)
        except LedgerMoved:
            if attempt + 1 == _ATTEMPTS_MAX:
                raise
        else:
            return made
    raise AssertionError("unreachable: the last attempt returns or raises")


def _known(store: LedgerStore, workflow_id: str) -> Known:
    try:
        return known(store.read(workflow_id))
    except UnknownWorkflow:
        return Known()


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A source that was imported: enough to read it again."""

    kind: str
    path: str
    workflow_id: str | None = None
    agent: str | None = None
    map: tuple[str, ...] = ()


class SourceRegister:
    """The sources that were imported into a data directory, in `sources.jsonl` there.

    They are not in the ledgers: a source speaks of many workflows, and where a file lay is no fact about any of them.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self.path = data / "sources.jsonl"

    def entries(self) -> list[SourceEntry]:
        """In the order they were first imported.

        Raises:
            SourceUnreadable: the register cannot be read.
        """
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SourceUnreadable(self.path, f"cannot be read: {error.strerror or error}") from error
        try:
            return [_entry(orjson.loads(line)) for line in lines if line.strip()]
        except (orjson.JSONDecodeError, TypeError) as error:
            raise SourceUnreadable(self.path, f"is not a register of sources ({error}); move it away") from error

    def add(
        self,
        kind: str,
        path: Path,
        *,
        workflow_id: str | None = None,
        agent: str | None = None,
        map: Sequence[str] = (),
    ) -> None:
        """Remember a source; one that is known is not added again.

        Raises:
            SourceUnreadable: the register cannot be read or written.
        """
        entry = SourceEntry(kind, str(path.absolute()), workflow_id, agent, tuple(map))
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            with self._locked():
                entries = self.entries()
                if entry not in entries:
                    self._write([*entries, entry])
        except OSError as error:
            raise SourceUnreadable(self.path, f"cannot be written: {error.strerror or error}") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        folder = os.open(self._data, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
            os.fsync(folder)
        finally:
            os.close(folder)

    def _write(self, entries: list[SourceEntry]) -> None:
        new = self.path.with_name(f"{self.path.name}.new")
        with new.open("wb") as file:
            for entry in entries:
                told = {name: value for name, value in asdict(entry).items() if value}
                file.write(orjson.dumps(told) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)


def configured(config: Config) -> list[SourceEntry]:
    """The sources that a configuration names, but for those that leave it to their kind where to look."""
    return [
        SourceEntry(named.kind, str(named.path.absolute()), named.workflow_id, named.agent, named.map)
        for named in config.sources
        if named.path is not None
    ]


def _entry(told: dict[str, Any]) -> SourceEntry:
    return SourceEntry(**told | {"map": tuple(told.get("map", ()))})


def import_entry(
    store: LedgerStore,
    entry: SourceEntry,
    *,
    status: str | None = None,
    only: Container[str] | None = None,
    unchanged: Callable[[Part], bool] | None = None,
    prices: PriceBook | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a source as it was imported before; see `import_source`."""
    return import_source(
        store,
        entry.kind,
        Path(entry.path),
        workflow_id=entry.workflow_id,
        agent=entry.agent,
        map=entry.map,
        status=status,
        only=only,
        unchanged=unchanged,
        prices=prices,
        progress=progress,
    )


def reread(
    store: LedgerStore,
    register: SourceRegister,
    *,
    only: Container[str] | None = None,
    prices: PriceBook | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import every remembered source again; one that is gone takes nothing away and is reported as skipped.

    Raises:
        SourceUnreadable: the register itself cannot be read.
    """
    report = ImportReport()
    for entry in register.entries():
        if only is not None and entry.workflow_id is not None and entry.workflow_id not in only:
            continue
        try:
            report.merge(import_entry(store, entry, only=only, prices=prices, progress=progress))
        except (SourceUnreadable, InvalidInput) as error:
            report.skipped.append(Skipped(Path(entry.path), None, f"{error}; what was read from it stays"))
    return report
