"""The burn rate of what runs, and what a month comes to."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated

from ledger.events import money, timestamps
from projections.documents.types import About, AdwIdText, Moment, TypedDict, Usd, document, usd
from projections.reports.forecast import Burn, Forecast, Projection
from projections.reports.periods import label_of
from projections.reports.timezones import zone_called

__all__ = ["BurnDocument", "ForecastDocument", "ProjectionDocument", "forecast_document"]


@document
class BurnDocument(TypedDict):
    """What a workflow that runs has spent in the last hour, or since its start."""

    adw_id: AdwIdText
    issue_number: int | None
    workflow_template: str | None
    project: str | None
    spent_usd: Usd
    at_least: Annotated[bool, About("more was spent: some usage has no price or is incomplete")]
    seconds: Annotated[int, About("in which it was spent; at least a quarter hour")]
    per_hour_usd: Usd


@document
class ProjectionDocument(TypedDict):
    """What a month comes to by its end."""

    projected_usd: Usd
    low_usd: Annotated[Usd | None, About("null: one day is too few for a range")]
    high_usd: Usd | None
    days: Annotated[int, About("the complete days that it is made of, at most 28")]
    method: Annotated[str, About("how it was made, in one sentence")]


@document
class ForecastDocument(TypedDict):
    """The burn rate of what runs, and what this month comes to."""

    made_at: Moment
    timezone: Annotated[str, About("whose days; for `local`, what the host calls its zone")]
    month: Annotated[str, About(examples=["2026-11"])]
    month_to_date_usd: Usd
    at_least: Annotated[bool, About("more was spent, so more is to be expected")]
    projection: Annotated[ProjectionDocument | None, About("null before the first complete day, and without a price")]
    per_hour_usd: Annotated[Usd, About("the burn rate of all that runs")]
    running: Annotated[list[BurnDocument], About("open workflows that are not idle, the highest rate first")]


def forecast_document(made: Forecast, zone: tzinfo | None) -> ForecastDocument:
    """Return a forecast."""
    return {
        "made_at": timestamps.to_wire(made.made_at),
        "timezone": zone_called(zone),
        "month": label_of("month", made.today),
        "month_to_date_usd": money.to_wire(made.month.total.amounts[0]),
        "at_least": made.month.total.at_least,
        "projection": None if made.projected is None else _projection(made.projected),
        "per_hour_usd": money.to_wire(made.per_hour_nanousd),
        "running": [_burn(burn) for burn in made.burns],
    }


def _projection(made: Projection) -> ProjectionDocument:
    return {
        "projected_usd": money.to_wire(made.nanousd),
        "low_usd": usd(made.low_nanousd),
        "high_usd": usd(made.high_nanousd),
        "days": made.days,
        "method": made.method,
    }


def _burn(burn: Burn) -> BurnDocument:
    return {
        "adw_id": burn.row.adw_id,
        "issue_number": burn.row.issue_number,
        "workflow_template": burn.row.workflow_template,
        "project": burn.row.project,
        "spent_usd": money.to_wire(burn.spent.amounts[0]),
        "at_least": burn.spent.at_least,
        "seconds": burn.seconds,
        "per_hour_usd": money.to_wire(burn.per_hour_nanousd),
    }
