"""The options that say what a report is about: days, zone, filter and split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any, Final, TypeVar

import click

from projections.cli.parsing import day_range
from projections.reports.dimensions import DIMENSIONS, parsed_where
from projections.reports.periods import quarters
from projections.reports.spend_report import SpendQuery

__all__ = ["asked_query", "by_option", "since_option", "timezone_option", "until_option", "where_option"]

F = TypeVar("F", bound=Callable[..., Any])

timezone_option: Callable[[F], F] = click.option(
    "--timezone", metavar="ZONE", help="Days of this zone, such as Europe/Berlin [default: local]."
)

until_option: Callable[[F], F] = click.option(
    "--until", metavar="DATE", help="The last day, or period: 2026-11-30, yesterday, last month."
)

since_option: Callable[[F], F] = click.option(
    "--since", metavar="DATE", help="The first day, or period: 2026-11-01, last week; 7d: the last 7 days."
)

where_option: Callable[[F], F] = click.option(
    "--where",
    metavar="NAME=VALUE",
    multiple=True,
    help="Only of this: agent=plan, project=shop, team=payments, model='*opus*'; `issue=` for none. Several of one "
    "name are alternatives.",
)

_NAMES: Final = f"{', '.join(DIMENSIONS)}, or the key of a tag"


def asked_query(
    since: str | None, until: str | None, zone: tzinfo | None, where: Iterable[str], by: Iterable[str] = ()
) -> SpendQuery:
    """Return the query of spend that these options ask for.

    Raises:
        InvalidInput: one of them is no day or no condition, or the first day is after the last.
    """
    first, last = quarters(*day_range(since, until, zone), zone)
    return SpendQuery(tuple(by), where=parsed_where("--where", where), first=first, last=last)


def by_option(text: str) -> Callable[[F], F]:
    """Return the option that names what a report is split by."""
    return click.option("--by", metavar="NAME[,NAME]", multiple=True, help=f"{text}: {_NAMES}.")
