"""Timestamps: UTC with microseconds, always spelled `2026-11-23T18:33:01.123456Z`.

One width and one zone, so that text order is time order. All conversions between times and text are here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "from_unix", "from_wire", "moment", "now", "parse", "to_wire"]

Clock = Callable[[], datetime]

_WIRE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z\Z", re.ASCII)
_MILLISECONDS = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z\Z", re.ASCII)
"""As JavaScript spells a time, and so nearly every log."""


def now() -> datetime:
    """Return the time of the wall clock, in UTC."""
    return datetime.now(UTC)


def to_wire(moment: datetime) -> str:
    """Return a time that has a zone in the spelling of the ledger."""
    m = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    day = (m.year, m.month, m.day)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % (*day, m.hour, m.minute, m.second, m.microsecond)  # noqa: UP031


def from_wire(text: str) -> datetime:
    """Return the time that a ledger or a row of ours holds.

    Raises:
        ValueError: the text is not a time.
    """
    return datetime.fromisoformat(text)


def from_unix(seconds: float) -> datetime:
    """Return the time that is so many seconds after the start of 1970, in UTC.

    Raises:
        ValueError, OverflowError, OSError: the calendar has no such time.
    """
    return datetime.fromtimestamp(seconds, UTC)


def moment(text: object, *, local: bool = False) -> datetime | None:
    """Return the time in a log or a database of another program, with a zone; None when the value is not a time.

    Args:
        local: a time without a zone is local time; by default it is UTC, as SQLite's `datetime('now')` and
            `CURRENT_TIMESTAMP` write it (https://www.sqlite.org/lang_datefunc.html).
    """
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if found is None or found.tzinfo is not None:
        return found
    return found.astimezone() if local else found.replace(tzinfo=UTC)


def parse(value: object) -> str:
    """Return a time that a caller gives, ISO 8601 text with a zone or an aware datetime, in the ledger's spelling.

    Raises:
        ValueError: it is not a time, or has no zone.
    """
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        if _WIRE.match(value):
            return value
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
