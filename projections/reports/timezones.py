"""Time zones and days by the names that people use."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo

from ledger.errors import InvalidInput
from projections.reports.periods import month_days

__all__ = ["day_named", "days_named", "zone_called", "zone_named"]


def zone_named(where: str, name: str | None) -> tzinfo | None:
    """Return a zone by its IANA name; None is the local one of this host.

    Args:
        where: the name of the value in the message, such as an option.

    Raises:
        InvalidInput: there is no such zone.
    """
    if name is None or name.lower() == "local":
        return None
    if name.upper() == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(f"{where} {name!r}: no such zone; give a name such as Europe/Berlin, or UTC") from None


def zone_called(zone: tzinfo | None) -> str:
    """Return the name of a zone for an answer; of the local one its current name on this host, such as CET."""
    return str(datetime.now().astimezone().tzinfo if zone is None else zone)


def days_named(where: str, text: str) -> tuple[date, date]:
    """Return the first and the last day of a day or a month.

    Raises:
        InvalidInput: the text is neither.
    """
    try:
        day = date.fromisoformat(f"{text}-01" if len(text) == len("2026-11") else text)
    except ValueError:
        raise InvalidInput(f"{where} {text!r}: give a day such as 2026-11-23, or a month such as 2026-11") from None
    return (day, month_days(day)[-1]) if len(text) == len("2026-11") else (day, day)


def day_named(where: str, text: str | None) -> date | None:
    """Return a day.

    Raises:
        InvalidInput: the text is not a day.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{where} {text!r}: give a day such as 2026-11-23 or 20261123") from None
