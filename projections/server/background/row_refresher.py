"""The row refresher: a thread that refreshes rows as soon as their ledgers grow, and publishes what changed.

The file system only wakes it; the ledgers decide what is new. From time to time it looks at all of them, so a missed
notification delays a row by seconds and never changes a figure.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import (
    CostledgerError,
    HistoryReplaced,
    HistoryUnavailable,
    HistoryUnwritable,
    InvalidWorkflowId,
    LedgerUnavailable,
    UnknownWorkflow,
)
from ledger.importing.importer import ImportOptions, reread
from ledger.storage.store import LEDGER_SUFFIX
from projections.history.store import HistoryStore
from projections.replay.file_watcher import FileWatcher
from projections.replay.refresh import (
    ENDED,
    LedgerProblem,
    RefreshReport,
    looked_at,
    refresh,
)
from projections.server.background.change_feed import RowChange
from projections.server.background.damaged_ledgers import DamagedLedgers
from projections.server.background.worker import Worker
from projections.server.service.service import Service

__all__ = ["RefreshState", "RowRefresher"]

_log = logging.getLogger("costledger")

_ALL_SECONDS: Final = 10.0
"""How often every ledger is looked at: one `stat` each."""

_SHARED_SECONDS: Final = 1.0
"""How often changes of rows that projectors write are looked up: one query of an index."""

_LATE_LOOKS: Final = 6
"""A refresher that missed so many looks is stuck, or waits for a history that does not answer."""

_CHANGES_MAX: Final = 1_000
_DAMAGED_MAX: Final = 50
"""Damaged ledgers that are replayed whole at each look at all ledgers."""

_STEP_MS: Final = 5
_DEBOUNCE_MS: Final = 20
"""How long notifications are gathered: a row is to follow its ledger within 50 ms."""


@dataclass(slots=True)
class RefreshState:
    """The state of the row refresher.

    Attributes:
        refreshed_at: when it last looked at all ledgers, or at rows that projectors write, in seconds since 1970; 0.0
            before the first look.
        lag_seconds: from the last notification to its rows.
        problems: ledgers that could not be replayed, by workflow.
        error: why the last look failed altogether; None when it did not.
    """

    refreshed_at: float = 0.0
    lag_seconds: float = 0.0
    error: Exception | None = None
    problems: dict[str, LedgerProblem] = field(default_factory=dict)


class RowRefresher(Worker):
    """The threads that keep the rows of a service current.

    Args:
        publish: called with the changes of rows, in one of these threads; with none when a workflow that ended is no
            longer in `unsettled`.

    Attributes:
        unsettled: workflows that have ended, and whose sources are being read once more.
        shared: whether projectors write the rows, as of the last look.
    """

    def __init__(self, service: Service, publish: Callable[[Sequence[RowChange]], None]) -> None:
        super().__init__("row refresher")
        self._service, self._publish = service, publish
        self._woken: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
        self.state = RefreshState()
        self.last_change = 0
        self._every_seconds, self.shared = _ALL_SECONDS, False
        self._running: set[str] = set()
        self._replaced = self._suspect = False
        service.when_replaced = lambda: self.wake("")  # the name of no ledger
        self.unsettled: set[str] = set()
        self._damaged = DamagedLedgers(service.settings.data)
        self._watcher = _LedgerWatcher(service.settings.data / "ledgers", self.wake)

    def start(self) -> None:
        """Bring every row up to date, then go on in the background.

        Raises:
            HistoryUnavailable, LedgerUnavailable: they cannot be used.
        """
        (self._service.settings.data / "ledgers").mkdir(parents=True, exist_ok=True)
        history = self._service.history
        self._refresh(history, None)
        while changes := history.changes_after(self.last_change, _CHANGES_MAX):
            self.last_change = changes[-1][0]
        history.compact()
        self._running = {adw_id for adw_id, shown in history.stored().items() if shown.status not in ENDED}
        super().start()
        self._watcher.start()

    def stop(self) -> None:
        """Stop the threads; rows that are not current yet are refreshed at the next start."""
        self._watcher.stop()
        self._stopped.set()
        self._woken.put(None)
        super().stop()

    def wake(self, workflow_id: str) -> None:
        """Refresh the row of a ledger that may have grown."""
        self._woken.put((workflow_id, time.monotonic()))

    def _look(self) -> None:
        due = self.state.refreshed_at + self._every_seconds - time.time()
        names, since = self._awaited(max(0.0, due))
        try:
            some = names if self.state.error is None else set[str]()  # after a failure all are looked at
            history = self._history()
            self._refresh(history, some if some and not self._replaced else None)
            self._service.use(history)
            self._replaced = False
            self._publish_changes(history)
            self.state.error = None
        except CostledgerError as error:
            _log.error("rows could not be refreshed: %s", error)
            self._fail(error)
            if isinstance(error, HistoryUnavailable) and not isinstance(error, HistoryUnwritable):
                self.check_history(error)
        except Exception as error:
            _log.exception("rows could not be refreshed")
            self._fail(error)
        if since:
            self.state.lag_seconds = time.monotonic() - since

    def _history(self) -> HistoryStore:
        """Return the history; one that replaced another file, or was damaged, must be replayed whole first."""
        try:
            history = self._service.history
            suspect, self._suspect = history.was_cut or self._suspect, False
            if not suspect or history.is_whole():
                return history
            problem = HistoryReplaced()
        except HistoryReplaced as error:
            problem = error
        _log.warning("%s", problem)
        self._replaced, self.last_change = True, 0
        return self._service.reopen(recover=True)

    def check_history(self, error: HistoryUnavailable) -> None:
        """Check whether the history is damaged, after a query failed; the rows are not ready until that is known."""
        self._suspect, self.state.error = True, error
        self.wake("")

    def _fail(self, error: Exception) -> None:
        self.state.error = error
        self._stopped.wait(1.0)

    @property
    def ready(self) -> bool:
        """Whether the last look succeeded, is recent, and was at the history that is there now."""
        on_time = time.time() - self.state.refreshed_at < _LATE_LOOKS * self._every_seconds
        return self.state.error is None and not self._replaced and on_time and self._service.history_in_use

    def _awaited(self, seconds: float) -> tuple[set[str], float]:
        """Wait for wake-ups; return their workflows and the time of the first one, or none when all ledgers are due."""
        names: set[str] = set()
        since = 0.0
        try:
            woken = self._woken.get(timeout=seconds)
            while woken is not None:
                names.add(woken[0])
                since = since or woken[1]
                woken = self._woken.get_nowait()
        except queue.Empty:
            pass
        return names, since

    def _refresh(self, history: HistoryStore, names: Iterable[str] | None) -> None:
        service = self._service
        self.shared = history.shared
        if self.shared:  # the history has answered
            self._every_seconds, self.state.refreshed_at = _SHARED_SECONDS, time.time()
            return
        if names is None:
            report = self._refresh_all(history)
        else:
            some = [name for name in names if self._is_ledger(name)]
            report = refresh(service.ledgers, history, workflow_ids=some, project=service.folds.project)
            # Damage may leave the size as it was, so that the next look at all ledgers would skip it.
            self._damaged.add(_of_ledgers(report))
        self._note(report, all_looked_at=names is None)

    def _refresh_all(self, history: HistoryStore) -> RefreshReport:
        """Look at all ledgers; those that grow meanwhile do not wait for the end of it."""
        service = self._service
        report = RefreshReport()
        for seen in looked_at(service.ledgers, history):
            self._refresh_woken(history)
            report.problems += seen.problems
            if seen.changed:
                some = refresh(service.ledgers, history, workflow_ids=seen.changed, project=service.folds.project)
                report.folded += some.folded
                report.problems += some.problems
        self._retry_damaged(history, report)
        return report

    def _refresh_woken(self, history: HistoryStore) -> None:
        """Refresh the ledgers that have grown since the last time."""
        woken, _ = self._awaited(0.0)
        if "" in woken:  # the history was replaced, which the next look finds
            self.wake("")
        if woken:
            self._refresh(history, woken)
            self._publish_changes(history)

    def take_report(self, report: RefreshReport) -> None:
        """Take the problems of a replay of whole ledgers, such as a resync; each remains until a replay succeeds."""
        found = _of_ledgers(report)
        repaired = set(report.folded) - found.keys()
        self._damaged.add(found)
        self._damaged.drop(repaired)
        remaining = {name: one for name, one in self.state.problems.items() if name not in repaired}
        self.state.problems = remaining | found
        for name in report.folded[:1]:
            self.wake(name)  # which publishes all changed rows; else those whose ledgers did not grow would wait

    def suspect(self, workflow_ids: Iterable[str]) -> None:
        """Replay ledgers that may be damaged or unreadable at the next look at all."""
        self._damaged.add(name for name in workflow_ids if self._is_ledger(name))

    def _retry_damaged(self, history: HistoryStore, report: RefreshReport) -> None:
        """Replay damaged ledgers whole, since their sizes do not show a repair."""
        if again := self._damaged.next(_DAMAGED_MAX):
            replayed = refresh(self._service.ledgers, history, workflow_ids=again, unchanged_too=True)
            unknown = {one.workflow_id for one in replayed.problems if isinstance(one.error, UnknownWorkflow)}
            self._damaged.drop(unknown.union(replayed.folded))
            report.folded += replayed.folded
            report.problems += [one for one in replayed.problems if one.workflow_id not in unknown]

    def _is_ledger(self, name: str) -> bool:
        try:
            return self._service.ledgers.size(name) is not None
        except InvalidWorkflowId:
            return False  # another file in the folder of ledgers
        except LedgerUnavailable:
            return True  # the replay reports it

    def _note(self, report: RefreshReport, *, all_looked_at: bool) -> None:
        problems = self.state.problems
        remaining = {name: one for name, one in problems.items() if not all_looked_at or name in self._damaged}
        for name in report.folded:
            remaining.pop(name, None)
        self.state.problems = remaining | {problem.workflow_id: problem for problem in report.problems}
        if all_looked_at:
            self.state.refreshed_at = time.time()

    def _publish_changes(self, history: HistoryStore) -> None:
        while changes := history.changes_after(self.last_change, _CHANGES_MAX):
            published: list[RowChange] = []
            for number, adw_id in changes:
                row = history.row(adw_id)
                published.append(RowChange(number, adw_id, None if row is None else self._service.row_document(row)))
                if row is None or row.status in ENDED:
                    if adw_id in self._running and row is not None:
                        self.unsettled.add(adw_id)
                        self._service.background.submit(self._settle, adw_id)
                    self._running.discard(adw_id)
                else:
                    self._running.add(adw_id)
            self.last_change = changes[-1][0]
            self._publish(published)

    def _settle(self, workflow_id: str) -> None:
        """Read the sources of a workflow that has ended once more, so that nothing of it is missing."""
        try:
            service = self._service
            found = reread(service.ledgers, service.sources, ImportOptions(only=[workflow_id], prices=service.prices))
            if found.appended:
                self.wake(workflow_id)
        except CostledgerError as error:
            _log.error("the sources of %s could not be read again after its end: %s", workflow_id, error)
        except Exception:
            _log.exception("the sources of %s could not be read again after its end", workflow_id)
        finally:
            self.unsettled.discard(workflow_id)
            self._publish(())


class _LedgerWatcher(Worker):
    """Wakes the row refresher when a ledger's file changes."""

    def __init__(self, folder: Path, wake: Callable[[str], None]) -> None:
        super().__init__("ledger watcher")
        self._folder, self._wake = folder, wake
        self._files = FileWatcher(self._stopped, step_ms=_STEP_MS, debounce_ms=_DEBOUNCE_MS)

    def _look(self) -> None:
        for path in self._files.wait([self._folder]):
            if path.suffix == LEDGER_SUFFIX:
                self._wake(path.stem)


def _of_ledgers(report: RefreshReport) -> dict[str, LedgerProblem]:
    """Return the problems of ledgers that exist, by workflow."""
    return {one.workflow_id: one for one in report.problems if not isinstance(one.error, UnknownWorkflow)}
