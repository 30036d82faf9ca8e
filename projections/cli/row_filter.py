"""Which rows `history` lists, and in which order."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import click

from ledger.errors import InvalidInput
from ledger.events import timestamps
from ledger.sources.repositories import repository_of
from ledger.text import first_of
from projections.cli.completions import complete_project, complete_template, complete_tool
from projections.cli.numbers import IssueNumber, Whole
from projections.cli.parsing import EXAMPLES, moment_option
from projections.folding.row import Row
from projections.folding.tools import split_tools, tool_called
from projections.history.idle import MOVED, shown_status
from projections.reports.dimensions import Dimension, dimension, is_project, parsed_where
from projections.reports.tags import TagRules

__all__ = ["RowFilter", "filter_options"]

F = TypeVar("F", bound=Callable[..., Any])

SORTS: Final = {
    "activity": "last_activity",
    "cost": "actual_cost_nanousd",
    "tokens": "total_tokens",
    "duration": "duration_seconds",
    "start": "start_time",
    "issue": "issue_number",
    "id": "adw_id",
}
"""What people sort by, and the column of each."""


def filter_options(command: F) -> F:
    """Add the options that choose rows; they are one argument of the command, `chosen`."""
    for option in (
        click.option("--limit", type=Whole(1), help="Only the last so many."),
        click.option(
            "--sort", type=click.Choice(list(SORTS)), default="activity", help="Sort by this, the largest last."
        ),
        click.option(
            "--tool",
            metavar="NAME",
            shell_complete=complete_tool,
            help="Only with readings of this tool's logs: claude, codex, …",
        ),
        click.option(
            "--template", metavar="NAME", shell_complete=complete_template, help="Only of this kind of workflow."
        ),
        click.option(
            "--project",
            metavar="NAME",
            shell_complete=complete_project,
            help="Only of this project: its name, or a folder in it, such as `.`.",
        ),
        click.option(
            "--where",
            metavar="NAME=VALUE",
            multiple=True,
            help="Only of this, as in `costledger spend --where`: team=payments, branch='release/*'.",
        ),
        click.option("--issue", type=IssueNumber(), metavar="NUMBER", help="Only of this issue: 17 or #17."),
        moment_option("--until", "Only with their last activity before the end of then.", end_of_day=True),
        moment_option("--since", f"Only with activity since then: {EXAMPLES}."),
        click.option(
            "--status",
            type=click.Choice(["running", "idle", "completed", "failed", "cancelled", MOVED]),
            help="Only these; idle ones are running, without activity for `idle_after` of the configuration.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Rows that a person asks for; None does not limit."""

    status: str | None
    since: datetime | None
    until: datetime | None
    issue: int | None
    project: str | None
    template: str | None
    tool: str | None
    where: tuple[str, ...]
    sort: str
    limit: int | None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidInput(f"--since {_shown(self.since)} is not before --until {_shown(self.until)}")

    def check(self, rows: Iterable[Row]) -> None:
        """Refuse a tool that no row has.

        Raises:
            InvalidInput: it names the tools that the rows have.
        """
        tools = {tool for row in rows for tool in split_tools(row.tool)}
        if self.tool is not None and tools and tool_called(self.tool) not in tools:
            named = first_of(sorted(tools))
            raise InvalidInput(f"--tool {self.tool}: no workflow has readings of that tool, only of {named}")

    def matching(self, rows: Iterable[tuple[Row, bool]], rules: TagRules) -> list[tuple[Row, bool]]:
        """Return the rows that match, in their order; those without a value first.

        Args:
            rows: each with whether it is idle.
            rules: the tags of the configuration.

        Raises:
            InvalidInput: a condition is none, or none of workflows.
        """
        column = SORTS[self.sort]
        repositories, every = _repositories(self.project), list(rows)
        conditions = self._conditions([row for row, _ in every], rules)
        found = [both for both in every if self._matches(*both, repositories)]
        found = [both for both in found if all(one.matches_row(both[0], asked) for one, asked in conditions)]
        found.sort(key=lambda both: both[0].adw_id)
        found.sort(key=lambda both: _rank(getattr(both[0], column)))
        return found

    def _conditions(self, rows: Sequence[Row], rules: TagRules) -> list[tuple[Dimension, tuple[str, ...]]]:
        found = []
        for name, asked in parsed_where("--where", self.where):
            one = dimension(name, rules, lambda column: {getattr(row, column) for row in rows}, where="--where")
            if one.is_of_spend:
                command = f"costledger spend --by workflow --where {name}=…"
                raise InvalidInput(f"--where {name}: a workflow may have several; see `{command}`")
            found.append((one, asked))
        return found

    def limited(self, matching: list[tuple[Row, bool]]) -> list[tuple[Row, bool]]:
        """Return the last `limit` of the rows that match."""
        return matching[-(self.limit or 0) :]

    def _matches(self, row: Row, idle: bool, repositories: Collection[str]) -> bool:
        activity = row.last_activity or ""
        return (
            self.status in (None, shown_status(row), "idle" if idle else None)
            and (self.since is None or activity >= timestamps.to_wire(self.since))
            and (self.until is None or "" < activity < timestamps.to_wire(self.until))
            and self.issue in (None, row.issue_number)
            and (self.tool is None or tool_called(self.tool) in split_tools(row.tool))
            and self.template in (None, row.workflow_template)
            and (self.project is None or _is_project(row.project or "", self.project, repositories))
        )


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _rank(value: Any) -> tuple[bool, Any]:
    return (False, 0) if value is None else (True, value)


def _repositories(asked: str | None) -> frozenset[str]:
    """The project that a folder on this machine is in, as its path and as its real path; none for a name."""
    if (
        asked is None
        or not (asked.startswith((".", "~")) or "/" in asked)
        or not os.path.isdir(folder := os.path.expanduser(asked))
    ):
        return frozenset()
    return frozenset(repository_of(path(folder)).lower() for path in (os.path.abspath, os.path.realpath))


def _is_project(project: str, asked: str, repositories: Collection[str]) -> bool:
    """Whether a project is the one that is meant: by its folder, all of it, or the last part, whatever the case."""
    return is_project(project, asked) or project.rstrip("/\\").lower() in repositories
