"""`/api/spend`: what was spent by day, week or month, and on what."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ledger.errors import InvalidInput
from projections.documents.spend import PERIOD_OF, SpendDocument, spend_document
from projections.reports.spend_report import (
    By,
    groups,
    last_activities,
    quarters,
    report,
    spent_at_from,
    without_reading,
)
from projections.reports.timezones import day_named, zone_named
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["spend"])

_KINDS: Final = {period: kind for kind, period in PERIOD_OF.items()}

_LINES_MAX: Final = 20_000
"""Of one answer, some megabytes; a page that asked for more asked by mistake."""

_ZONE_EXAMPLE: Final = "Europe/Berlin"


@router.get(
    "/spend",
    dependencies=[Depends(needs("read"))],
    response_model=SpendDocument,
    summary="What was spent by day, week or month, and on what",
)
def spend(
    request: Request,
    period: Annotated[
        Literal["day", "week", "month", "session"],
        Query(description="weeks start on Monday (ISO 8601); session: a line for each session, the latest last"),
    ] = "day",
    by: Annotated[By | None, Query(description="split each period by this", examples=["model"])] = None,
    since: Annotated[str | None, Query(description="the first day", examples=["2026-11-01"], max_length=32)] = None,
    until: Annotated[str | None, Query(description="the last day", examples=["2026-11-30"], max_length=32)] = None,
    breakdown: Annotated[bool, Query(description="each line by model, too")] = False,
    timezone: Annotated[
        str, Query(description="whose days: an IANA name, or `local` of the server", examples=[_ZONE_EXAMPLE])
    ] = "UTC",
) -> Response:
    """Changes of cost at the moment they were observed, so a later correction shows on its own day; every
    grouping of the same days has the same sum. What a running row shows above its ledger is not spent.
    """
    zone = zone_named("timezone", timezone)
    first_day, last_day = day_named("since", since), day_named("until", until)
    if first_day is not None and last_day is not None and first_day > last_day:
        raise InvalidInput(f"since {first_day} is after until {last_day}")
    kind = _KINDS[period]
    first, last = quarters(first_day, last_day, zone)
    history = service_of(request).history
    sums = history.spent(groups(kind, by), first=first, last=last, merged=kind == "session")
    latest = last_activities(history) if kind == "session" else {}
    made = report(kind, by, sums, zone, unknown=without_reading(history, first, last), latest=latest)
    if len(made.lines) > _LINES_MAX:
        raise InvalidInput(f"{len(made.lines):,} lines, and an answer may have {_LINES_MAX:,}: ask for fewer days")
    dated = spent_at_from(history, first, last)
    return answer(spend_document(kind, by, made, zone, dated, breakdown=breakdown))
