"""The keeper: the thread that refreshes rows as soon as their ledgers grow, and tells what changed.

The file system only wakes it; what is new is decided by the ledgers. From time to time it looks at all of them, so a
missed notification costs seconds, never a figure.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from watchfiles import watch

from ledger.errors import (
    CostledgerError,
    HistoryReplaced,
    HistoryUnavailable,
    HistoryUnwritable,
    InvalidWorkflowId,
    LedgerUnavailable,
    UnknownWorkflow,
)
from ledger.importing.importer import reread
from projections.history.store import HistoryStore
from projections.replay.refresh import ENDED, LedgerProblem, RefreshReport, refresh
from projections.server.background.change_feed import RowChange
from projections.server.background.damaged_ledgers import DamagedLedgers
from projections.server.http.serializers import row_as_json
from projections.server.service.service import Service

__all__ = ["Kept", "RowRefresher"]

_log = logging.getLogger("costledger")

_ALL_SECONDS: Final = 10.0
"""How often every ledger is looked at: one `stat` each."""

_SHARED_SECONDS: Final = 1.0
"""How often rows that projectors write are asked what changed: one look at an index."""

_LATE_LOOKS: Final = 6
"""A keeper that missed so many looks is stuck, or waits for a history that does not answer."""

_CHANGES_MAX: Final = 1_000
_NOTICED_MAX: Final = 50
"""Ledgers that are replayed whole at each look at all, since they were seen damaged."""

_STEP_MS: Final = 5
_DEBOUNCE_MS: Final = 20
"""How long notifications are gathered: a row is to follow its ledger within 50 ms."""


@dataclass(slots=True)
class Kept:
    """How the keeper fares.

    Attributes:
        refreshed_at: when it last looked at all ledgers, or at rows that projectors write, in seconds since 1970; 0.0
            before the first time.
        lag_seconds: from the last notification to its rows.
        problems: ledgers that could not be replayed, by workflow.
        error: why the last look failed altogether; None when it did not.
    """

    refreshed_at: float = 0.0
    lag_seconds: float = 0.0
    error: Exception | None = None
    problems: dict[str, LedgerProblem] = field(default_factory=dict)


class RowRefresher:
    """Keeps the rows of a service current in threads of its own.

    Args:
        publish: called with the changes of rows, in one of the keeper's threads; with none when a workflow that ended
            is not in `unsettled` any more.

    Attributes:
        unsettled: workflows that have ended, and whose sources are being read once more.
        shared: whether projectors write the rows, when it last looked.
    """

    def __init__(self, service: Service, publish: Callable[[Sequence[RowChange]], None]) -> None:
        self._service, self._publish = service, publish
        self._woken: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self.kept = Kept()
        self.last_change = 0
        self._every_seconds, self.shared = _ALL_SECONDS, False
        self._running: set[str] = set()
        self._replaced = self._doubted = False
        service.when_replaced = lambda: self.wake("")  # the name of no ledger
        self.unsettled: set[str] = set()
        self._noticed = DamagedLedgers(service.settings.data)
        self._threads = [
            threading.Thread(target=self._keep, name="keeper"),
            threading.Thread(target=self._watch, name="watch"),
        ]

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
        self._running = {adw_id for adw_id, shown in history.stored().items() if shown.status not in ENDED}
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; what was appended is in its row at the next start at the latest."""
        self._stopped.set()
        self._woken.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def wake(self, workflow_id: str) -> None:
        """A ledger may have grown."""
        self._woken.put((workflow_id, time.monotonic()))

    def _watch(self) -> None:
        folder = self._service.settings.data / "ledgers"
        for changes in watch(
            folder,
            stop_event=self._stopped,
            recursive=False,
            step=_STEP_MS,
            debounce=_DEBOUNCE_MS,
            rust_timeout=1000,
            watch_filter=lambda _, path: path.endswith(".jsonl"),
            raise_interrupt=False,
        ):
            for name in {path.rpartition("/")[2].removesuffix(".jsonl") for _, path in changes}:
                self.wake(name)

    def _keep(self) -> None:
        while not self._stopped.is_set():
            due = self.kept.refreshed_at + self._every_seconds - time.time()
            names, since = self._gathered(max(0.0, due))
            try:
                some = names if self.kept.error is None else set[str]()  # after a failure all are looked at
                history = self._history()
                self._refresh(history, some if some and not self._replaced else None)
                self._service.use(history)
                self._replaced = False
                self._tell(history)
                self.kept.error = None
            except CostledgerError as error:
                _log.error("rows could not be refreshed: %s", error)
                self._fail(error)
                if isinstance(error, HistoryUnavailable) and not isinstance(error, HistoryUnwritable):
                    self.doubt(error)
            except Exception as error:
                _log.exception("rows could not be refreshed")
                self._fail(error)
            if since:
                self.kept.lag_seconds = time.monotonic() - since

    def _history(self) -> HistoryStore:
        """The history; one that lies in the place of another, or was damaged, is replayed whole before it is asked."""
        try:
            history = self._service.history
            doubted, self._doubted = history.was_cut or self._doubted, False
            if not doubted or history.is_whole():
                return history
            problem = HistoryReplaced()
        except HistoryReplaced as error:
            problem = error
        _log.warning("%s", problem)
        self._replaced, self.last_change = True, 0
        return self._service.open_anew(mended=True)

    def doubt(self, error: HistoryUnavailable) -> None:
        """A question to the history failed: look whether it is damaged; the rows are not ready until that is known."""
        self._doubted, self.kept.error = True, error
        self.wake("")

    def _fail(self, error: Exception) -> None:
        self.kept.error = error
        self._stopped.wait(1.0)

    @property
    def ready(self) -> bool:
        """Whether the last look was no failure, and no longer ago than it should be, and its history lies there."""
        on_time = time.time() - self.kept.refreshed_at < _LATE_LOOKS * self._every_seconds
        return self.kept.error is None and not self._replaced and on_time and self._service.in_place

    def _gathered(self, seconds: float) -> tuple[set[str], float]:
        """The workflows that it was woken for, and when first; none when all are due."""
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
            self._every_seconds, self.kept.refreshed_at = _SHARED_SECONDS, time.time()
            return
        known = None if names is None else [name for name in names if self._is_ledger(name)]
        report = refresh(service.ledgers, history, workflow_ids=known, project=service.folds.project)
        if names is None:
            self._look_again(history, report)
        else:  # its size may be the one it had, so the next look at all would pass it over
            self._noticed.add(_not_unknown(report))
        self._note(report, all_looked_at=names is None)

    def noticed(self, report: RefreshReport) -> None:
        """What somebody else's replay of whole ledgers met: its problems stand until another one succeeds."""
        found = _not_unknown(report)
        mended = set(report.folded) - found.keys()
        self._noticed.add(found)
        self._noticed.drop(mended)
        stand = {name: one for name, one in self.kept.problems.items() if name not in mended}
        self.kept.problems = stand | found

    def suspect(self, workflow_ids: Iterable[str]) -> None:
        """Ledgers that may be damaged or closed to this process are replayed at the next look at all."""
        self._noticed.add(name for name in workflow_ids if self._is_ledger(name))

    def _look_again(self, history: HistoryStore, report: RefreshReport) -> None:
        """Replay what was noticed, whole: damage of which a ledger's size says nothing."""
        if again := self._noticed.next(_NOTICED_MAX):
            replayed = refresh(self._service.ledgers, history, workflow_ids=again, unchanged_too=True)
            unknown = {one.workflow_id for one in replayed.problems if isinstance(one.error, UnknownWorkflow)}
            self._noticed.drop(unknown.union(replayed.folded))
            report.folded += replayed.folded
            report.problems += [one for one in replayed.problems if one.workflow_id not in unknown]

    def _is_ledger(self, name: str) -> bool:
        try:
            return self._service.ledgers.size(name) is not None
        except InvalidWorkflowId:
            return False  # a file that somebody put beside the ledgers
        except LedgerUnavailable:
            return True  # which a replay then says

    def _note(self, report: RefreshReport, *, all_looked_at: bool) -> None:
        known = self.kept.problems
        stand = {name: one for name, one in known.items() if not all_looked_at or name in self._noticed}
        for name in report.folded:
            stand.pop(name, None)
        self.kept.problems = stand | {problem.workflow_id: problem for problem in report.problems}
        if all_looked_at:
            self.kept.refreshed_at = time.time()

    def _tell(self, history: HistoryStore) -> None:
        while changes := history.changes_after(self.last_change, _CHANGES_MAX):
            told: list[RowChange] = []
            config = self._service.config
            for number, adw_id in changes:
                row = history.row(adw_id)
                told.append(RowChange(number, adw_id, None if row is None else row_as_json(row, config)))
                if row is None or row.status in ENDED:
                    if adw_id in self._running and row is not None:
                        self.unsettled.add(adw_id)
                        self._service.background.submit(self._settle, adw_id)
                    self._running.discard(adw_id)
                else:
                    self._running.add(adw_id)
            self.last_change = changes[-1][0]
            self._publish(told)

    def _settle(self, workflow_id: str) -> None:
        """A workflow has ended: read its sources once more, so that its last words are in."""
        try:
            service = self._service
            found = reread(service.ledgers, service.sources, only=[workflow_id], prices=service.prices)
            if found.appended:
                self.wake(workflow_id)
        except CostledgerError as error:
            _log.error("the sources of %s could not be read again after its end: %s", workflow_id, error)
        except Exception:
            _log.exception("the sources of %s could not be read again after its end", workflow_id)
        finally:
            self.unsettled.discard(workflow_id)
            self._publish(())


def _not_unknown(report: RefreshReport) -> dict[str, LedgerProblem]:
    """Its problems, by workflow, without those that no ledger stands behind."""
    return {one.workflow_id: one for one in report.problems if not isinstance(one.error, UnknownWorkflow)}
