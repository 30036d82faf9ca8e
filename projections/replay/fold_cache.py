"""A cache of folded states, so that only the new lines of a ledger that grew are folded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from ledger.errors import CostledgerError, DamagedLedger
from ledger.storage.line import EMPTY, Head
from ledger.storage.store import LedgerStore
from projections.folding.fold import State, fold_lines, initial
from projections.folding.projection import Projected, projected

__all__ = ["FoldCache"]

T = TypeVar("T")

_METERS_MAX: Final = 200_000
"""The meters of all cached states, about 1 kB each."""

_LOCKS: Final = 64
"""The number of locks that workflows are spread over; two with the same lock only wait for each other."""


class FoldCache:
    """A cache of the states of the workflows folded last; a dropped one is replayed. Safe between threads.

    Args:
        meters_max: the limit of the meters of all cached states; the least recently used state is dropped first.
    """

    def __init__(self, meters_max: int = _METERS_MAX) -> None:
        self._meters_max = meters_max
        self._lock = threading.Lock()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._states: OrderedDict[str, tuple[State, Head, int]] = OrderedDict()
        self._meters = 0

    def project(self, ledgers: LedgerStore, workflow_id: str, checkpoint: Head | None = None) -> Projected:
        """Return a workflow's row by pure replay, as `refresh.project` does."""
        return self._ask(ledgers, workflow_id, projected, lambda _: checkpoint)

    def ask(
        self,
        ledgers: LedgerStore,
        workflow_id: str,
        question: Callable[[State, Head], T],
        *,
        checkpoint: Callable[[str], Head | None] = lambda _: None,
    ) -> T:
        """Return the answer of a workflow's state, folded to the end of its ledger, while no other thread changes it.

        Args:
            checkpoint: returns an earlier head of a workflow's ledger, which it must still extend; called when the
                ledger no longer extends the cached state.

        Raises:
            UnknownWorkflow, DamagedLedger, LedgerUnavailable, InvalidEvent: as the ledger is read and folded.
        """
        return self._ask(ledgers, workflow_id, question, lambda lost: checkpoint(workflow_id) if lost else None)

    def _ask(
        self,
        ledgers: LedgerStore,
        workflow_id: str,
        question: Callable[[State, Head], T],
        checkpoint: Callable[[bool], Head | None],
    ) -> T:
        with self._locks[hash(workflow_id) % _LOCKS]:
            state, head = self._advanced(ledgers, workflow_id, checkpoint)
            answer = question(state, head)
            self._put(workflow_id, state, head)
        return answer

    def _advanced(
        self, ledgers: LedgerStore, workflow_id: str, checkpoint: Callable[[bool], Head | None]
    ) -> tuple[State, Head]:
        with self._lock:
            state, start, meters = self._states.pop(workflow_id, (initial(workflow_id), EMPTY, 0))
            self._meters -= meters
        try:
            try:
                reader, folded = ledgers.read(workflow_id, checkpoint=checkpoint(False), start=start), state  # noqa: FBT003
            except DamagedLedger:
                if start == EMPTY:
                    raise
                reader, folded = ledgers.read(workflow_id, checkpoint=checkpoint(True)), initial(workflow_id)  # noqa: FBT003
        except CostledgerError:
            if start != EMPTY:
                self._put(workflow_id, state, start)  # the state is as it was: a later call finds the same problem
            raise
        for lines in reader.typed_chunks():
            fold_lines(folded, lines)
        return folded, reader.head

    def _put(self, workflow_id: str, state: State, head: Head) -> None:
        meters = state.tree.size
        with self._lock:
            self._states[workflow_id] = (state, head, meters)
            self._meters += meters
            while self._meters > self._meters_max:
                _, (_, _, meters) = self._states.popitem(last=False)
                self._meters -= meters
