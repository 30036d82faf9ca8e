"""`/api/spend` and `/api/budgets`: what was spent by day, week or month, and on what; and of which budgets."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ledger.errors import InvalidInput
from projections.documents.budgets import BudgetsDocument, budgets_document
from projections.documents.spend import PERIODS, Period, SpendDocument, spend_document
from projections.reports.budgets import ended_near_or_over, of_running
from projections.reports.dimensions import DIMENSIONS, split_names
from projections.reports.period_budgets import budgets_now
from projections.reports.periods import quarters
from projections.reports.spend_report import SESSIONS, sessions_by_activity, spend_report
from projections.reports.timezones import day_named, zone_named
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer
from projections.server.http.parameters import NAMES_MAX, Conditions, Since, Until, Zone, asked_query

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["spend"])

_LINES_MAX: Final = 20_000
"""Of one answer, some megabytes; a page that asked for more asked by mistake."""


_Per = Annotated[
    Period,
    Query(
        description="weeks start on Monday (ISO 8601); session: a line for each session, the latest last; all: no "
        "periods, the highest cost first"
    ),
]
_By = Annotated[
    list[str] | None,
    Query(
        description=f"split each period by these: {', '.join(DIMENSIONS)}, or the key of a tag",
        examples=["model"],
        max_length=NAMES_MAX,
    ),
]
_Limit = Annotated[
    int | None,
    Query(ge=1, le=_LINES_MAX, description="so many lines, of sessions the latest; `others` is what the rest comes to"),
]


@router.get(
    "/spend",
    dependencies=[Depends(needs("read"))],
    response_model=SpendDocument,
    summary="What was spent by day, week or month, and on what",
)
def spend(
    request: Request,
    period: _Per = "day",
    by: _By = None,
    where: Conditions = None,
    since: Since = None,
    until: Until = None,
    limit: _Limit = None,
    breakdown: Annotated[bool, Query(description="each line by model, too")] = False,
    timezone: Zone = "UTC",
) -> Response:
    """Changes of cost at the moment they were observed, so a later correction shows on its own day; every
    grouping of the same days has the same sum. What a running row shows above its ledger is not spent.
    """
    zone = zone_named("timezone", timezone)
    service = service_of(request)
    names = [name for name in split_names(by or ()) if period != "session" or name not in SESSIONS]
    names[:0] = SESSIONS if period == "session" else ()
    query = replace(asked_query(zone, by=names, where=where, since=since, until=until), per=PERIODS[period])
    made = spend_report(service.history, query, zone, rules=service.tag_rules, limit=limit)
    if period == "session":
        made = sessions_by_activity(service.history, made, limit=limit)
    if limit is None and len(made.lines) > _LINES_MAX:
        raise InvalidInput(f"{len(made.lines):,} lines, and an answer may have {_LINES_MAX:,}: ask for fewer days")
    return answer(spend_document(period, made, zone, breakdown=breakdown, limit=limit))


@router.get(
    "/budgets",
    dependencies=[Depends(needs("read"))],
    response_model=BudgetsDocument,
    summary="What was spent of the budgets of this day, week and month, and of running workflows",
)
def budgets(request: Request, since: Since = None, until: Until = None, timezone: Zone = "UTC") -> Response:
    """Periods of the time zone of `[budgets]`, else of the server's. With `since` or `until` also the workflows that
    ended over their budget, or near it, and had their last activity in these days; others have it in their row.
    """
    service = service_of(request)
    configured = service.config.budgets
    workflows = of_running(service.history, configured)
    if since is not None or until is not None:
        asked = quarters(day_named("since", since), day_named("until", until), zone_named("timezone", timezone))
        workflows += ended_near_or_over(service.history, *asked, configured)
    periods = budgets_now(service.history, configured, rules=service.tag_rules)
    return answer(budgets_document(periods, workflows, configured))
