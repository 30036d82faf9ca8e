"""Questions of money besides `/api/spend`: what this month comes to."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ledger.events import timestamps
from projections.documents.forecast import ForecastDocument, forecast_document
from projections.reports.dimensions import parsed_where
from projections.reports.forecast import forecast
from projections.reports.timezones import zone_named
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["spend"])

_NAMES_MAX: Final = 20

Where = Annotated[
    list[str] | None,
    Query(
        description="only of this: the name of a dimension or of a tag, `=` and a value, as in `/api/spend`",
        examples=["project=shop"],
        max_length=_NAMES_MAX,
    ),
]
Zone = Annotated[
    str, Query(description="whose days: an IANA name, or `local` of the server", examples=["Europe/Berlin"])
]


@router.get(
    "/forecast",
    dependencies=[Depends(needs("read"))],
    response_model=ForecastDocument,
    summary="The burn rate of what runs, and what this month comes to",
)
def get_forecast(request: Request, where: Where = None, timezone: Zone = "UTC") -> Response:
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
