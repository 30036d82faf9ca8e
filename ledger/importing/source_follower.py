"""Following sources: they are checked again and again, and what changed is imported.

What has not changed costs one `stat` per file; of a source that has, only the workflows whose content differs are read
into their ledgers. The files decide: nothing depends on being notified of a change, so a missed notification costs time
and never a figure.

A source that cannot be read is reported once, and the others are followed; it is reported again when it fails in
another way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable, readable
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import ImportOptions, SourceEntry, import_entry
from ledger.importing.source_fingerprint import fingerprint
from ledger.importing.source_fingerprint import looks as looks_of
from ledger.pricing.price_book import PriceBook
from ledger.sources.findings import Part, Skipped
from ledger.sources.formats.jsonl import CUT
from ledger.sources.transcript import DATABASE_SUFFIXES
from ledger.storage.store import LedgerStore

__all__ = ["Look", "ReportedProblems", "SourceFollower", "SourceProblem"]

_PAUSE_PER_READ: Final = 4
"""A source that took a second to read is not read for the next four, however fast it grows."""

_PAUSE_SECONDS_MAX: Final = 30.0
"""A limit, since the first read of a large source takes longer than the next ones."""

_RETRY_SECONDS: Final = 5.0
"""The pause of a source whose events could not be appended, for example on a full disk."""

_SKIPPED_REPORTED_MAX: Final = 1000
"""Skipped lines of one source that are reported."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Something that cannot be followed."""

    where: str
    problem: str


class ReportedProblems:
    """Problems that were reported, so that each is reported once."""

    def __init__(self) -> None:
        self._reported: dict[str, str] = {}

    def report(self, where: str, problem: str) -> list[SourceProblem]:
        """Return a problem to report; nothing when it was reported and has not changed."""
        if self._reported.get(where) == problem:
            return []
        self._reported[where] = problem
        return [SourceProblem(where, problem)]

    def clear(self, where: str) -> None:
        """Clear a reported problem, so that a recurrence is reported again."""
        self._reported.pop(where, None)


@dataclass(slots=True)
class Look:
    """The result of one check of the sources.

    Attributes:
        imported: the sources that were read, each with its report.
        troubles: what cannot be followed, unless it was reported.
        skipped: what could not be read in the sources, unless it was reported.
        look_seconds: how long the check took, without reading.
        due_seconds: in how long the pause of a source ends; None: none has one.
    """

    imported: list[tuple[SourceEntry, ImportReport]] = field(default_factory=list)
    troubles: list[SourceProblem] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    look_seconds: float = 0.0
    due_seconds: float | None = None


@dataclass(slots=True)
class _SourceState:
    """A source as it was when it was last read."""

    looks: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    pauses_until: float = 0.0
    reported: set[Skipped] = field(default_factory=set)


class SourceFollower:
    """Sources whose ledgers are updated. Not for two threads at once."""

    def __init__(
        self,
        ledgers: LedgerStore,
        sources: Callable[[], Iterable[SourceEntry]],
        *,
        prices: PriceBook,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            sources: returns the current sources, at every check; when it raises, those of the last check are followed.
            clock: seconds, for pauses.
        """
        self._ledgers, self._sources, self._prices, self._clock = ledgers, sources, prices, clock
        self._entries: list[SourceEntry] = []
        self._states: dict[SourceEntry, _SourceState] = {}
        self._problems = ReportedProblems()
        self.reading: tuple[SourceEntry, float] | None = None

    def slow(self, seconds: float) -> tuple[SourceEntry, float] | None:
        """Return the source that has been read for longer than this, and for how many seconds; None when none is.

        Another thread may call this.
        """
        reading = self.reading
        if reading is None or (took := self._clock() - reading[1]) < seconds:
            return None
        return reading[0], took

    @property
    def paths(self) -> list[Path]:
        """The paths of the sources of the last check; with a SQLite database its `-wal`, which is written first."""
        paths = [Path(entry.path) for entry in self._entries]
        logs = [path.with_name(f"{path.name}-wal") for path in paths if path.name.endswith(DATABASE_SUFFIXES)]
        return [*paths, *logs]

    def look(self, found: Look) -> None:
        """Check every source once, and import what changed. Failures are in `troubles`; nothing is raised."""
        try:
            self._entries = list(dict.fromkeys(self._sources()))
            self._problems.clear("sources")
        except CostledgerError as error:
            found.troubles += self._problems.report("sources", str(error))
        for entry in self._entries:
            self._check(entry, found)

    def _check(self, entry: SourceEntry, found: Look) -> None:
        state, began = self._states.setdefault(entry, _SourceState()), self._clock()
        self.reading = (entry, began)
        try:
            self._import_changes(entry, state, began, found)
        finally:
            self.reading = None

    def _import_changes(self, entry: SourceEntry, state: _SourceState, began: float, found: Look) -> None:
        if (rest := state.pauses_until - began) > 0:
            found.due_seconds = min(rest, found.due_seconds or rest)
            return
        looks = looks_of(entry)
        found.look_seconds += self._clock() - began
        if looks != state.looks:
            began = self._clock()
            state.looks = looks if self._read(entry, state, found) else None
            rest = min((self._clock() - began) * _PAUSE_PER_READ, _PAUSE_SECONDS_MAX)
            state.pauses_until = self._clock() + (rest if state.looks else _RETRY_SECONDS)

    def _read(self, entry: SourceEntry, state: _SourceState, found: Look) -> bool:
        """Import what is new in a source; False when it is to be read again although it has not changed."""
        where, fresh = f"{entry.kind}:{readable(entry.path)}", dict[str, str]()

        def unchanged(part: Part) -> bool:
            """Compare the fingerprint of a part with the last one."""
            if (found := fingerprint(part)) is None:
                return False
            fresh[part.workflow_id] = found
            return state.parts.get(part.workflow_id) == found

        try:
            report = import_entry(self._ledgers, entry, ImportOptions(unchanged=unchanged, prices=self._prices))
        except SourceUnreadable as error:
            its_own = error.path == Path(entry.path)  # `where` has it already
            found.troubles += self._problems.report(where, error.problem if its_own else str(error))
            return True
        except InvalidInput as error:
            found.troubles += self._problems.report(where, str(error))
            return True
        except Exception as error:
            # A defect in one source must not stop the others.
            problem = f"{type(error).__name__}: {error}; this should not happen, please report it"
            found.troubles += self._problems.report(where, problem)
            return True
        self._problems.clear(where)
        for workflow_id in report.workflows:
            self._problems.clear(f"{where} {workflow_id}")
        for workflow_id, problem_met in report.problems:
            found.troubles += self._problems.report(f"{where} {workflow_id}", str(problem_met))
            fresh.pop(workflow_id, None)
        state.parts = fresh
        found.imported.append((entry, report))
        found.skipped += _unreported(
            state, (each for each in report.skipped if each.reason != CUT)
        )  # a line that is still being written
        return not report.problems


def _unreported(state: _SourceState, skipped: Iterable[Skipped]) -> list[Skipped]:
    """What of a source was skipped and was not reported yet."""
    fresh = [each for each in dict.fromkeys(skipped) if each not in state.reported]
    fresh = fresh[: _SKIPPED_REPORTED_MAX - len(state.reported)]
    state.reported.update(fresh)
    return fresh
