"""Time zones and days as people name them."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo

from ledger.errors import InvalidInput

__all__ = ["day_named", "zone_called", "zone_named"]


def zone_named(where: str, name: str | None) -> tzinfo | None:
    """A zone by its IANA name; None is the local one of this host.

    Args:
        where: what the sentence calls it, such as an option.

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
    """What to call a zone in an answer; the local one by what this host calls it now, such as CET."""
    return str(datetime.now().astimezone().tzinfo if zone is None else zone)


def day_named(where: str, text: str | None) -> date | None:
    """A day.

    Raises:
        InvalidInput: it is none.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{where} {text!r}: give a day such as 2026-11-23 or 20261123") from None
