"""Checks of the fields of an event.

Each check returns the value to record, or raises ValueError with a reason that completes "field …:". They run for every
event of an import, so the usual value of a field passes its check in one comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ledger.errors import shown
from ledger.events import money, timestamps

__all__ = [
    "COUNT_MAX",
    "TOKENS_MAX",
    "USAGE_FIELDS",
    "Check",
    "check_amount",
    "check_cost",
    "check_count",
    "check_findings",
    "check_flag",
    "check_name",
    "check_prose",
    "check_run",
    "check_source",
    "check_tags",
    "check_time",
    "check_usage",
    "one_of",
    "problem_of_count",
]

Check = Callable[[object], Any]

USAGE_FIELDS: Final = (
    "input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "output_tokens",
    "web_search_requests",
)
"""Disjoint buckets, except that `cache_write_1h_tokens` is a part of `cache_write_tokens`."""

COUNT_MAX: Final = 2**63 - 1
"""The largest integer that SQLite stores exactly."""
TOKENS_MAX: Final = 10**12
"""Of one bucket of a reading: a million calls that fill a context of a million tokens, and nine million such readings
still fit a signed 64-bit column."""
_RUN_MAX: Final = 10**9
_NAME_CHARACTERS_MAX: Final = 512
_COST: Final = re.compile(r"(0|[1-9][0-9]{0,5})\.([0-9]{2}|[0-9]{2,8}[1-9])\Z")
"""The cost of a reading in the spelling of the ledger, as most are given."""
_TEXT_CHARACTERS_MAX: Final = 4096
_TAGS_MAX: Final = 50
_NO_TAGS: Final = frozenset(
    ("agent", "model", "session", "run", "workflow", "template", "issue", "project", "branch", "tool", "status")
)
"""The dimensions of spend, see `projections.reports.dimensions`: a tag of such a name would not be found."""
_TAG_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def _text(maximum: int, *, multiline: bool = False) -> Callable[[object], str]:
    def check(value: object) -> str:
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= maximum:
            return value  # printable text holds neither surrogates nor control characters
        if not isinstance(value, str) or not value:
            raise ValueError(f"expected text, not {shown(value)}")
        if len(value) > maximum:
            raise ValueError(f"longer than {maximum} characters")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("holds a lone surrogate, which is not valid Unicode text") from None
        if not multiline and any(c < " " or c == "\x7f" for c in value):
            raise ValueError(f"holds a control character: {shown(value)}")
        return value

    return check


check_name = _text(_NAME_CHARACTERS_MAX)
"""Return the name of an agent, a session, a model or an id; ValueError when it is empty, too long or unprintable."""
check_prose = _text(_TEXT_CHARACTERS_MAX, multiline=True)
"""Return a text of several lines, such as an error message."""
check_time: Final = timestamps.parse


def check_count(value: object) -> int:
    """Return a whole number from 0 to `COUNT_MAX`."""
    if type(value) is int and 0 <= value <= COUNT_MAX:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected a whole number below 2^63, not {shown(value)}")
    if not 0 <= value <= COUNT_MAX:
        raise ValueError(f"{value if abs(value) < 10**30 else 'that number'} is not between 0 and 2^63 - 1")
    return value


def _positive(value: object) -> int:
    if check_count(value) == 0:
        raise ValueError("counting starts at 1")
    return check_count(value)


def check_run(value: object) -> int:
    """Return the number of a run, which starts at 1."""
    run = _positive(value)
    if run > _RUN_MAX:
        raise ValueError(f"{run:,} is above the limit of {_RUN_MAX:,}")
    return run


def check_flag(value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {shown(value)}")
    return value


def check_amount(value: object) -> str:
    """Return an amount of USD as the ledger spells it."""
    return money.to_wire(money.parse(value))


def check_cost(value: object) -> str:
    """Return the cost of one reading as the ledger spells it."""
    if isinstance(value, str) and _COST.match(value):
        return value
    negative = "a cost cannot be negative; use `correct` to lower a figure"
    return money.to_wire(money.parse(value, negative=negative, most_nanousd=money.READING_NANOUSD_MAX))


def one_of(*choices: str) -> Callable[[object], str]:
    """Return a check that accepts only these texts."""

    def check(value: object) -> str:
        if value not in choices:
            raise ValueError(f"expected {' or '.join(choices)}, not {shown(value)}")
        return str(value)

    return check


def problem_of_count(value: object) -> str:
    """Return why a value is not a valid token count of a reading."""
    if isinstance(value, bool) or not isinstance(value, int):
        return f"expected a whole number, not {shown(value)}"
    return f"{value if abs(value) < 10**30 else 'that number'} is not between 0 and {TOKENS_MAX:,}"


def check_usage(value: object) -> dict[str, int]:
    """Return token counts by bucket, in the order of `USAGE_FIELDS`."""
    if type(value) is not dict and not isinstance(value, Mapping):
        raise ValueError(f"expected an object of token counts, not {shown(value)}")
    usage: dict[str, int] = {}
    for name in USAGE_FIELDS:
        if name in value:
            usage[name] = count = value[name]
            if type(count) is not int or not 0 <= count <= TOKENS_MAX:
                raise ValueError(f"{name}: {problem_of_count(count)}")
    if len(usage) != len(value):
        unknown = min(str(name) for name in value if name not in USAGE_FIELDS)
        raise ValueError(f"unknown bucket {shown(unknown)}; the buckets are {', '.join(USAGE_FIELDS)}")
    if usage.get("cache_write_1h_tokens", 0) > usage.get("cache_write_tokens", 0):
        raise ValueError("cache_write_1h_tokens is a part of cache_write_tokens and cannot exceed it")
    if not usage:
        raise ValueError("names no bucket; leave usage out when it is unknown")
    return usage


def _names(value: object) -> list[str]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"expected a list of names, not {shown(value)}")
    return [check_name(name) for name in value]


def check_findings(value: object) -> dict[str, str]:
    """Return the kinds of accepted findings, each with what it covers."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"expected an object: the kind of each finding, and what it covers; not {shown(value)}")
    return {check_name(kind): check_name(covers) for kind, covers in value.items()}


def check_tags(value: object) -> dict[str, str]:
    """Return tags by key; an empty value removes one."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"expected an object of texts such as {{'team': 'payments'}}, not {shown(value)}")
    if len(value) > _TAGS_MAX:
        raise ValueError(f"{len(value)} tags, and one event may have {_TAGS_MAX}")
    for key, text in value.items():
        if not isinstance(key, str) or not _TAG_KEY.fullmatch(key):
            problem = "a key is a letter and up to 63 letters, digits, `_`, `.` or `-`"
            raise ValueError(f"{shown(key)} is no key of a tag: {problem}")
        if text != "" and check_name(text) and key in _NO_TAGS:
            raise ValueError(f"spend has {key!r} without a tag; call this one something else, such as '{key}_tag'")
    return dict(value)


def check_source(value: object) -> dict[str, Any]:
    """Return where an event was read from; members that this version does not define are unchanged."""
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise ValueError("expected an object with kind, file and line")
    return {str(k): _SOURCE[k](v) if k in _SOURCE else v for k, v in value.items()}


_SOURCE: Final[Mapping[str, Check]] = {
    "kind": _text(64),
    "file": _text(_TEXT_CHARACTERS_MAX),
    "line": _positive,
    "process": check_name,
    "spent_at_from": _text(64),
    "series": check_name,
    "series_cost_usd": check_amount,
    "series_usage": check_usage,
    "series_partial": check_flag,
    "series_carried_usd": check_amount,
    "names": _names,
    "several": check_flag,
}
