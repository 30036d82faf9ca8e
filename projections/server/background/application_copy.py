"""The application's table: a thread that compares it with our rows and corrects it while the server runs.

It looks once a second whether the application's database or our rows have changed. Every ten seconds it compares all
of them, since a change within one tick of the file system's clock does not change the time of a file.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from ledger.errors import CostledgerError
from ledger.events import money, timestamps
from projections.applications.plan import Compared
from projections.applications.table import ApplicationTable, Writes
from projections.folding.row import Row
from projections.history.store import AuditEntry, HistoryStore
from projections.server.background.worker import Worker
from projections.server.service.service import Service

__all__ = ["ApplicationCopy", "audited", "compared_with"]

_log = logging.getLogger("costledger")

_LOOK_SECONDS: Final = 1.0
_ALL_SECONDS: Final = 10.0
_CHANGES_MAX: Final = 1_000


class ApplicationCopy(Worker):
    """The application's table of a service, corrected in a thread of its own; nothing to do without a table."""

    def __init__(self, service: Service) -> None:
        super().__init__("application copy")
        self._service, self._table = service, service.application
        self._number, self._state, self._all_at = 0, object(), float("-inf")
        self._error: CostledgerError | None = None
        self._compared_at = 0.0
        self._waiting = 0

    def start(self) -> None:
        """Start the thread, if there is a table."""
        if self._table is not None:
            super().start()

    def problem(self) -> CostledgerError | None:
        """Return why the last comparison failed; None when it did not."""
        return self._error

    def as_json(self, error: str | None) -> dict[str, Any] | None:
        """Return its state, for JSON; None without a table.

        Args:
            error: why the last comparison failed, as it may be shown.
        """
        if self._table is None:
            return None
        at = self._compared_at
        compared_at = timestamps.to_wire(timestamps.from_unix(at)) if at else None
        shown = None if error is None else error.replace(self._table.where, "of the application")
        return {"compared_at": compared_at, "waiting": self._waiting, "error": shown}

    def _look(self) -> None:
        assert self._table is not None
        try:
            self._correct(self._table)
            self._error = None
        except CostledgerError as error:
            self._log_once(error)
        except Exception as error:
            _log.exception("the application's table could not be corrected")
            self._error = CostledgerError(f"{type(error).__name__}; the log has more")
        self._stopped.wait(_LOOK_SECONDS)

    def _correct(self, table: ApplicationTable) -> None:
        history, state = self._service.history, table.state()
        names, number = self._changed(history)
        every = state != self._state or time.monotonic() - self._all_at >= _ALL_SECONDS
        rows = history.rows() if every else [row for name in names if (row := history.row(name)) is not None]
        if rows:
            done = table.write(rows, pure=False, reason="refresh")
            self._report(table, done, every=every)
            state = table.state() if done.rows else state
        self._number, self._state = number, state
        self._compared_at = time.time()
        if every:
            self._all_at = time.monotonic()

    def _changed(self, history: HistoryStore) -> tuple[list[str], int]:
        """Return the ids of rows that changed since the last look, and the number of the last change."""
        names, number = list[str](), self._number
        while changes := history.changes_after(number, _CHANGES_MAX):
            names += [name for _, name in changes]
            number = changes[-1][0]
        return names, number

    def _report(self, table: ApplicationTable, done: Writes, *, every: bool) -> None:
        """Log as warnings what an operator must know: the log of a server shows these."""
        if done.backup is not None:
            _log.warning("%s was backed up to %s before its first change", table.where, done.backup)
        for change in done.repairs:
            old = "nothing" if change.old_nanousd is None else f"${money.to_wire(change.old_nanousd)}"
            new = f"${money.to_wire(change.new_nanousd)}"
            _log.warning("%s: %s: %s → %s (%s)", table.where, change.adw_id, old, new, change.reason)
        if every and self._waiting != len(done.waiting):
            self._waiting = len(done.waiting)
            _log.warning("%s: %s rows wait for `costledger resync`", table.where, f"{self._waiting:,}")

    def _log_once(self, error: CostledgerError) -> None:
        if str(error) != str(self._error):
            _log.error("%s", error)
        self._error = error


def audited(table: ApplicationTable | None, adw_id: str, limit: int) -> list[AuditEntry]:
    """Return the newest entries of the application's audit log; none without a table or while it cannot be read."""
    try:
        return [] if table is None else table.audit(adw_id, limit=limit)
    except CostledgerError:
        return []


def compared_with(table: ApplicationTable | None, rows: list[Row]) -> dict[str, Compared]:
    """Return what an application's table shows of these rows; nothing without a table or while it cannot be read.

    The server's answers are about our own rows, so they do not fail with a database of another program; `/api/health`
    reports why it cannot be read.
    """
    try:
        return {} if table is None else table.compare(rows)
    except CostledgerError:
        return {}
