"""The plain model of a page: every store must answer a query as it does."""

from __future__ import annotations

from collections.abc import Iterable

from projections.folding.row import Row
from projections.folding.tools import split_tools
from projections.history.idle import shown_status
from projections.history.query import SORTS, TEXT_COLUMNS, Page, Query, totals_of

__all__ = ["page_of"]


def page_of(rows: Iterable[Row], query: Query) -> Page:
    """Return the page of a query over these rows."""
    found = [row for row in rows if _matches(row, query)]
    column = SORTS[query.sort]
    ordered = sorted(found, key=lambda row: row.adw_id, reverse=query.descending)
    present = [row for row in ordered if getattr(row, column) is not None]
    present.sort(key=lambda row: getattr(row, column), reverse=query.descending)
    ordered = present + [row for row in ordered if getattr(row, column) is None]
    return Page(ordered[query.offset : query.offset + query.limit], totals_of(found))


def _matches(row: Row, query: Query) -> bool:
    text = (query.text or "").lower()
    return (
        (not query.statuses or shown_status(row) in query.statuses)
        and query.issue_number in (None, row.issue_number)
        and query.workflow_template in (None, row.workflow_template)
        and (query.project is None or f"/{row.project or ''}".endswith(f"/{query.project}"))
        and (query.tool is None or query.tool in split_tools(row.tool))
        and query.basis in (None, row.cost_basis or "none")
        and (query.since is None or (row.last_activity or "") >= query.since)
        and (query.until is None or (row.last_activity or query.until) < query.until)
        and all((shown_status(row) if name == "status" else getattr(row, name)) in asked for name, asked in query.where)
        and any(text in (getattr(row, name) or "").lower() for name in TEXT_COLUMNS)
    )
