"""Questions of money besides `/api/spend`: statistics, comparisons, forecasts, the windows of plans, and what if."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ledger.errors import InvalidInput
from ledger.events import timestamps
from projections.documents.blocks import BlocksDocument, blocks_document
from projections.documents.compare import CompareDocument, compare_document
from projections.documents.forecast import ForecastDocument, forecast_document
from projections.documents.stats import StatsDocument, stats_document
from projections.documents.what_if import WhatIfDocument, what_if_document
from projections.reports.blocks import Window, blocks
from projections.reports.compare import compare, compared_by, sides
from projections.reports.dimensions import DIMENSIONS, parsed_where, split_names
from projections.reports.forecast import forecast
from projections.reports.stats import stats
from projections.reports.timezones import days_named, zone_named
from projections.reports.what_if import other_prices, what_if
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer
from projections.server.http.parameters import NAMES_MAX, Conditions, Since, Until, Zone, asked_query

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["spend"])

_LINES_MAX: Final = 20_000

By = Annotated[
    list[str] | None,
    Query(description=f"one or more of {', '.join(DIMENSIONS)}, or the key of a tag", max_length=NAMES_MAX),
]
Limit = Annotated[int, Query(ge=1, le=_LINES_MAX, description="so many lines")]


@router.get(
    "/forecast",
    dependencies=[Depends(needs("read"))],
    response_model=ForecastDocument,
    summary="The burn rate of what runs, and what this month comes to",
)
def get_forecast(request: Request, where: Conditions = None, timezone: Zone = "UTC") -> Response:
    """The burn rate is that of the last hour, or since a workflow's start. The projection goes on with the mean of
    the four weeks before today, weekdays and weekends apart, and has a range.
    """
    service, zone = service_of(request), zone_named("timezone", timezone)
    made = forecast(
        service.history,
        zone,
        timestamps.now(),
        where=parsed_where("where", where or ()),
        rules=service.tag_rules,
        idle_after=service.config.idle_after,
    )
    return answer(forecast_document(made, zone))


@router.get(
    "/stats",
    dependencies=[Depends(needs("read"))],
    response_model=StatsDocument,
    summary="What workflows cost: mean, median, p90, p95, the highest, and waste",
)
def get_stats(
    request: Request,
    by: By = None,
    where: Conditions = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = _LINES_MAX,
    timezone: Zone = "UTC",
) -> Response:
    """By template unless `by` names something else. Wasted is what failed workflows and repeated runs cost, those
    before the last run of their workflow.
    """
    service, zone = service_of(request), zone_named("timezone", timezone)
    names = split_names(by or ()) or ["template"]
    query = asked_query(zone, by=names, where=where, since=since, until=until)
    return answer(stats_document(stats(service.history, query, zone, rules=service.tag_rules), zone, limit=limit))


@router.get(
    "/compare",
    dependencies=[Depends(needs("read"))],
    response_model=CompareDocument,
    summary="By how much one period or value cost more than another, and what that comes from",
)
def get_compare(
    request: Request,
    a: Annotated[
        str,
        Query(
            description="a day, a month, two of them with `..` between, or a value",
            examples=["2026-10"],
            max_length=500,
        ),
    ],
    b: Annotated[
        str,
        Query(description="another one of the same sort, such as template=sdlc", examples=["2026-11"], max_length=500),
    ],
    by: By = None,
    where: Conditions = None,
    limit: Limit = _LINES_MAX,
    timezone: Zone = "UTC",
) -> Response:
    """The contributions and `others` add up to the difference, and so do `from_count_usd` and
    `from_cost_per_workflow_usd`. By model unless `by` names something else, and by agent where models are compared.
    """
    service, zone = service_of(request), zone_named("timezone", timezone)
    queries = sides(a, b, zone, days=_days, where=parsed_where("where", where or ()))
    names = compared_by(a, split_names(by or ()))
    made = compare(service.history, (a, b), queries, names, zone, rules=service.tag_rules)
    return answer(compare_document(made, zone, limit=limit))


def _days(since: str, until: str) -> tuple[date, date]:
    first, last = days_named("compare", since)[0], days_named("compare", until)[1]
    if first > last:
        raise InvalidInput(f"compare {since}..{until}: the first day is after the last")
    return first, last


@router.get(
    "/blocks",
    dependencies=[Depends(needs("read"))],
    response_model=BlocksDocument,
    summary="The windows in which plans limit usage: five hours, or seven days",
)
def get_blocks(
    request: Request,
    window: Annotated[Window, Query(description="five hours, or seven days")] = "5h",
    recent: Annotated[bool, Query(description="only those of the last 3 days")] = False,
    active: Annotated[bool, Query(description="only the one of now")] = False,
    where: Conditions = None,
    timezone: Zone = "UTC",
) -> Response:
    """A window begins with the full hour (UTC) of the first activity after the one before. Activity is known by the
    quarter hour. Costs are list prices: where a plan pays, they are what the API would have cost.
    """
    service, zone, now = service_of(request), zone_named("timezone", timezone), timestamps.now()
    conditions = parsed_where("where", where or ())
    found = blocks(
        service.history, window, zone, now, where=conditions, rules=service.tag_rules, recent=recent, active=active
    )
    return answer(blocks_document(window, found, zone, now))


@router.get(
    "/what-if",
    dependencies=[Depends(needs("read"))],
    response_model=WhatIfDocument,
    summary="What the same usage would have cost under other prices or models, or without prompt caching",
)
def get_what_if(
    request: Request,
    model: Annotated[
        str | None, Query(description="price all usage as this model's", examples=["claude-haiku-4-5"], max_length=200)
    ] = None,
    map: Annotated[
        list[str] | None, Query(description="MODEL=OTHER: price a model, or glob, as another", max_length=NAMES_MAX)
    ] = None,
    price: Annotated[
        list[str] | None,
        Query(description="MODEL=IN,OUT[,READ[,WRITE]] in USD per million tokens", max_length=NAMES_MAX),
    ] = None,
    no_cache: Annotated[bool, Query(description="price cached tokens as plain input, and nothing else")] = False,
    where: Conditions = None,
    since: Since = None,
    until: Until = None,
    timezone: Zone = "UTC",
) -> Response:
    """Nothing is appended. Prices are those of each day; tiers above a context limit and fees for each call are left
    out. Give at least one of `model`, `map`, `price` and `no_cache`.
    """
    service, zone = service_of(request), zone_named("timezone", timezone)
    other = other_prices(service.prices, model=model, mapped=map or (), given=price or (), uncached=no_cache)
    query = asked_query(zone, where=where, since=since, until=until)
    made = what_if(service.history, query, zone, other, service.prices, rules=service.tag_rules)
    return answer(what_if_document(made))
