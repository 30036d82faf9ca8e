"""Runs: a run lasts from a start to an end; the highest run decides, and within a run an end beats a start."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.events.event import END_TYPES, WORKFLOW_STARTED

__all__ = ["Runs"]


@dataclass(frozen=True, slots=True)
class Runs:
    """The current run of a ledger: 0 before the first start or end."""

    run: int = 0
    ended: bool = False

    def next_run(self, kind: str) -> int:
        """Return the run of a start or end that does not name one."""
        if kind == WORKFLOW_STARTED and self.ended:
            return self.run + 1
        return self.run or 1

    def after(self, kind: str, run: int) -> Runs:
        """Return the state after a start or end; one of a lower run changes nothing."""
        if run < self.run:
            return self
        if kind in END_TYPES:
            return Runs(run, ended=True)
        return self if run == self.run else Runs(run)
