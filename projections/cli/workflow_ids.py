"""Which workflow an id names: one rule for every command.

In this order: the id itself, `#17` for the workflow of an issue, and the beginning of an id, from four characters on,
with or without the "…" that a narrow table ends it with. Hexadecimal digits that no id begins with are looked up in the
other case, too. Only an event that may be the first of its workflow takes what can be an id as a whole one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ledger.errors import AmbiguousWorkflow, InvalidInput, InvalidWorkflowId, UnknownWorkflow
from ledger.events.workflow_ids import check_workflow_id, is_workflow_id
from projections.cli.options import data_path, store
from projections.cli.output.costs import row_cost
from projections.cli.output.text import local_time, plain
from projections.cli.session import opened
from projections.folding.row import Row
from projections.history.query import LIMIT_MAX, Query

__all__ = ["existing_id", "has_row", "new_or_existing_id", "whole_id"]

_PREFIX_CHARACTERS: Final = 4
"""The beginning of an id is enough from this length on."""

_CANDIDATES_SHOWN: Final = 5

_ISSUE: Final = re.compile(r"#(\d{1,18})")
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F][0-9a-fA-F-]*")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def whole_id(given: str) -> str:
    """Return the id of the workflow that a person means; what fits none, and may be an id, as it is.

    An id that has a ledger costs one `stat`.

    Raises:
        AmbiguousWorkflow: several workflows fit.
        UnknownWorkflow: none fits, and it cannot be an id.
        InvalidWorkflowId: it is neither.
    """
    found = _found(given)
    if found is not None:
        return found
    if _ISSUE.fullmatch(given) or (given.endswith("…") and is_workflow_id(given[:-1])):
        raise UnknownWorkflow(given, data_path())
    return check_workflow_id(given)


def existing_id(given: str) -> str:
    """Return the id of the workflow that a person means, for a command about an existing workflow.

    Raises:
        AmbiguousWorkflow: several workflows fit.
        UnknownWorkflow: none fits.
        InvalidWorkflowId: it can name none.
    """
    found = _found(given)
    if found is None:
        raise UnknownWorkflow(whole_id(given), data_path())
    return found


def new_or_existing_id(given: str) -> str:
    """Return the id of the workflow that a person means, for an event that may be the first of its workflow.

    Raises:
        InvalidInput: it can be an id, but another workflow's UUID begins so; or no workflow works on the issue.
        AmbiguousWorkflow: several workflows fit.
        InvalidWorkflowId: it can name none.
    """
    if is_workflow_id(given):
        near = [name for name in _beginning(given) if _UUID.fullmatch(name)]
        if not near or given in near:
            return given
        hint = "For a new workflow, choose an id that no other begins with"
        raise InvalidInput(f"no workflow {given!r}; did you mean {_only(given, near)!r}? {hint}")
    try:
        found = _found(given)
    except UnknownWorkflow:
        number = given.removeprefix("#")
        start = f"`costledger start ID --issue-number {number}` starts one, under an id of your own"
        raise InvalidInput(f"no workflow works on issue {given} yet; {start}") from None
    if found is None:
        raise InvalidWorkflowId(given)
    return found


def has_row(workflow_id: str) -> bool:
    """Return whether the history has a row of this very id, wherever its ledger lies."""
    with opened(up_to_date=False, shared_too=True, reads=True) as session:
        return session.history.row(workflow_id) is not None


def _found(given: str) -> str | None:
    if is_workflow_id(given) and store().size(given) is not None:
        return given
    if issue := _ISSUE.fullmatch(given):
        return _of_issue(given, int(issue[1]))
    prefix = given.removesuffix("…")
    near = _beginning(prefix) if is_workflow_id(prefix) else []
    if given in near:
        return given
    return _only(given, near) if near and len(prefix) >= _PREFIX_CHARACTERS else None


def _beginning(prefix: str) -> list[str]:
    """The ids that begin so: of ledgers, and of rows whose ledgers lie elsewhere."""
    other_cases = {prefix.lower(), prefix.upper()} - {prefix} if _HEXADECIMAL.fullmatch(prefix) else set()
    with opened(up_to_date=False, shared_too=True, reads=True) as session:
        for spellings in ({prefix}, other_cases):
            found = {name for each in spellings for name in session.ledgers.workflow_ids(each)}
            found.update(name for each in spellings for name in session.history.ids(each))
            if found:
                return sorted(found)
    return []


def _of_issue(given: str, number: int) -> str:
    with opened() as session:
        page = session.history.page(Query(issue_number=number, limit=LIMIT_MAX))
    if not page.rows:
        raise UnknownWorkflow(given, data_path())
    if len(page.rows) > 1:
        raise _ambiguous(given, page.rows, page.totals.count)
    return page.rows[0].adw_id


def _only(given: str, near: Sequence[str]) -> str:
    if len(near) == 1:
        return near[0]
    with opened(workflow_ids=near[:LIMIT_MAX]) as session:
        rows = [row for name in near[:LIMIT_MAX] if (row := session.history.row(name)) is not None]
    rows.sort(key=lambda row: row.last_activity or "", reverse=True)
    raise _ambiguous(given, rows, len(near))


def _ambiguous(given: str, rows: Sequence[Row], count: int) -> AmbiguousWorkflow:
    """The error that lists the first of these rows: id, project, cost and last activity."""
    cells = [_described(row) for row in rows[:_CANDIDATES_SHOWN]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in cells]
    return AmbiguousWorkflow(given, [line.rstrip() for line in lines], count)


def _described(row: Row) -> tuple[str, str, str, str]:
    cost = "cost unknown" if row.cost_basis is None else row_cost(row)
    return row.adw_id, plain(row.project or "(no project)"), cost, local_time(row.last_activity)[:-3]
