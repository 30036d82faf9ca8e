"""Charges that are appended when they can be: for calls that must not fail because a ledger does."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from ledger.errors import ConflictingEvent, CostledgerError, InvalidInput
from ledger.events.event import Event
from ledger.storage.append import Receipt

__all__ = ["Late", "in_thread"]

Result = TypeVar("Result")

_log = logging.getLogger("costledger")
_WHOSE: Final = frozenset({"agent", "session_id", "observed_at"})
"""What does not change what a call costs."""


async def in_thread(work: Callable[[], Result]) -> Result:
    """Do in a thread what must be done to its end: also when the caller is cancelled, or the program ends."""
    try:
        future = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:  # the interpreter exits, or the loop closes: no more threads
        return work()
    return await asyncio.shield(future)


class _Appends(Protocol):
    def append(self, events: Sequence[Event]) -> list[Receipt]: ...


class Late:
    """Events of one workflow, in order, until the ledger has them; safe between threads."""

    def __init__(self, store: _Appends) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiting: list[Event] = []

    def append(self, event: Event) -> None:
        """Append it behind what still waits; what cannot be appended now waits for the next time, and is logged."""
        with self._lock:
            self._waiting.append(event)
            error = self._try()
        if error is not None:
            _log.error("%d charges of workflow %r wait: %s", len(self._waiting), event.workflow_id, error)

    def flush(self) -> None:
        """Append what still waits.

        Raises:
            CostledgerError: some of it still cannot be.
        """
        with self._lock:
            error = self._try()
        if error is not None:
            error.add_note(f"{len(self._waiting)} charges of tracked calls are not in the ledger")
            raise error

    def _try(self) -> CostledgerError | None:
        while self._waiting:
            try:
                self._store.append([self._waiting[0]])
            except ConflictingEvent as error:
                _log.log(*_left_out(error))
            except InvalidInput as error:
                _log.error("a charge is left out, and never will be appended: %s", error)
            except CostledgerError as error:
                return error
            self._waiting.pop(0)
        return None


def _left_out(error: ConflictingEvent) -> tuple[int, str]:
    """How a charge whose id is taken is logged: a call that is counted already is no loss, and may be seen often."""
    if _WHOSE.issuperset(error.fields):
        level = logging.DEBUG if error.fields == ("observed_at",) else logging.WARNING
        return level, (
            f"a repeat of a call of workflow {error.workflow_id!r} is left out: it is counted once, "
            f"at seq {error.seq}, with another {', '.join(error.fields)}"
        )
    return logging.ERROR, f"a charge is left out, and never will be appended: {error}"
