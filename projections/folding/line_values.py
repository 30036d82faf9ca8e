"""The values of a line's fields, each checked where it is taken."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import astuple

from ledger.errors import InvalidEvent, shown
from ledger.events import money
from ledger.events.fields import USAGE_FIELDS
from ledger.events.typed_line import TypedLine, UsageCounts
from projections.folding.calls import rank_of
from projections.folding.readings import Tokens

__all__ = [
    "counter_of",
    "evidence_of",
    "impossible",
    "moment_of",
    "name_in",
    "named_evidence",
    "nanousd_of",
    "rank_in",
    "text_in",
    "usage_of",
]

_INPUT, _WRITE, _WRITE_1H, _READ, _OUTPUT, _SEARCH = USAGE_FIELDS
_INTEGERS: Final = frozenset({int})


def name_in(line: TypedLine, name: str, value: object) -> str:
    """Return a name in a line.

    Raises:
        InvalidEvent: it is no text, or has a NUL character.
    """
    if not isinstance(value, str) or "\0" in value:
        raise impossible(line, name, f"expected text, not {shown(value)}")
    return value


def text_in(line: TypedLine, name: str) -> str | None:
    """Return a text in a line; None without it.

    Raises:
        InvalidEvent: it is no text.
    """
    value: Any = getattr(line, name)
    if value is not None and not isinstance(value, str):
        raise impossible(line, name, f"expected text, not {shown(value)}")
    return value


def counter_of(line: TypedLine) -> str | None:
    """Return the counter of a reading; None without one."""
    value = line.counter
    return None if value is None else name_in(line, "counter", value)


def moment_of(line: TypedLine) -> str:
    """Return the moment of an event: when it was observed, or else recorded."""
    return text_in(line, "observed_at") or str(line.recorded_at)


def evidence_of(line: TypedLine) -> tuple[str, str]:
    """Return the moment of a reading without a time, not after its record, and the evidence for it."""
    return min(str(text_in(line, "spent_at")), line.recorded_at), named_evidence(line) or "unknown"


def named_evidence(line: TypedLine) -> str | None:
    """Return the evidence for the time of a reading or an end whose source has no time for it."""
    named = None if line.source is None else line.source.spent_at_from
    return named if isinstance(named, str) and "\0" not in named else None


def nanousd_of(line: TypedLine) -> int:
    """Return the cost of a priced reading.

    Raises:
        InvalidEvent, InvalidMoney: it is no text, or no amount.
    """
    if type(line.cost_usd) is not str:
        raise impossible(line, "cost_usd", f"expected text, not {shown(line.cost_usd)}")
    return money.from_wire(line.cost_usd)


def rank_in(line: TypedLine) -> int:
    """Return the rank of a priced reading; see `rank_of`."""
    return rank_of(reported=line.cost_source != "priced", complete=line.partial is not True, final=line.final is True)


def usage_of(line: TypedLine) -> Tokens:
    """Return the usage of a reading; empty without one.

    Raises:
        InvalidEvent: it is no object of token counts.
    """
    usage: object = line.usage
    if usage is None:
        return ()
    if type(usage) is UsageCounts:
        return astuple(usage)
    if isinstance(usage, dict):
        get = usage.get
        counts = (get(_INPUT, 0), get(_WRITE, 0), get(_WRITE_1H, 0), get(_READ, 0), get(_OUTPUT, 0), get(_SEARCH, 0))
        if _INTEGERS.issuperset(map(type, counts)) and min(counts) >= 0:
            return counts
    raise impossible(line, "usage", f"expected token counts, not {shown(usage)}")


def impossible(line: TypedLine, name: str, problem: str) -> InvalidEvent:
    """Return the error of a field whose value no append can have written."""
    return InvalidEvent(name, f"at seq {line.seq} of ledger {line.workflow_id!r}: {problem}")
