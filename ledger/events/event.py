"""Events: what an agent, a person or a source reports; frozen and valid from construction.

An `Event` holds exactly the wire fields that its maker gave, in the order of a ledger line, without the four that the
journal adds (`v`, `seq`, `recorded_at`, `hash`). There are no nulls: an unknown value is an absent field. Fields that
this version does not define are recorded unchanged.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from ledger.errors import InvalidEvent, InvalidMoney, shown
from ledger.events.fields import (
    Check,
    check_amount,
    check_cost,
    check_count,
    check_findings,
    check_flag,
    check_name,
    check_prose,
    check_run,
    check_source,
    check_tags,
    check_time,
    check_usage,
    one_of,
)
from ledger.events.workflow_ids import check_workflow_id

__all__ = [
    "COST_OBSERVED",
    "END_TYPES",
    "EVENT_TYPES",
    "FINDING_ACCEPTED",
    "FORMAT_VERSION",
    "LEDGER_OPENED",
    "LIFECYCLE_TYPES",
    "WORKFLOW_CANCELLED",
    "WORKFLOW_COMPLETED",
    "WORKFLOW_FAILED",
    "WORKFLOW_MOVED",
    "WORKFLOW_STARTED",
    "WORKFLOW_TAGGED",
    "Event",
    "Line",
    "call_observed",
    "checked_fields",
    "cost_observed",
    "event",
    "workflow_ended",
    "workflow_started",
]

Line = dict[str, Any]
"""A ledger line as parsed JSON: the fields of an event and those that the journal added."""

FORMAT_VERSION: Final = 1

LEDGER_OPENED: Final = "ledger_opened"
COST_OBSERVED: Final = "cost_observed"
WORKFLOW_STARTED: Final = "workflow_started"
WORKFLOW_COMPLETED: Final = "workflow_completed"
WORKFLOW_FAILED: Final = "workflow_failed"
WORKFLOW_CANCELLED: Final = "workflow_cancelled"
FINDING_ACCEPTED: Final = "finding_accepted"
WORKFLOW_MOVED: Final = "workflow_moved"
WORKFLOW_TAGGED: Final = "workflow_tagged"

END_TYPES: Final = frozenset({WORKFLOW_COMPLETED, WORKFLOW_FAILED, WORKFLOW_CANCELLED})
LIFECYCLE_TYPES: Final = END_TYPES | {WORKFLOW_STARTED}
EVENT_TYPES: Final = LIFECYCLE_TYPES | {COST_OBSERVED, FINDING_ACCEPTED, WORKFLOW_MOVED, WORKFLOW_TAGGED}
"""What a caller may append; only the journal writes `ledger_opened`."""
_OF_EXISTING: Final = END_TYPES | {FINDING_ACCEPTED, WORKFLOW_MOVED, WORKFLOW_TAGGED}

_JOURNAL_FIELDS: Final = frozenset({"v", "seq", "recorded_at", "hash"})
_ENVELOPE: Final = frozenset({"type", "workflow_id"})


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
    fields: MappingProxyType[str, Any] | dict[str, Any]
    derived: frozenset[str] = field(default=frozenset())

    @property
    def lacks_price(self) -> bool:
        """Return whether it is a reading that names a model and its usage, and no cost."""
        fields = self.fields
        return self.type == COST_OBSERVED and "cost_usd" not in fields and "model" in fields and "usage" in fields

    @property
    def needs_workflow(self) -> bool:
        """Return whether it needs an existing workflow: an end, tags, an acceptance, a move, a correction."""
        corrects = self.fields.get("final") is True and "reason" in self.fields
        return self.type in _OF_EXISTING or (self.type == COST_OBSERVED and corrects)

    @property
    def id(self) -> str | None:
        """Return the caller's id; None when none was given."""
        value: str | None = self.fields.get("id")
        return value


_LIFECYCLE: Final[dict[str, Check]] = {"id": check_name, "observed_at": check_time, "run": check_run}

_FIELDS: Final[dict[str, dict[str, Check]]] = {
    COST_OBSERVED: {
        "id": check_name,
        "observed_at": check_time,
        "spent_at": check_time,
        "agent": check_name,
        "session_id": check_name,
        "model": check_name,
        "message_id": check_name,
        "subagent": check_name,
        "skill": check_name,
        "plugin": check_name,
        "counter": check_name,
        "cost_usd": check_cost,
        "cost_source": one_of("reported", "priced"),
        "price_book": check_name,
        "price_digest": check_name,
        "final": check_flag,
        "partial": check_flag,
        "reason": check_prose,
        "service_tier": check_name,
        "usage": check_usage,
        "source": check_source,
    },
    WORKFLOW_STARTED: _LIFECYCLE
    | {
        "issue_number": check_count,
        "workflow_template": check_name,
        "project": check_name,
        "branch": check_name,
        "estimated_cost_usd": check_amount,
        "budget_usd": check_amount,
        "source": check_source,
    },
    WORKFLOW_COMPLETED: _LIFECYCLE | {"reason": check_prose, "source": check_source},
    WORKFLOW_FAILED: _LIFECYCLE | {"error_message": check_prose, "reason": check_prose, "source": check_source},
    WORKFLOW_CANCELLED: _LIFECYCLE | {"reason": check_prose, "source": check_source},
    FINDING_ACCEPTED: {"id": check_name, "observed_at": check_time, "findings": check_findings, "reason": check_prose},
    WORKFLOW_MOVED: {
        "id": check_name,
        "observed_at": check_time,
        "to": check_workflow_id,
        "session_id": check_name,
        "agent": check_name,
        "reason": check_prose,
    },
    WORKFLOW_TAGGED: {"id": check_name, "observed_at": check_time, "tags": check_tags, "source": check_source},
}
_NAMES: Final = {kind: _ENVELOPE | checks.keys() for kind, checks in _FIELDS.items()}
_REQUIRED: Final = {
    FINDING_ACCEPTED: ("findings", "reason"),
    WORKFLOW_MOVED: ("to",),
    WORKFLOW_TAGGED: ("tags",),
}


def event(fields: Mapping[str, Any], *, derived: frozenset[str] = frozenset()) -> Event:
    """Return the event of wire fields, as a line of `costledger append` gives them.

    Args:
        fields: `type`, `workflow_id` and the type's own fields; None counts as absent.
        derived: see `Event`.

    Raises:
        InvalidWorkflowId: the workflow id is not one.
        InvalidEvent: the type is unknown, or a field is missing, of the wrong kind or out of range.
    """
    workflow_id, kind = check_workflow_id(fields.get("workflow_id")), fields.get("type")
    checked = checked_fields(kind, fields)
    if "cost_source" in checked and fields.get("cost_source") is None:
        derived |= {"cost_source"}
    if "spent_at" in checked:
        derived |= {"spent_at"}  # the evidence may differ when the same reading is imported again
    return Event(workflow_id, str(kind), MappingProxyType(checked), derived)


def checked_fields(kind: object, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event of this type as its ledger line spells them.

    Raises:
        InvalidEvent: the type is unknown, or a field is missing, of the wrong kind or out of range.
    """
    checks = _FIELDS.get(kind) if isinstance(kind, str) else None
    if checks is None:
        raise InvalidEvent("type", f"{shown(kind)} is not one of {', '.join(sorted(EVENT_TYPES))}")
    reading, get, name = kind == COST_OBSERVED, fields.get, ""
    checked: dict[str, Any] = {}
    try:
        for name, check in checks.items():
            if (value := get(name)) is not None:
                checked[name] = check(value)
            elif reading and name == "cost_source" and "cost_usd" in checked:
                checked[name] = "reported"
    except (ValueError, InvalidMoney) as error:
        raise InvalidEvent(name, str(error)) from None
    for name in _REQUIRED.get(str(kind), ()):
        if name not in checked:
            raise InvalidEvent(name, f"is missing, and a {kind} names it")
    if not fields.keys() <= _NAMES[str(kind)]:
        checked |= _undefined(fields, checks)
    if reading:
        _check_reading(checked)
    return checked


def call_observed(workflow_id: str, fields: Mapping[str, Any], *, derived: frozenset[str]) -> Event:
    """Return a reading of one call whose fields were all checked before: a first import makes 100,000 of them.

    Args:
        fields: those that have a value, in the order of a ledger line; the caller does not change them any more.
        derived: see `Event`.
    """
    return Event(workflow_id, COST_OBSERVED, MappingProxyType(fields), derived)


def _undefined(fields: Mapping[str, Any], defined: Container[str]) -> dict[str, Any]:
    """Return the fields that this version does not define, unchanged."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _JOURNAL_FIELDS:
            raise InvalidEvent(name, "is given by the ledger; leave it out")
        if name not in defined and name not in _ENVELOPE and value is not None:
            try:
                found[check_name(name)] = value
            except ValueError as error:
                raise InvalidEvent(shown(name), f"its name {error}") from None
    return found


def _check_reading(fields: dict[str, Any]) -> None:
    """Check the fields of one reading against each other; without a cost, `final: false` is left out."""
    if "counter" in fields and ("session_id" in fields or "message_id" in fields):
        problem = "a session or a message has its own meter; leave it out, or session_id and message_id"
        raise InvalidEvent("counter", f"belongs to a workflow, agent or model; {problem}")
    if "cost_usd" not in fields and "usage" not in fields and not fields.get("partial"):
        raise InvalidEvent("cost_usd", "a reading names a cost, a usage or both, or is partial")
    if "cost_usd" not in fields:
        for name in ("cost_source", "price_book", "price_digest", "final"):
            if fields.get(name):
                raise InvalidEvent(name, "belongs to a cost, and this reading has none; give cost_usd, or leave it out")
        fields.pop("final", None)
        return
    if fields["cost_source"] == "priced" and "price_book" not in fields:
        raise InvalidEvent("price_book", "a priced cost names the price book it was priced from")
    for name in ("price_book", "price_digest"):
        if fields["cost_source"] == "reported" and name in fields:
            raise InvalidEvent(name, "a reported cost was not priced; leave it out or set cost_source to priced")
    if fields.get("final") and fields.get("partial"):
        raise InvalidEvent("final", "a reading cannot be both final and partial; leave one of them out")


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
    """Return a reading: what a meter showed at a moment. `FORMAT.md` defines each field.

    Args:
        agent, session_id, model, message_id: the meter, the deepest one named.
        cost_usd: USD as text, int, Decimal or float; None when the reading has no price.
        observed_at, spent_at: ISO 8601 times with a zone.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is missing, of the wrong kind or out of range.
    """
    given = locals()
    del given["derived"]
    given["type"] = COST_OBSERVED
    return event(given, derived=derived)


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
    """Return the start of a run, or more fields of the run that has started.

    Args:
        run: its number; by default the current run, or the next one after an end.

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
    """Return the end of a run: `completed`, `failed` or `cancelled`.

    Args:
        error_message: why it failed; with `failed` only.
        run: its number; by default the current run.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is of the wrong kind or out of range.
    """
    given = {name: value for name, value in locals().items() if name != "status"}
    return event({"type": f"workflow_{status}"} | given)
