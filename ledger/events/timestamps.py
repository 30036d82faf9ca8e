"""Moments: UTC with microseconds, always spelled `2026-11-23T18:33:01.123456Z`.

One width and one zone, so that text order is time order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "from_wire", "moment", "now", "parse", "to_wire"]

Clock = Callable[[], datetime]

_WIRE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z\Z", re.ASCII)
_MILLISECONDS = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z\Z", re.ASCII)
"""As JavaScript spells a moment, and so nearly every log."""


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def to_wire(moment: datetime) -> str:
    """A moment that knows its zone, as the one spelling of the ledger."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def from_wire(text: str) -> datetime:
    """The moment of a ledger's spelling.

    Raises:
        ValueError: any other spelling, or no such day.
    """
    if not _WIRE.match(text):
        raise ValueError(f"not a ledger time: {text!r}")
    return datetime.fromisoformat(text)


def moment(text: object) -> datetime | None:
    """The moment of a time that a database holds; None of what is none.

    One without a zone is UTC, as SQLite's `datetime('now')` and `CURRENT_TIMESTAMP` write it
    (https://www.sqlite.org/lang_datefunc.html).
    """
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def parse(value: object) -> str:
    """A caller's moment (ISO 8601 text with a zone, or an aware datetime) in the ledger's spelling.

    Raises:
        ValueError: not a moment, or one without a zone.
    """
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        if _WIRE.match(value):
            return value  # its spelling already
        if _MILLISECONDS.match(value):
            return f"{value[:-1]}000Z"
        value = found
    if not isinstance(value, datetime):
        raise ValueError("expected an ISO 8601 time such as 2026-11-23T18:33:01Z")
    if value.tzinfo is None:
        raise ValueError("a time needs its zone: end it with Z or +01:00")
    try:
        return to_wire(value)
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999") from None
