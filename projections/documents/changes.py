"""What a refresh, a rebuild or a resync changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from ledger.events import money
from projections.applications.table import Writes
from projections.documents.types import About, AdwIdText, TypedDict, Usd, document, usd
from projections.history.store import CostChange
from projections.replay.refresh import Accepted, RefreshReport
from projections.replay.resync import ResyncReport

__all__ = [
    "AcceptedLossDocument",
    "ChangeDocument",
    "RefreshDocument",
    "ResyncDocument",
    "WritesDocument",
    "change_document",
    "refresh_document",
    "resync_document",
]


@document
class ChangeDocument(TypedDict):
    """A row's cost before and after."""

    adw_id: AdwIdText
    old_cost: Annotated[Usd | None, About("null when no cost was known")]
    new_cost: Usd
    status: str
    reason: Annotated[
        str, About("what wrote the row: this command, or a faster one, such as a refresh", examples=["resync --force"])
    ]


@document
class AcceptedLossDocument(TypedDict):
    """A row that was replayed from a ledger which no longer has all lines that the row was folded from."""

    adw_id: AdwIdText
    problem: str
    old_cost: Usd | None
    new_cost: Usd


@document
class WritesDocument(TypedDict):
    """What was written to an application's table."""

    rows: Annotated[list[str], About("ids of the rows that were written")]
    waiting: Annotated[
        list[str], About("ids of rows that only a resync writes: this version reads ledgers in another way")
    ]
    backup: Annotated[str | None, About("the file that its database was backed up to before the first write")]


@document
class RefreshDocument(TypedDict):
    """What a replay changed."""

    resynced_count: int
    workflows: list[AdwIdText]
    unchanged: Annotated[int, About("workflows that had nothing new")]
    changes: list[ChangeDocument]
    accepted: list[AcceptedLossDocument]
    errors: list[str]
    application: Annotated[WritesDocument | None, About("null: no application's table is named")]


@document
class ResyncDocument(RefreshDocument):
    """What was read again from the sources, and what the replay changed."""

    appended: Annotated[int, About("events that the sources had and the ledgers had not")]
    skipped: Annotated[int, About("inputs of the sources that could not be read")]
    dry_run: Annotated[bool, About("nothing was changed: these are the changes that a resync would make")]


def refresh_document(
    report: RefreshReport, copied: Writes | None, sentence: Callable[[Exception], str] = str
) -> RefreshDocument:
    """Return what a replay changed.

    Args:
        copied: what was written to the application's table; None without one.
        sentence: what is shown of an error.
    """
    return {
        "resynced_count": len(report.folded),
        "workflows": report.folded,
        "unchanged": report.unchanged,
        "changes": [change_document(change) for change in report.changes],
        "accepted": [_accepted(one) for one in report.accepted],
        "errors": [f"{problem.workflow_id}: {sentence(problem.error)}" for problem in report.problems],
        "application": None if copied is None else _writes(copied),
    }


def resync_document(
    done: ResyncReport, sentence: Callable[[Exception], str] = str, *, dry_run: bool = False
) -> ResyncDocument:
    """Return what a resync changed; see `refresh_document`."""
    found, imported = refresh_document(done.report, done.copied, sentence), done.imported
    found["errors"] += [f"{name}: {sentence(error)}" for name, error in imported.problems]
    return {**found, "appended": imported.appended, "skipped": len(imported.skipped), "dry_run": dry_run}


def change_document(change: CostChange) -> ChangeDocument:
    """Return a change of a row's cost."""
    return {
        "adw_id": change.adw_id,
        "old_cost": usd(change.old_nanousd),
        "new_cost": money.to_wire(change.new_nanousd),
        "status": change.status,
        "reason": change.reason,
    }


def _accepted(one: Accepted) -> AcceptedLossDocument:
    return {
        "adw_id": one.workflow_id,
        "problem": one.problem,
        "old_cost": usd(one.old_nanousd),
        "new_cost": money.to_wire(one.new_nanousd),
    }


def _writes(copied: Writes) -> WritesDocument:
    backup = None if copied.backup is None else str(copied.backup)
    return {"rows": copied.rows, "waiting": copied.waiting, "backup": backup}
