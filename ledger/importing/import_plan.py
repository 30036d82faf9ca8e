"""The plan of an import for one ledger: the events to append, and the state of the ledger with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ledger.events.clock_check import with_past_moments
from ledger.events.event import Event
from ledger.importing.ledger_state import LedgerState
from ledger.sources.findings import Location, Skipped
from ledger.text import counted

__all__ = ["ImportPlan"]


@dataclass(slots=True)
class ImportPlan:
    """The events that an import appends to one ledger.

    Attributes:
        state: of the ledger with these events, as far as a plan depends on it.
        unchanged: findings that the ledger has already.
    """

    workflow_id: str
    state: LedgerState
    events: list[Event] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def seq(self) -> int:
        """The last line of the ledger that the plan was made against."""
        return self.state.seq

    def add(self, event: Event) -> None:
        """Add an event, unless the ledger or this plan has it."""
        if (id := event.id) is not None:
            if id in self.state.ids:
                self.unchanged += 1
                return
            self.state.ids.add(id)
        self.events.append(event)

    def limit_moments(self, now: datetime) -> None:
        """Date events that are more than a day ahead of the clock by the clock, and note how many there are."""
        self.events, changed = with_past_moments(self.events, now)
        if changed:
            source = changed[0].fields.get("source") or {}
            reason = f"{counted(len(changed), 'event')} dated more than a day in the future; counted as of this import"
            self.skipped.append(Skipped(Path(source.get("file", "")), source.get("line"), reason, note=True))

    def note(self, location: Location, reason: str) -> None:
        """Report a finding that counts in another way than its source shows."""
        self.skipped.append(Skipped(Path(location.file), location.line, reason, note=True))
