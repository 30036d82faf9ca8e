"""Appending events that were planned against a ledger's head: planned again when another process has appended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from ledger.errors import LedgerMoved
from ledger.events.event import Event
from ledger.storage.append import Receipt
from ledger.storage.store import LedgerStore

__all__ = ["AppendPlan", "PlannedEvents", "append_planned"]

_ATTEMPTS_MAX: Final = 50


class AppendPlan(Protocol):
    """Events of one workflow, and the head of the ledger that they were planned against."""

    @property
    def seq(self) -> int:
        """The last line of the ledger when the plan was made; 0 without a ledger."""
        ...

    @property
    def events(self) -> Sequence[Event]:
        """The events to append."""
        ...


@dataclass(frozen=True, slots=True)
class PlannedEvents:
    """A plan of nothing but events; see `AppendPlan`."""

    seq: int
    events: Sequence[Event]


P = TypeVar("P", bound=AppendPlan)


def append_planned(store: LedgerStore, plan: Callable[[], P]) -> tuple[P, list[Receipt]]:
    """Append the events of a plan; return the plan that was appended, and its receipts.

    Args:
        plan: makes the plan against the ledger as it is; called again when the ledger has moved since.

    Raises:
        LedgerMoved: other processes have appended faster than plans were made, many times.
        CostledgerError: as `LedgerStore.append`; nothing was appended.
    """
    for _ in range(_ATTEMPTS_MAX - 1):
        made = plan()
        try:
            return made, store.append(made.events, expected_seq=made.seq)
        except LedgerMoved:
            continue
    made = plan()
    return made, store.append(made.events, expected_seq=made.seq)
