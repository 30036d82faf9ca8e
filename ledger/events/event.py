"""Events: what an agent, a person or a source says happened; frozen and valid from construction.

An `Event` holds exactly the wire fields its maker gave, in the order of a ledger line, without the four the
journal adds (`v`, `seq`, `recorded_at`, `hash`). Absent means absent: there are no nulls. Fields this version
does not know are kept as they are.

This file knows no file, no clock and no price.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from ledger.errors import InvalidEvent, InvalidMoney, shown
from ledger.events import money, timestamps
from ledger.events.workflow_ids import check_workflow_id

__all__ = [
    "COST_OBSERVED",
    "COUNT_MAX",
    "END_TYPES",
    "EVENT_TYPES",
    "FINDING_ACCEPTED",
    "FORMAT_VERSION",
    "LEDGER_OPENED",
    "LIFECYCLE_TYPES",
    "TOKENS_MAX",
    "USAGE_FIELDS",
    "WORKFLOW_CANCELLED",
    "WORKFLOW_COMPLETED",
    "WORKFLOW_FAILED",
    "WORKFLOW_STARTED",
    "Event",
    "Line",
    "call_observed",
    "check_name",
    "check_usage",
    "cost_observed",
    "event",
    "finding_accepted",
    "problem_of_count",
    "workflow_ended",
    "workflow_started",
]

Line = dict[str, Any]
"""A ledger line as parsed JSON: an event's fields and what the journal added."""

FORMAT_VERSION: Final = 1

LEDGER_OPENED: Final = "ledger_opened"
COST_OBSERVED: Final = "cost_observed"
WORKFLOW_STARTED: Final = "workflow_started"
WORKFLOW_COMPLETED: Final = "workflow_completed"
WORKFLOW_FAILED: Final = "workflow_failed"
WORKFLOW_CANCELLED: Final = "workflow_cancelled"
FINDING_ACCEPTED: Final = "finding_accepted"

END_TYPES: Final = frozenset({WORKFLOW_COMPLETED, WORKFLOW_FAILED, WORKFLOW_CANCELLED})
LIFECYCLE_TYPES: Final = END_TYPES | {WORKFLOW_STARTED}
EVENT_TYPES: Final = LIFECYCLE_TYPES | {COST_OBSERVED, FINDING_ACCEPTED}
"""What a caller may append; `ledger_opened` is the journal's own."""

USAGE_FIELDS: Final = (
    "input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "output_tokens",
    "web_search_requests",
)
"""Disjoint buckets, but for `cache_write_1h_tokens`, a part of `cache_write_tokens`."""

_NAME_CHARACTERS_MAX = 512
_TEXT_CHARACTERS_MAX = 4096
COUNT_MAX: Final = 2**63 - 1
"""The largest integer that every JSON reader we care about, and SQLite, keeps exact."""
TOKENS_MAX: Final = 10**12
"""Of one bucket of a reading: a million calls that fill a context of a million tokens, and nine million such readings
still fit a signed 64-bit column."""
RUN_MAX: Final = 10**9
_JOURNAL_FIELDS = frozenset({"v", "seq", "recorded_at", "hash"})
_ENVELOPE = frozenset({"type", "workflow_id"})


@dataclass(frozen=True, slots=True)
class Event:
    """One valid event, not yet in a ledger.

    Attributes:
        workflow_id: the ledger it belongs to.
        type: one of `EVENT_TYPES`.
        fields: the wire fields given, `id` among them when the caller named one; read-only.
        derived: names in `fields` that were computed here (a price from usage) rather than given; they do not
            count when a repeated id is compared with what the ledger holds.
    """

    workflow_id: str
    type: str
    fields: Mapping[str, Any]
    derived: frozenset[str] = field(default=frozenset())

    @property
    def lacks_price(self) -> bool:
        """Whether it is a reading that names a model and its usage, and no cost."""
        fields = self.fields
        return self.type == COST_OBSERVED and "cost_usd" not in fields and "model" in fields and "usage" in fields

    @property
    def needs_workflow(self) -> bool:
        """Whether it speaks of a workflow that exists: an end, an acceptance, a correction (final, with a reason)."""
        corrects = self.fields.get("final") is True and "reason" in self.fields
        return self.type in END_TYPES | {FINDING_ACCEPTED} or (self.type == COST_OBSERVED and corrects)

    @property
    def id(self) -> str | None:
        """The caller's id, if one was given."""
        value: str | None = self.fields.get("id")
        return value


def _text(maximum: int, *, multiline: bool = False) -> Callable[[object], str]:
    def check(value: object) -> str:
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= maximum:
            return value  # nearly all texts: printable ones hold neither surrogates nor control characters
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


def _count(value: object) -> int:
    if type(value) is int and 0 <= value <= COUNT_MAX:
        return value  # nearly all counts
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected a whole number below 2^63, not {shown(value)}")
    if not 0 <= value <= COUNT_MAX:
        raise ValueError(f"{value if abs(value) < 10**30 else 'that number'} is not between 0 and 2^63 - 1")
    return value


def _positive(value: object) -> int:
    if _count(value) == 0:
        raise ValueError("counting starts at 1")
    return _count(value)


def _run(value: object) -> int:
    run = _positive(value)
    if run > RUN_MAX:
        raise ValueError(f"{run:,} is above the limit of {RUN_MAX:,}")
    return run


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {shown(value)}")
    return value


def _amount(value: object) -> str:
    return money.to_wire(money.parse(value))


def _cost(value: object) -> str:
    negative = "a cost cannot be negative; use `correct` to lower a figure"
    return money.to_wire(money.parse(value, negative=negative, most_nanousd=money.READING_NANOUSD_MAX))


def _one_of(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in choices:
            raise ValueError(f"expected {' or '.join(choices)}, not {shown(value)}")
        return str(value)

    return check


def problem_of_count(value: object) -> str:
    """Return why a value is no token count of a reading."""
    if isinstance(value, bool) or not isinstance(value, int):
        return f"expected a whole number, not {shown(value)}"
    return f"{value if abs(value) < 10**30 else 'that number'} is not between 0 and {TOKENS_MAX:,}"


def check_usage(value: object) -> dict[str, int]:
    """Token counts by bucket, in the order of `USAGE_FIELDS`; ValueError when they are none."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected an object of token counts, not {shown(value)}")
    usage: dict[str, int] = {name: value[name] for name in USAGE_FIELDS if name in value}
    if len(usage) != len(value):
        unknown = min(str(name) for name in value if name not in USAGE_FIELDS)
        raise ValueError(f"unknown bucket {shown(unknown)}; the buckets are {', '.join(USAGE_FIELDS)}")
    for name, count in usage.items():
        if type(count) is not int or not 0 <= count <= TOKENS_MAX:
            raise ValueError(f"{name}: {problem_of_count(count)}")
    if usage.get("cache_write_1h_tokens", 0) > usage.get("cache_write_tokens", 0):
        raise ValueError("cache_write_1h_tokens is a part of cache_write_tokens and cannot exceed it")
    if not usage:
        raise ValueError("names no bucket; leave usage out when it is unknown")
    return usage


def _names(value: object) -> list[str]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"expected a list of names, not {shown(value)}")
    return [check_name(name) for name in value]


def _findings(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"expected an object: the kind of each finding, and what it covers; not {shown(value)}")
    return {check_name(kind): check_name(covers) for kind, covers in value.items()}


def _source(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise ValueError("expected an object with kind, file and line")
    return {str(k): _SOURCE[k](v) if k in _SOURCE else v for k, v in value.items()}


_SOURCE: dict[str, Callable[[object], Any]] = {
    "kind": _text(64),
    "file": _text(_TEXT_CHARACTERS_MAX),
    "line": _positive,
    "process": _text(_NAME_CHARACTERS_MAX),
    "spent_at_from": _text(64),
    "series": _text(_NAME_CHARACTERS_MAX),
    "series_cost_usd": _amount,
    "series_usage": check_usage,
    "series_partial": _flag,
    "series_carried_usd": _amount,
    "names": _names,
}

check_name = _text(_NAME_CHARACTERS_MAX)
"""A name (of an agent, a session, a model, an id) itself; ValueError when it is empty, overlong or unprintable."""
_prose = _text(_TEXT_CHARACTERS_MAX, multiline=True)
_LIFECYCLE: dict[str, Callable[[object], Any]] = {"id": check_name, "observed_at": timestamps.parse, "run": _run}

_FIELDS: dict[str, dict[str, Callable[[object], Any]]] = {
    COST_OBSERVED: {
        "id": check_name,
        "observed_at": timestamps.parse,
        "spent_at": timestamps.parse,
        "agent": check_name,
        "session_id": check_name,
        "model": check_name,
        "message_id": check_name,
        "subagent": check_name,
        "skill": check_name,
        "plugin": check_name,
        "counter": check_name,
        "cost_usd": _cost,
        "cost_source": _one_of("reported", "priced"),
        "price_book": check_name,
        "price_digest": check_name,
        "final": _flag,
        "partial": _flag,
        "reason": _prose,
        "service_tier": check_name,
        "usage": check_usage,
        "source": _source,
    },
    WORKFLOW_STARTED: _LIFECYCLE
    | {
        "issue_number": _count,
        "workflow_template": check_name,
        "project": check_name,
        "branch": check_name,
        "estimated_cost_usd": _amount,
        "budget_usd": _amount,
        "source": _source,
    },
    WORKFLOW_COMPLETED: _LIFECYCLE | {"reason": _prose, "source": _source},
    WORKFLOW_FAILED: _LIFECYCLE | {"error_message": _prose, "reason": _prose, "source": _source},
    WORKFLOW_CANCELLED: _LIFECYCLE | {"reason": _prose, "source": _source},
    FINDING_ACCEPTED: {"id": check_name, "observed_at": timestamps.parse, "findings": _findings, "reason": _prose},
}
_REQUIRED: Final = {FINDING_ACCEPTED: ("findings", "reason")}


def event(fields: Mapping[str, Any], *, derived: frozenset[str] = frozenset()) -> Event:
    """An event from wire fields, as a line of `costledger append` gives them.

    Args:
        fields: `type`, `workflow_id` and the type's own fields; None counts as absent.
        derived: the names among them that were computed, not given.

    Raises:
        InvalidWorkflowId: the workflow id is not one.
        InvalidEvent: the type is unknown, or a field is missing, of the wrong kind or out of range.
    """
    workflow_id = check_workflow_id(fields.get("workflow_id"))
    kind = fields.get("type")
    checks = _FIELDS.get(kind) if isinstance(kind, str) else None
    if checks is None:
        raise InvalidEvent("type", f"{shown(kind)} is not one of {', '.join(sorted(EVENT_TYPES))}")
    checked: dict[str, Any] = {}
    for name, check in checks.items():
        if (value := fields.get(name)) is not None:
            try:
                checked[name] = check(value)
            except (ValueError, InvalidMoney) as error:
                raise InvalidEvent(name, str(error)) from None
    for name in _REQUIRED.get(str(kind), ()):
        if name not in checked:
            raise InvalidEvent(name, f"is missing, and a {kind} names it")
    if not fields.keys() - _ENVELOPE <= checks.keys():
        checked |= _unknown(fields, checks)
    if kind == COST_OBSERVED and _check_reading(checked):
        derived |= {"cost_source"}
        checked = {name: checked[name] for name in checks if name in checked} | checked  # the schema's order
    if "spent_at" in checked:
        derived |= {"spent_at"}  # evidence, which may be another one when the same is read again
    return Event(workflow_id, str(kind), MappingProxyType(checked), derived)


def call_observed(workflow_id: str, fields: Mapping[str, Any], *, derived: frozenset[str]) -> Event:
    """A reading of one call, every field of which was checked where it was read: a first import makes 100,000 of them.

    Args:
        fields: in the order of a ledger line, `usage` among them; None counts as absent.
        derived: see `Event`.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    return Event(workflow_id, COST_OBSERVED, MappingProxyType(given), derived)


def _unknown(fields: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """The fields that this version does not know, kept as they are."""
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _JOURNAL_FIELDS:
            raise InvalidEvent(name, "is given by the ledger; leave it out")
        if name not in known and name not in _ENVELOPE and value is not None:
            try:
                kept[check_name(name)] = value
            except ValueError as error:
                raise InvalidEvent(shown(name), f"its name {error}") from None
    return kept


def _check_reading(fields: dict[str, Any]) -> bool:
    """Check what holds between the fields of one reading; True when `cost_source` was the default."""
    if "counter" in fields and ("session_id" in fields or "message_id" in fields):
        raise InvalidEvent("counter", "belongs to a workflow, agent or model; a session or a message has its own meter")
    if "cost_usd" not in fields and "usage" not in fields and not fields.get("partial"):
        raise InvalidEvent("cost_usd", "a reading says a cost, a usage or both, or as partial that they are not known")
    if "cost_usd" not in fields:
        for name in ("cost_source", "price_book", "price_digest", "final"):
            if fields.get(name):
                raise InvalidEvent(name, "belongs to a cost, and this reading has none")
        fields.pop("final", None)
        return False
    defaulted = "cost_source" not in fields
    if fields.setdefault("cost_source", "reported") == "priced" and "price_book" not in fields:
        raise InvalidEvent("price_book", "a priced cost names the price book it was priced from")
    for name in ("price_book", "price_digest"):
        if fields["cost_source"] == "reported" and name in fields:
            raise InvalidEvent(name, "a reported cost was not priced; leave it out or set cost_source to priced")
    if fields.get("final") and fields.get("partial"):
        raise InvalidEvent("final", "a reading cannot be both final and partial")
    return defaulted


def cost_observed(
    workflow_id: str,
    *,
    cost_usd: object = None,
    usage: Mapping[str, int] | None = None,
    agent: str | None = None,
    session_id: str | None = None,
    model: str | None = None,
    message_id: str | None = None,
    subagent: str | None = None,
    skill: str | None = None,
    plugin: str | None = None,
    counter: str | None = None,
    cost_source: str | None = None,
    price_book: str | None = None,
    price_digest: str | None = None,
    final: bool | None = None,
    partial: bool | None = None,
    reason: str | None = None,
    service_tier: str | None = None,
    observed_at: str | datetime | None = None,
    spent_at: str | datetime | None = None,
    source: Mapping[str, Any] | None = None,
    id: str | None = None,
    derived: frozenset[str] = frozenset(),
) -> Event:
    """A reading: what a meter showed at a moment.

    Args:
        cost_usd: USD as text, int, Decimal or float; None when the reading has no price.
        usage: tokens by bucket (`USAGE_FIELDS`), of the same scope as the cost.
        agent, session_id, model, message_id: the meter, the deepest one named.
        subagent, skill, plugin: whom the cost is attributed to; no part of the meter. The breakdown by agent shows a
            `subagent` instead of `agent`.
        counter: which attempt of a program the reading counts from zero for; what the counters of a meter read adds
            up, also over runs. Not with a `session_id` or `message_id`, which has a meter of its own.
        cost_source: "reported" (default) or "priced".
        price_book, price_digest: the price list of a priced cost, and what tells the rates used apart.
        final: the reading covers everything below its meter.
        partial: the usage is known to be incomplete, so the true cost is at least this; with neither cost nor usage,
            that nothing more is known of it.
        service_tier: how the provider served it, such as "batch"; it decides the price.
        observed_at: an ISO 8601 time with a zone.
        spent_at: the same, of a reading without a time: when by the best evidence it was spent. Reports use it; it
            decides no cost.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is missing, of the wrong kind or out of range.
    """
    given = {name: value for name, value in locals().items() if name != "derived"}
    return event({"type": COST_OBSERVED} | given, derived=derived)


def workflow_started(
    workflow_id: str,
    *,
    issue_number: int | None = None,
    workflow_template: str | None = None,
    project: str | None = None,
    branch: str | None = None,
    estimated_cost_usd: object = None,
    budget_usd: object = None,
    observed_at: str | datetime | None = None,
    run: int | None = None,
    source: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> Event:
    """A run begins, or the run that is on says more about itself.

    Args:
        run: which one; absent, the journal gives the run that is on, or the next after an end.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is of the wrong kind or out of range.
    """
    return event({"type": WORKFLOW_STARTED} | locals())


def workflow_ended(
    workflow_id: str,
    status: str,
    *,
    error_message: str | None = None,
    reason: str | None = None,
    observed_at: str | datetime | None = None,
    run: int | None = None,
    source: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> Event:
    """A run ends as `completed`, `failed` or `cancelled`.

    Args:
        error_message: why it failed; with `failed` only.
        run: which one; absent, the journal gives the run that is on.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is of the wrong kind or out of range.
    """
    given = {name: value for name, value in locals().items() if name != "status"}
    return event({"type": f"workflow_{status}"} | given)


def finding_accepted(
    workflow_id: str,
    *,
    findings: Mapping[str, str],
    reason: str,
    observed_at: str | datetime | None = None,
    id: str | None = None,
) -> Event:
    """Accept what needs attention in a row; it changes no figure and is no activity.

    Args:
        findings: what each of them covers, by its kind: the same kind shows again once it covers something else.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is missing, of the wrong kind or out of range.
    """
    return event({"type": FINDING_ACCEPTED} | locals())
