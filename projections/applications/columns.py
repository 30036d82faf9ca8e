"""The columns of an application's table that are ours, and their differences from our row; pure.

Of `cost_breakdown` only the key `costledger` is ours. Text that is not a JSON object is left unchanged, and so are the
bytes of an object's other keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from projections.folding.row import COLUMNS, Row

__all__ = ["KEY", "AsColumn", "columns_written", "difference", "with_breakdown"]

KEY: Final = "costledger"

COST_COLUMNS: Final = frozenset(
    {
        "actual_cost_total",
        "actual_cost_nanousd",
        "cost_breakdown",
        "input_tokens",
        "cached_tokens",
        "cache_hit_tokens",
        "cache_miss_tokens",
        "output_tokens",
        "total_tokens",
        "cache_efficiency_percent",
        "cost_basis",
        "unpriced_events",
    }
)
"""Ours in any table that has them; the other columns only where an earlier version added them."""

AsColumn = Callable[[str, Any], Any]
"""`(column, value)`: the value as the column returns it, for example rounded by `numeric(10,2)`."""

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()


def columns_written(there: Collection[str], added: Collection[str]) -> tuple[str, ...]:
    """Return the columns that are written, in the order of a row.

    Args:
        there: those of the application's table.
        added: those that an earlier version of costledger added to it.
    """
    return tuple(
        name for name in COLUMNS if name != "adw_id" and name in there and (name in COST_COLUMNS or name in added)
    )


def difference(row: Row, stored: Mapping[str, Any], as_column: AsColumn) -> dict[str, Any]:
    """Return the values to write so that the columns in `stored` show this row; empty when they do."""
    wanted: dict[str, Any] = {}
    for name, old in stored.items():
        new: Any = getattr(row, name)
        if name == "cost_breakdown":
            new = with_breakdown(old, new)
            if new is not None and new != old:
                wanted[name] = new
        elif name == "token_breakdown":
            if _parsed(old) != _parsed(new):
                wanted[name] = new
        elif not _same(old, as_column(name, new)):
            wanted[name] = new
    return wanted


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, int) and isinstance(new, int):
        return old == new  # nanodollars may be above the precision of a float
    if isinstance(new, int | float) and isinstance(old, str | Decimal | int | float):
        try:
            return float(old) == float(new)
        except ValueError:
            return False
    return bool(old == new)


def _parsed(text: Any) -> Any:
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        return text


def with_breakdown(text: Any, ours: str) -> str | None:
    """Return an application's `cost_breakdown` with ours under our key; None when it must stay unchanged.

    Args:
        ours: the breakdown of a row, JSON.

    Returns:
        The same text when it has ours already; the bytes of its other keys never change.
    """
    if text is None or (isinstance(text, str) and not text.strip()):
        return f'{{"{KEY}":{ours}}}'
    if not isinstance(text, str):
        return None
    try:
        whole = json.loads(text)
        if not isinstance(whole, dict):
            return None
        if KEY not in whole:
            end = text.rindex("}")
            return f'{text[:end]}{"," if whole else ""}"{KEY}":{ours}{text[end:]}'
        if whole[KEY] == json.loads(ours):
            return text
        start, end = _span(text)
    except (ValueError, RecursionError):
        return None
    return f"{text[:start]}{ours}{text[end:]}"


def _span(text: str) -> tuple[int, int]:
    """Return the span of our key's value in the text of an object that has it; of several, the last, which counts."""
    found, at = (0, 0), _after_space(text, 0) + 1
    while text[at := _after_space(text, at)] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)  # after the colon
        _, end = _DECODER.raw_decode(text, start)
        if key == KEY:
            found = start, end
        at = _after_space(text, end)
        at += text[at] == ","
    return found


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()
