"""Following sources: they are looked at again and again, and what changed is imported.

What has not changed costs one `stat` per file; of a source that has, only the workflows whose content differs are read
into their ledgers. The files are the truth: nothing depends on being told of a change, so a missed notice costs
time and never a figure.

A source that cannot be read is told once, and the others go on; it is told again when it fails in another way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable, readable
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import SourceEntry, import_entry
from ledger.importing.source_fingerprint import fingerprint
from ledger.importing.source_fingerprint import looks as looks_of
from ledger.pricing.price_book import PriceBook
from ledger.sources.findings import Part, Skipped
from ledger.sources.formats.jsonl import CUT
from ledger.storage.store import LedgerStore

__all__ = ["Look", "ReportedProblems", "SourceFollower", "SourceProblem"]

_REST_PER_READ: Final = 4
"""A source that took a second to read is left alone for four, however fast it grows."""

_REST_SECONDS_MAX: Final = 30.0
"""The first read of a large source says little about the next ones."""

_RETRY_SECONDS: Final = 5.0
"""How long a source rests whose events could not be appended, a full disk say."""

_SKIPPED_TOLD_MAX: Final = 1000
"""Skipped lines of one source that are remembered as told."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Something that cannot be followed as it is."""

    where: str
    problem: str


class ReportedProblems:
    """The troubles that have been told, so that each is told once."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def news(self, where: str, problem: str) -> list[SourceProblem]:
        """A trouble, unless it has been told and nothing has changed since."""
        if self._told.get(where) == problem:
            return []
        self._told[where] = problem
        return [SourceProblem(where, problem)]

    def over(self, where: str) -> None:
        """What was wrong there is so no more; if it comes again, it is told again."""
        self._told.pop(where, None)


@dataclass(slots=True)
class Look:
    """What one look found.

    Attributes:
        imported: the sources that were read, each with its report.
        troubles: what cannot be followed, unless it has been told.
        skipped: what could not be read in the sources, unless it has been told.
        look_seconds: how long the looking took, without what there was to read.
        due_seconds: in how long a source that rests wants to be looked at again; None: none does.
    """

    imported: list[tuple[SourceEntry, ImportReport]] = field(default_factory=list)
    troubles: list[SourceProblem] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    look_seconds: float = 0.0
    due_seconds: float | None = None


@dataclass(slots=True)
class _Seen:
    """A source as it was when it was last read."""

    looks: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    rests_until: float = 0.0
    told: set[Skipped] = field(default_factory=set)


class SourceFollower:
    """Sources whose ledgers are kept current. Not for two threads at once."""

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
            sources: the sources of the moment, asked at every look; when it raises, those of the last one hold.
            clock: seconds, for pauses.
        """
        self._ledgers, self._sources, self._prices, self._clock = ledgers, sources, prices, clock
        self._entries: list[SourceEntry] = []
        self._seen: dict[SourceEntry, _Seen] = {}
        self._told = ReportedProblems()
        self.reading: tuple[SourceEntry, float] | None = None

    def slow(self, seconds: float) -> tuple[SourceEntry, float] | None:
        """Return the source that has been read for longer than this, and for how many seconds; None when none is.

        Another thread may ask.
        """
        reading = self.reading
        if reading is None or (took := self._clock() - reading[1]) < seconds:
            return None
        return reading[0], took

    @property
    def paths(self) -> list[Path]:
        """Where the sources of the last look lie."""
        return [Path(entry.path) for entry in self._entries]

    def look(self, found: Look) -> None:
        """Look at every source once, and import what changed. Whatever fails is in `troubles`; nothing is raised."""
        try:
            self._entries = list(dict.fromkeys(self._sources()))
            self._told.over("sources")
        except CostledgerError as error:
            found.troubles += self._told.news("sources", str(error))
        for entry in self._entries:
            self._look_at(entry, found)

    def _look_at(self, entry: SourceEntry, found: Look) -> None:
        seen, began = self._seen.setdefault(entry, _Seen()), self._clock()
        self.reading = (entry, began)
        try:
            self._look_closer(entry, seen, began, found)
        finally:
            self.reading = None

    def _look_closer(self, entry: SourceEntry, seen: _Seen, began: float, found: Look) -> None:
        if (rest := seen.rests_until - began) > 0:
            found.due_seconds = min(rest, found.due_seconds or rest)
            return
        looks = looks_of(entry)
        found.look_seconds += self._clock() - began
        if looks != seen.looks:
            began = self._clock()
            seen.looks = looks if self._read(entry, seen, found) else None
            rest = min((self._clock() - began) * _REST_PER_READ, _REST_SECONDS_MAX)
            seen.rests_until = self._clock() + (rest if seen.looks else _RETRY_SECONDS)

    def _read(self, entry: SourceEntry, seen: _Seen, found: Look) -> bool:
        """Import what is new in a source; False when it has to be tried again as it is."""
        where, fresh = f"{entry.kind}:{readable(entry.path)}", dict[str, str]()

        def unchanged(part: Part) -> bool:
            if (found := fingerprint(part)) is None:
                return False
            fresh[part.workflow_id] = found
            return seen.parts.get(part.workflow_id) == found

        try:
            report = import_entry(self._ledgers, entry, unchanged=unchanged, prices=self._prices)
        except SourceUnreadable as error:
            its_own = error.path == Path(entry.path)  # `where` names it already
            found.troubles += self._told.news(where, error.problem if its_own else str(error))
            return True
        except InvalidInput as error:
            found.troubles += self._told.news(where, str(error))
            return True
        except Exception as error:
            # Whatever breaks in one source must not stop the others.
            problem = f"{type(error).__name__}: {error}; this should not happen, please report it"
            found.troubles += self._told.news(where, problem)
            return True
        self._told.over(where)
        for workflow_id in report.workflows:
            self._told.over(f"{where} {workflow_id}")
        for workflow_id, problem_met in report.problems:
            found.troubles += self._told.news(f"{where} {workflow_id}", str(problem_met))
            fresh.pop(workflow_id, None)
        seen.parts = fresh
        found.imported.append((entry, report))
        found.skipped += _news(seen, (each for each in report.skipped if each.reason != CUT))  # its end is to come
        return not report.problems


def _news(seen: _Seen, skipped: Iterable[Skipped]) -> list[Skipped]:
    """What of a source was skipped and has not been told yet."""
    fresh = [each for each in dict.fromkeys(skipped) if each not in seen.told]
    news = fresh[: _SKIPPED_TOLD_MAX - len(seen.told)]
    seen.told.update(news)
    return news
