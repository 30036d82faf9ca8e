"""Following: sources and ledgers are looked at again and again, and rows kept current.

One `step` looks at everything once. What has not changed costs one `stat` per file; of a source that has, only the
workflows whose content differs are read into their ledgers, and only ledgers that grew are folded. The files are the
truth: nothing depends on being told of a change, so a notice that was missed costs time and never a figure.

A source that cannot be read is told once, and the others go on; it is told again when it fails in another way.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable
from ledger.importing import ImportReport, SourceEntry, import_entry
from ledger.pricing import PriceBook
from ledger.sources.findings import Part, Skipped
from ledger.store import LedgerStore
from projections.replay import RefreshReport, refresh
from projections.store import CostChange, HistoryStore

__all__ = ["Step", "Trouble", "Watch"]

_REST_PER_READ: Final = 4
"""A source that took a second to read is left alone for four, however fast it grows."""

_REST_SECONDS_MAX: Final = 30.0
"""The first read of a large source says little about the next ones."""

_RETRY_SECONDS: Final = 5.0
"""How long a source rests whose events could not be appended, a full disk say."""

_WHOLE_SECONDS: Final = 60.0
"""How often every row is compared with its ledger, for what no size shows: a row edited by hand, a ledger mended."""

_REST_PER_WHOLE: Final = 50
"""That comparison takes at most a fiftieth of the time."""

_TOLD_MAX: Final = 1000
"""Skipped lines of one source that are remembered as told."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that cannot be followed as it is."""

    where: str
    problem: str


@dataclass(slots=True)
class Step:
    """What one look found.

    Attributes:
        imported: the sources that were read, each with its report.
        changes: of the cost of rows.
        folded: ids of the workflows whose rows were written anew.
        troubles: what cannot be followed, unless it has been told.
        skipped: what could not be read in the sources, unless it has been told.
        look_seconds: how long the looking took, without what there was to read and fold.
        due_seconds: in how long a source that rests wants to be looked at again; None: none does.
    """

    imported: list[tuple[SourceEntry, ImportReport]] = field(default_factory=list)
    changes: list[CostChange] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    look_seconds: float = 0.0
    due_seconds: float | None = None

    @property
    def changed(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.folded or self.changes or self.troubles or self.skipped)


@dataclass(slots=True)
class _Seen:
    """A source as it was when it was last read."""

    looks: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    rests_until: float = 0.0
    told: set[Skipped] = field(default_factory=set)


class Watch:
    """Sources, their ledgers and the rows of these, kept current. Not for two threads at once."""

    def __init__(
        self,
        ledgers: LedgerStore,
        history: HistoryStore,
        sources: Callable[[], Iterable[SourceEntry]],
        *,
        prices: PriceBook,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            sources: the sources of the moment, asked at every step; when it raises, those of the last one hold.
            clock: seconds, for pauses.
        """
        self._ledgers, self._history, self._sources = ledgers, history, sources
        self._prices, self._clock = prices, clock
        self._entries: list[SourceEntry] = []
        self._seen: dict[SourceEntry, _Seen] = {}
        self._sizes: dict[str, int | None] = {}
        self._whole_at = float("-inf")
        self._told: dict[str, str] = {}

    @property
    def paths(self) -> list[Path]:
        """Where the sources of the last step lie."""
        return [Path(entry.path) for entry in self._entries]

    def step(self) -> Step:
        """Look at everything once, and take in what changed. Whatever fails is in `troubles`; nothing is raised."""
        step = Step()
        try:
            self._entries = list(dict.fromkeys(self._sources()))
            self._told.pop("sources", None)
        except CostledgerError as error:
            self._tell(step, "sources", str(error))
        for entry in self._entries:
            self._look_at(entry, step)
        try:
            self._refresh(step)
            self._told.pop("history", None)
        except CostledgerError as error:
            self._tell(step, "history", str(error))
        return step

    def _look_at(self, entry: SourceEntry, step: Step) -> None:
        seen, began = self._seen.setdefault(entry, _Seen()), self._clock()
        if (rest := seen.rests_until - began) > 0:
            step.due_seconds = min(rest, step.due_seconds or rest)
            return
        looks = _looks(Path(entry.path))
        step.look_seconds += self._clock() - began
        if looks != seen.looks:
            began = self._clock()
            seen.looks = looks if self._read(entry, seen, step) else None
            rest = min((self._clock() - began) * _REST_PER_READ, _REST_SECONDS_MAX)
            seen.rests_until = self._clock() + (rest if seen.looks else _RETRY_SECONDS)

    def _read(self, entry: SourceEntry, seen: _Seen, step: Step) -> bool:
        """Import what is new in a source; False when it has to be tried again as it is."""
        where, fresh = f"{entry.kind}:{entry.path}", dict[str, str]()

        def unchanged(part: Part) -> bool:
            fresh[part.workflow_id] = part.fingerprint or f"{part.size_bytes} {part.written_at}"
            return seen.parts.get(part.workflow_id) == fresh[part.workflow_id]

        try:
            report = import_entry(self._ledgers, entry, unchanged=unchanged, prices=self._prices)
        except (SourceUnreadable, InvalidInput) as error:
            self._tell(step, where, str(error))
            return True
        except Exception as error:
            # Whatever breaks in one source must not stop the others.
            self._tell(step, where, f"{type(error).__name__}: {error}; this should not happen, please report it")
            return True
        self._told.pop(where, None)
        for workflow_id in report.workflows:
            self._told.pop(f"{where} {workflow_id}", None)
        for workflow_id, problem in report.problems:
            self._tell(step, f"{where} {workflow_id}", str(problem))
            fresh.pop(workflow_id, None)
        seen.parts = fresh
        step.imported.append((entry, report))
        step.skipped += _news(seen, report.skipped)
        return not report.problems

    def _refresh(self, step: Step) -> None:
        began = self._clock()
        sizes = {name: self._ledgers.size(name) for name in self._ledgers.workflow_ids()}
        changed = [name for name in {**self._sizes, **sizes} if self._sizes.get(name) != sizes.get(name)]
        step.look_seconds += self._clock() - began
        if began >= self._whole_at:
            report = refresh(self._ledgers, self._history, reason="watch")
            took = self._clock() - began
            self._whole_at = self._clock() + max(_WHOLE_SECONDS, took * _REST_PER_WHOLE)
        elif changed:
            report = refresh(self._ledgers, self._history, workflow_ids=changed, reason="watch")
        else:
            report = RefreshReport()
        self._sizes = sizes
        step.changes, step.folded = report.changes, report.folded
        for name in report.folded:
            self._told.pop(name, None)
        for problem in report.problems:
            self._tell(step, problem.workflow_id, str(problem.error))

    def _tell(self, step: Step, where: str, problem: str) -> None:
        """A trouble, unless it has been told and nothing has changed since."""
        if self._told.get(where) != problem:
            self._told[where] = problem
            step.troubles.append(Trouble(where, problem))


def _news(seen: _Seen, skipped: Iterable[Skipped]) -> list[Skipped]:
    """What of a source was skipped and has not been told yet."""
    news = [each for each in dict.fromkeys(skipped) if each not in seen.told][: _TOLD_MAX - len(seen.told)]
    seen.told.update(news)
    return news


def _looks(path: Path) -> str:
    """What a path looks like from outside: the sizes and times of all its files; another text when one changes."""
    digest = hashlib.blake2b(digest_size=16)
    for name in _files(path):
        try:
            found = os.stat(name)
        except OSError as error:
            digest.update(f"{name}\0{error.errno}\n".encode("utf-8", "surrogateescape"))
            continue
        told = f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}\n"
        digest.update(told.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(path: Path) -> Iterable[str]:
    yield str(path)
    for where, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            yield f"{where}/{name}"
