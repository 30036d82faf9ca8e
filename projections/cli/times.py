"""Times and days as people type them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

__all__ = ["moment_option"]

F = TypeVar("F", bound=Callable[..., Any])


def moment_option(name: str, help: str, *, end_of_day: bool = False) -> Callable[[F], F]:
    """An option that takes a time or a day; without a zone it is the local one's.

    Args:
        end_of_day: a day means its end, the first moment of the next one.
    """

    def parse(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
            is_day = len(value) <= len("2026-11-23")
            return (
                moment + timedelta(days=1 if end_of_day and is_day else 0)
            ).astimezone()  # a day may have 23 or 25 hours
        except (ValueError, OverflowError):
            example = "give a day such as 2026-11-23, or a time such as 2026-11-23T18:33"
            raise click.BadParameter(f"{value!r} is no time; {example}", context, parameter) from None

    return click.option(name, metavar="TIME", callback=parse, help=help)
