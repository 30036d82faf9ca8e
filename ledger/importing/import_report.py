"""What an import did, workflow by workflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ledger.errors import (
    CostledgerError,
)
from ledger.sources.findings import Skipped

if TYPE_CHECKING:
    pass

__all__ = ["ATTEMPTS_MAX", "ImportReport", "Progress", "WorkflowCounts"]

Progress = Callable[[int, int], None]
"""`(bytes done, bytes in all)`."""


ATTEMPTS_MAX: Final = 50
"""How often a plan is made anew because somebody else appended meanwhile."""


@dataclass(slots=True)
class WorkflowCounts:
    """Events of one workflow."""

    appended: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        in_unchanged_files: messages of files that were not opened, for they are as they were when they were read.
        without_folder: sessions that became workflows of their own, for they name no project or branch to be one of.
        problems: workflows that could not be imported, each with its error; the others were.
    """

    workflows: dict[str, WorkflowCounts] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    problems: list[tuple[str, CostledgerError]] = field(default_factory=list)
    in_unchanged_files: int = 0
    without_folder: set[str] = field(default_factory=set)

    @property
    def appended(self) -> int:
        return sum(counts.appended for counts in self.workflows.values())

    @property
    def unchanged(self) -> int:
        return sum(counts.unchanged for counts in self.workflows.values()) + self.in_unchanged_files

    def merge(self, other: ImportReport) -> None:
        """Add another import's report to this one."""
        for workflow_id, counts in other.workflows.items():
            mine = self.workflows.setdefault(workflow_id, WorkflowCounts())
            mine.appended += counts.appended
            mine.unchanged += counts.unchanged
        self.skipped += other.skipped
        self.problems += other.problems
        self.in_unchanged_files += other.in_unchanged_files
        self.without_folder |= other.without_folder
