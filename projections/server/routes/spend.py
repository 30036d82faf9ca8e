"""`/api/spend`: what was spent by day, week or month, and on what."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ledger.errors import InvalidInput
from projections.folding.spend import AMOUNTS, Amounts
from projections.reports.spend_report import (
    PERIODS,
    By,
    Kind,
    Line,
    at_least,
    groups,
    quarters,
    report,
    spent_at_from,
    total_tokens,
)
from projections.reports.timezones import day_named, zone_called, zone_named
from projections.server.http import schemas
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer
from projections.server.http.problems import documented
from projections.server.http.serializers import usd

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["spend"])

_KINDS: Final[dict[str, Kind]] = {"day": "daily", "week": "weekly", "month": "monthly"}

_LINES_MAX: Final = 20_000
"""Of one answer, some megabytes; a page that asked for more asked by mistake."""

_ZONE_EXAMPLE: Final = "Europe/Berlin"
_COUNTS: Final = [name for name in AMOUNTS[1:] if name not in ("unpriced_tokens", "partial")]


@router.get(
    "/spend",
    dependencies=[Depends(needs("read"))],
    response_model=schemas.SpendSchema,
    responses=documented(),
    summary="What was spent by day, week or month, and on what",
)
def spend(
    request: Request,
    period: Annotated[Literal["day", "week", "month"], Query(description="weeks begin on Monday (ISO 8601)")] = "day",
    by: Annotated[By | None, Query(description="split each period by this", examples=["model"])] = None,
    since: Annotated[str | None, Query(description="the first day", examples=["2026-11-01"], max_length=32)] = None,
    until: Annotated[str | None, Query(description="the last day", examples=["2026-11-30"], max_length=32)] = None,
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
    made = report(kind, by, service_of(request).history.spent(groups(kind, by), first=first, last=last), zone)
    if len(made.lines) > _LINES_MAX:
        raise InvalidInput(f"{len(made.lines):,} lines, and an answer may have {_LINES_MAX:,}: ask for fewer days")
    return answer(
        {
            "period": period,
            "by": by,
            "timezone": zone_called(zone),
            "lines": [_line(line, line.labels[PERIODS[kind]], by) for line in made.lines],
            "groups": [] if by is None else _groups(made.lines, by),
            "total": _figures(made.total.amounts, at_least=made.total.at_least),
            "spent_at_from": {
                name: usd(cost) for name, cost in spent_at_from(service_of(request).history, first, last).items()
            },
            "unpriced": {n: {"events": events, "tokens": tokens} for n, (events, tokens) in made.unpriced.items()},
        }
    )


def _line(line: Line, period: Any, by: By | None) -> dict[str, Any]:
    group = None if by is None else line.labels[by]
    return {"period": period, "group": group, "models": sorted(line.models)} | _figures(
        line.amounts, at_least=line.at_least
    )


def _groups(lines: list[Line], by: By) -> list[dict[str, Any]]:
    """What each group adds up to over all periods, the highest cost first."""
    sums: dict[Any, Amounts] = {}
    for line in lines:
        sum_of = sums.setdefault(line.labels[by], [0] * len(AMOUNTS))
        for at, amount in enumerate(line.amounts):
            sum_of[at] += amount
    ordered = sorted(sums.items(), key=lambda both: (-both[1][0], str(both[0])))
    return [{"group": group} | _figures(amounts, at_least=at_least(amounts)) for group, amounts in ordered]


def _figures(amounts: Amounts, *, at_least: bool) -> dict[str, Any]:
    counts = {name: amounts[AMOUNTS.index(name)] for name in _COUNTS}
    figures = {"cost": usd(amounts[0]), "at_least": at_least, "total_tokens": total_tokens(amounts)}
    return figures | counts
