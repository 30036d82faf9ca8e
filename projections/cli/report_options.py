"""The options that say what a report is about: days, zone, filter and split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from projections.reports.dimensions import DIMENSIONS

__all__ = ["by_option", "since_option", "timezone_option", "until_option", "where_option"]

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


def by_option(text: str) -> Callable[[F], F]:
    """Return the option that names what a report is split by."""
    return click.option("--by", metavar="NAME[,NAME]", multiple=True, help=f"{text}: {_NAMES}.")
