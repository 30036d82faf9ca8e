"""The report of an import, workflow by workflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.errors import CostledgerError
from ledger.sources.findings import Skipped

__all__ = ["ImportReport", "Progress", "WorkflowCounts"]

Progress = Callable[[int, int], None]
"""`(bytes done, bytes in all)`."""


@dataclass(slots=True)
class WorkflowCounts:
    """Events of one workflow."""

    appended: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        in_unchanged_files: messages of files that were not opened, since they are as they were when they were read.
        without_folder: sessions that became workflows of their own, since they name no project or branch.
        problems: workflows that could not be imported, each with its error; the others were.
    """

    workflows: dict[str, WorkflowCounts] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    problems: list[tuple[str, CostledgerError]] = field(default_factory=list)
    in_unchanged_files: int = 0
    without_folder: set[str] = field(default_factory=set)

    @property
    def appended(self) -> int:
        """Events that were appended."""
        return sum(counts.appended for counts in self.workflows.values())

    @property
    def unchanged(self) -> int:
        """Findings that ledgers had already."""
        return sum(counts.unchanged for counts in self.workflows.values()) + self.in_unchanged_files

    def count(self, workflow_id: str, appended: int, unchanged: int) -> None:
        """Add what was appended to one workflow."""
        counts = self.workflows.setdefault(workflow_id, WorkflowCounts())
        counts.appended += appended
        counts.unchanged += unchanged

    def merge(self, other: ImportReport) -> None:
        """Add another import's report to this one."""
        for workflow_id, counts in other.workflows.items():
            self.count(workflow_id, counts.appended, counts.unchanged)
        self.skipped += other.skipped
        self.problems += other.problems
        self.in_unchanged_files += other.in_unchanged_files
        self.without_folder |= other.without_folder
