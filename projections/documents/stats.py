"""Statistics of what workflows cost."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated, Any, cast

from ledger.events import money
from projections.documents.spend import named_group
from projections.documents.types import About, TypedDict, Usd, document
from projections.reports.stats import Stats, StatsReport
from projections.reports.timezones import zone_called

__all__ = ["StatsDocument", "StatsFigures", "StatsLine", "stats_document"]


@document
class StatsFigures(TypedDict):
    """What the workflows of a group cost."""

    workflows: int
    runs: int
    cost_usd: Annotated[Usd, About("the sum")]
    at_least: Annotated[bool, About("some usage has no price or is incomplete: every figure is a lower bound")]
    mean_usd: Usd
    median_usd: Usd
    p90_usd: Annotated[Usd, About("90 % of the workflows cost at most this; between two of them in proportion")]
    p95_usd: Usd
    max_usd: Usd
    per_run_usd: Annotated[Usd, About("the mean cost of a run")]
    failed_workflows: int
    failed_usd: Annotated[Usd, About("what workflows cost that failed, with all of their runs")]
    repeated_runs: Annotated[int, About("runs before the last one of their workflow")]
    repeated_usd: Annotated[Usd, About("what these runs cost")]
    wasted_usd: Annotated[Usd, About("failed workflows and repeated runs, each dollar once")]


@document
class StatsLine(StatsFigures):
    """What the workflows of one value of `by` cost."""

    group: Annotated[
        str | int | None,
        About("null: not named; of several in `by`, their values joined by ` / `", examples=["adw_sdlc"]),
    ]
    dimensions: Annotated[dict[str, str | int | None], About("by name in `by`", examples=[{"template": "adw_sdlc"}])]


@document
class StatsDocument(TypedDict):
    """Statistics by group, the highest cost first; a workflow counts once in `total`, and in each group it spent in."""

    by: Annotated[str, About(examples=["template"])]
    timezone: Annotated[str, About("whose days; for `local`, what the host calls its zone")]
    lines: list[StatsLine]
    more: Annotated[int, About("lines that a limit leaves out")]
    total: StatsFigures
    unknown_count: Annotated[int, About("workflows last active in this time without a reading, which are not counted")]


def stats_document(made: StatsReport, zone: tzinfo | None, *, limit: int | None = None) -> StatsDocument:
    """Return statistics; `limit`: so many lines."""
    by = made.query.by
    return {
        "by": ",".join(by),
        "timezone": zone_called(zone),
        "lines": [cast(StatsLine, named_group(by, one.group) | _figures(one)) for one in made.lines[:limit]],
        "more": len(made.lines[limit:]) if limit is not None else 0,
        "total": cast(StatsFigures, _figures(made.total)),
        "unknown_count": made.total.sums.unknown,
    }


def _figures(one: Stats) -> dict[str, Any]:
    found = {
        "cost_usd": one.cost,
        "mean_usd": one.mean,
        "median_usd": one.quantile(50),
        "p90_usd": one.quantile(90),
        "p95_usd": one.quantile(95),
        "max_usd": one.quantile(100),
        "per_run_usd": one.per_run,
        "failed_usd": sum(one.failed),
        "repeated_usd": sum(one.repeated),
        "wasted_usd": one.wasted,
    }
    return {
        "workflows": len(one.costs),
        "runs": one.runs,
        "at_least": one.sums.at_least,
        "failed_workflows": len(one.failed),
        "repeated_runs": len(one.repeated),
    } | {name: money.to_wire(nanousd) for name, nanousd in found.items()}
