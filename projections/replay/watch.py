"""Watch: follow sources into their ledgers, and ledgers into their rows.

One `step` polls everything once. Only ledgers that grew are folded, by whichever process they grew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError
from ledger.importing.importer import SourceEntry
from ledger.importing.source_follower import Look, ReportedProblems, SourceFollower
from ledger.pricing.price_book import PriceBook
from ledger.storage.directory_store import sizes_of
from ledger.storage.store import LedgerStore
from projections.history.store import CostChange, HistoryStore
from projections.replay.refresh import RefreshReport, refresh

__all__ = ["Watch", "WatchReport"]

_WHOLE_SECONDS: Final = 60.0
"""How often every row is compared with its ledger, for changes without a change of size, such as edits by hand."""

_REST_PER_WHOLE: Final = 50
"""That comparison takes at most a fiftieth of the time."""


@dataclass(slots=True)
class WatchReport(Look):
    """The changes that one step found, and the changes of rows.

    Attributes:
        changes: of the cost of rows.
        folded: ids of the workflows whose rows were written again.
    """

    changes: list[CostChange] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.folded or self.changes or self.troubles or self.skipped)


class Watch:
    """A watch that keeps ledgers and rows current with their sources. Not safe between threads."""

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
            sources: see `SourceFollower`.
            clock: seconds, for pauses.
        """
        self._following = SourceFollower(ledgers, sources, prices=prices, clock=clock)
        self._ledgers, self._history, self._clock = ledgers, history, clock
        self._sizes: dict[str, int] = {}
        self._whole_at = float("-inf")
        self._reported = ReportedProblems()

    @property
    def paths(self) -> list[Path]:
        """The paths of the sources of the last step."""
        return self._following.paths

    def step(self) -> WatchReport:
        """Poll everything once, and take in the changes. Failures are in `troubles`; nothing is raised."""
        step = WatchReport()
        self._following.look(step)
        try:
            self._refresh(step)
            self._reported.clear("history")
        except CostledgerError as error:
            step.troubles += self._reported.report("history", str(error))
        return step

    def _refresh(self, step: WatchReport) -> None:
        began = self._clock()
        sizes = sizes_of(self._ledgers)
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
            self._reported.clear(name)
        for problem in report.problems:
            step.troubles += self._reported.report(problem.workflow_id, str(problem.error))
