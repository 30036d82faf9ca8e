"""Pending events: charges that wait for their ledger, for calls that must not fail because a ledger does."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from ledger.errors import ConflictingEvent, CostledgerError, InvalidInput
from ledger.events.event import Event
from ledger.storage.append import Receipt

__all__ = ["PendingEvents", "in_thread"]

Result = TypeVar("Result")

_log = logging.getLogger("costledger")
_COST_FREE: Final = frozenset({"agent", "session_id", "observed_at"})
"""Fields that do not change the cost of a call."""


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run work in a thread to its end, also when the caller is cancelled or the program ends."""
    try:
        future = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:  # the interpreter exits, or the loop closes: no more threads
        return work()
    return await asyncio.shield(future)


class _Appends(Protocol):
    def append(self, events: Sequence[Event]) -> list[Receipt]: ...


class PendingEvents:
    """A queue of one workflow's events, until the ledger has them; safe between threads."""

    def __init__(self, store: _Appends) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._queue: list[Event] = []

    def append(self, event: Event) -> None:
        """Queue the event and try to flush. On failure the events stay queued and the error is logged."""
        with self._lock:
            self._queue.append(event)
            error = self._append_queued()
        if error is not None:
            _log.error("%d charges of workflow %r wait: %s", len(self._queue), event.workflow_id, error)

    def flush(self) -> None:
        """Append the queued events.

        Raises:
            CostledgerError: some of them still cannot be appended.
        """
        with self._lock:
            error = self._append_queued()
        if error is not None:
            error.add_note(f"{len(self._queue)} charges of tracked calls are not in the ledger")
            raise error

    def _append_queued(self) -> CostledgerError | None:
        while self._queue:
            try:
                self._store.append([self._queue[0]])
            except ConflictingEvent as error:
                _log.log(*_omission(error))
            except InvalidInput as error:
                _log.error("a charge is left out, and never will be appended: %s", error)
            except CostledgerError as error:
                return error
            self._queue.pop(0)
        return None


def _omission(error: ConflictingEvent) -> tuple[int, str]:
    """Return log level and message for a charge whose id is taken: a repeated call is no loss, and may be frequent."""
    if _COST_FREE.issuperset(error.fields):
        level = logging.DEBUG if error.fields == ("observed_at",) else logging.WARNING
        return level, (
            f"a repeat of a call of workflow {error.workflow_id!r} is left out: it is counted once, "
            f"at seq {error.seq}, with another {', '.join(error.fields)}"
        )
    return logging.ERROR, f"a charge is left out, and never will be appended: {error}"
