"""Comparison of what was spent in two periods or on two values."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated, Any, cast

from ledger.events import money
from projections.documents.spend import named_group
from projections.documents.types import About, NotRequired, TypedDict, Usd, document, usd
from projections.reports.compare import Comparison, Contribution, Side, others
from projections.reports.spend_report import total_tokens
from projections.reports.timezones import zone_called

__all__ = ["CompareDocument", "CompareSide", "ContributionDocument", "compare_document"]


@document
class CompareSide(TypedDict):
    """What one side of a comparison cost."""

    selection: Annotated[str, About("what was asked for", examples=["2026-10"])]
    cost_usd: Usd
    at_least: Annotated[bool, About("more was spent: some usage has no price or is incomplete")]
    workflows: Annotated[int, About("that spent something")]
    per_workflow_usd: Annotated[Usd | None, About("the mean; null without any")]
    total_tokens: int
    unknown_count: Annotated[int, About("workflows without a reading: their cost is unknown")]


@document
class DifferenceFigures(TypedDict):
    """Two costs and their difference."""

    a_usd: Usd
    a_at_least: Annotated[bool, About("more was spent: a cost of 0.00 is unpriced then, and no figure")]
    b_usd: Usd
    b_at_least: bool
    difference_usd: Usd


@document
class ContributionDocument(DifferenceFigures):
    """What one value of `by` contributes to the difference."""

    group: Annotated[
        str | int | None,
        About("null: not named; of several in `by`, their values joined by ` / `", examples=["claude-sonnet-4-5"]),
    ]
    dimensions: Annotated[dict[str, str | int | None], About("by name in `by`", examples=[{"agent": "plan"}])]


@document
class OtherContributions(DifferenceFigures):
    """The contributions that a limit leaves out."""

    lines: Annotated[int, About("how many")]


@document
class CompareDocument(TypedDict):
    """Two sides, and what their difference comes from: `contributions` and `others` add up to it."""

    timezone: Annotated[str, About("whose days; for `local`, what the host calls its zone")]
    a: CompareSide
    b: CompareSide
    difference_usd: Annotated[Usd, About("by how much `b` is higher")]
    from_count_usd: Annotated[Usd, About("of it, what the number of workflows makes, each at the mean cost of `a`")]
    from_cost_per_workflow_usd: Annotated[Usd, About("of it, the rest")]
    by: Annotated[str, About(examples=["model"])]
    contributions: Annotated[list[ContributionDocument], About("the largest one of either sign first")]
    others: NotRequired[Annotated[OtherContributions, About("with `limit`")]]


def compare_document(made: Comparison, zone: tzinfo | None, *, limit: int | None = None) -> CompareDocument:
    """Return a comparison; `limit`: so many contributions, and what the others come to."""
    found: CompareDocument = {
        "timezone": zone_called(zone),
        "a": _side(made.before),
        "b": _side(made.after),
        "difference_usd": money.to_wire(made.difference),
        "from_count_usd": money.to_wire(made.from_count),
        "from_cost_per_workflow_usd": money.to_wire(made.from_mean),
        "by": ",".join(made.by),
        "contributions": [_contribution(made, part) for part in made.contributions[:limit]],
    }
    if limit is not None and (rest := made.contributions[limit:]):
        found["others"] = cast(OtherContributions, {"lines": len(rest), **_figures(others(rest))})
    return found


def _side(side: Side) -> CompareSide:
    return {
        "selection": side.text,
        "cost_usd": money.to_wire(side.cost),
        "at_least": side.total.at_least,
        "workflows": side.workflows,
        "per_workflow_usd": usd(side.per_workflow),
        "total_tokens": total_tokens(side.total.amounts),
        "unknown_count": side.total.unknown,
    }


def _contribution(made: Comparison, part: Contribution) -> ContributionDocument:
    return cast(ContributionDocument, named_group(made.by, part.group) | _figures(part))


def _figures(part: Contribution) -> dict[str, Any]:
    return {
        "a_usd": money.to_wire(part.before.amounts[0]),
        "a_at_least": part.before.at_least,
        "b_usd": money.to_wire(part.after.amounts[0]),
        "b_at_least": part.after.at_least,
        "difference_usd": money.to_wire(part.difference),
    }
