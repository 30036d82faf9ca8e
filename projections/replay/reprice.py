"""Repricing: what was priced, or has no price, priced anew by the price book of today, each at its own moment.

Nothing is rewritten: a reading whose price has changed is said again, with the new price and the reason. What the
provider reported is never touched, nor what a reported total covers. A reading keeps the moment it was observed at:
so it is the last word of its own meter and of no other, a total that came after it stays, and the difference falls
on the day the tokens were used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final

from ledger.errors import CostledgerError
from ledger.events import money, timestamps
from ledger.events.event import COST_OBSERVED, FORMAT_VERSION, Event, Line, event
from ledger.events.fields import USAGE_FIELDS
from ledger.events.ids import digest
from ledger.pricing.price_book import PriceBook, at_least, is_at_least, priced_from
from ledger.storage.planned_append import append_planned
from ledger.storage.store import LedgerStore
from projections.folding.fold import State, fold, initial
from projections.folding.meters import Meter, Path
from projections.folding.readings import Tokens
from projections.replay.refresh import LedgerProblem

__all__ = ["PriceChange", "RepricePlan", "Wanted", "apply", "plan", "plans"]

_SOURCE: Final = {"kind": "reprice"}
_NOT_ADDED: Final = frozenset({"cache_write_1h_tokens", "web_search_requests"})
"""Buckets that are a part of another one, or no tokens."""
_SAME: Final = ("agent", "session_id", "model", "message_id", "counter", "service_tier")
"""What a reading priced anew has in common with the one before."""
"""How often a plan is made anew because somebody else appended meanwhile."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings to price anew.

    Attributes:
        since, until: when they were observed, from the one up to before the other.
        model: a glob over the model's name, compared without case.
    """

    since: datetime | None = None
    until: datetime | None = None
    model: str = "*"

    def __contains__(self, reading: tuple[str, str]) -> bool:
        model, moment = reading
        return (
            fnmatchcase(model.lower(), self.model.lower())
            and (self.since is None or timestamps.to_wire(self.since) <= moment)
            and (self.until is None or moment < timestamps.to_wire(self.until))
        )


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One reading at its new price.

    Attributes:
        old_nanousd: None: it had no price.
        new_nanousd: None: it still has none.
        tokens: input, cache and output together.
    """

    model: str
    old_nanousd: int | None
    new_nanousd: int | None
    tokens: int


@dataclass(slots=True)
class RepricePlan:
    """What repricing one workflow comes to.

    Attributes:
        seq: of the last line it was made against.
        old_nanousd, new_nanousd: what the workflow costs before and after.
    """

    workflow_id: str
    seq: int = 0
    events: list[Event] = field(default_factory=list)
    changes: list[PriceChange] = field(default_factory=list)
    status: str = "running"
    old_nanousd: int = 0
    new_nanousd: int = 0

    @property
    def waiting_nanousd(self) -> int:
        """By how much readings fall that go on to count until the workflow ends: while it runs, the highest holds."""
        if self.status != "running":
            return 0
        falls = [(c.old_nanousd or 0) - c.new_nanousd for c in self.changes if c.new_nanousd is not None]
        return sum(fall for fall in falls if fall > 0)


_Meter = tuple[Path, str | None]
"""A path, and the counter of its readings; None for those that name none."""


class _Told:
    """What one meter's readings say, of this run and of what no run has priced; those of a counter by themselves.

    Attributes:
        priced, unpriced: the latest reading of each kind that names a model and its usage.
        reported: one of them was reported.
    """

    __slots__ = ("priced", "reported", "unpriced")

    def __init__(self, unpriced: Line | None = None) -> None:
        self.priced: Line | None = None
        self.unpriced = unpriced
        self.reported = False

    def hear(self, line: Line) -> None:
        if "cost_usd" in line and line.get("cost_source") != "priced":
            self.reported = True
        elif not {"model", "usage"} <= line.keys():
            return
        elif "cost_usd" in line:
            self.priced = line if self.priced is None else max(self.priced, line, key=_at)
        else:
            self.unpriced = line if self.unpriced is None else max(self.unpriced, line, key=_at)


def _at(line: Line) -> tuple[str, int]:
    """When a reading was observed, as the fold orders them."""
    return line.get("observed_at") or line["recorded_at"], line["seq"]


def plan(workflow_id: str, lines: Iterable[Line], book: PriceBook, wanted: Wanted, reason: str) -> RepricePlan:
    """The readings to append so that a workflow is priced by a price book; pure.

    Raises:
        DamagedLedger, InvalidEvent: as the lines are read and folded.
    """
    state, told, line = initial(workflow_id), dict[_Meter, _Told](), Line()
    for line in lines:
        ended = state.ended
        fold(state, line)
        if ended and not state.ended:
            told = {
                (path, counter): _Told(said.unpriced)
                for (path, counter), said in told.items()
                if state.tree.meters[path].unpriced and counter is None
            }
        if line["type"] == COST_OBSERVED and line["v"] <= FORMAT_VERSION:
            path = (line.get("agent"), line.get("session_id"), line.get("model"), line.get("message_id"))
            told.setdefault((path, line.get("counter")), _Told()).hear(line)
    made = RepricePlan(workflow_id, line.get("seq", 0), status=state.status, old_nanousd=state.cost_nanousd)
    covered = _covered(state)
    for (path, _), said in told.items():
        if path not in covered and not said.reported:
            _reprice(made, state.tree.meters[path], said, book, wanted, reason)
    for new in made.events:
        told_by_ledger = {"v": FORMAT_VERSION, "seq": state.event_count + 1, "recorded_at": line["recorded_at"]}
        fold(state, told_by_ledger | {"type": new.type, "workflow_id": workflow_id} | dict(new.fields))
    made.new_nanousd = state.cost_nanousd
    return made


def _covered(state: State) -> set[Path]:
    """The meters below one whose cost was reported."""
    covered: set[Path] = set()
    for path, meter in state.tree.meters.items():  # parents are made before their children
        if (parent := meter.parent) is not None:
            chosen = parent.chosen(ended=state.ended)
            if parent.path in covered or (chosen is not None and chosen.reported):
                covered.add(path)
    return covered


def _reprice(made: RepricePlan, meter: Meter, told: _Told, book: PriceBook, wanted: Wanted, reason: str) -> None:
    """Add what one meter's reading comes to."""
    base, usage = _base(meter, told)
    if base is None:
        return
    moment = max(_at(line)[0] for line in (base, told.priced) if line is not None)  # so that it is the last word
    if (base["model"], moment) not in wanted:
        return
    rates = book.rates(base["model"], timestamps.from_wire(moment), base.get("service_tier"))
    one_call = "message_id" in base
    cost = None if rates is None else rates.cost_nanousd(usage, one_call=one_call)
    old = money.from_wire(base["cost_usd"]) if "cost_usd" in base else None
    incomplete = base.get("partial") is True and not is_at_least(base)
    bound = rates is not None and rates.is_lower_bound(usage, one_call=one_call)
    partial = incomplete or bound
    if cost is not None and cost == old and partial == (base.get("partial") is True):
        return
    tokens = sum(count for bucket, count in usage.items() if bucket not in _NOT_ADDED)
    made.changes.append(PriceChange(base["model"], old, cost, tokens))
    if rates is None or cost is None:
        return
    price = priced_from([rates])
    price = price if incomplete or not bound else at_least(price)
    fields = {name: base.get(name) for name in _SAME}
    again = {
        "type": COST_OBSERVED,
        "workflow_id": made.workflow_id,
        "observed_at": moment,
        "spent_at": base.get("spent_at"),
        "usage": usage,
        "cost_usd": money.to_wire(cost),
        "partial": partial or None,
        "final": None if partial or (meter.below is not None and not base.get("final")) else True,
        "reason": reason,
        "source": _SOURCE | _evidence(base),
        "id": digest("reprice", base["id"], cost, rates.digest, *(("partial", partial) if cost == old else ())),
    }
    made.events.append(event(fields | again | price))


def _evidence(base: Line) -> dict[str, Any]:
    """What dates a reading without a time."""
    named = (base.get("source") or {}).get("spent_at_from")
    return {} if named is None else {"spent_at_from": named}


def _base(meter: Meter, told: _Told) -> tuple[Line | None, Mapping[str, int]]:
    """The reading to price, and its usage: of unpriced ones the largest of each bucket, as the fold takes them."""
    priced, unpriced = told.priced, told.unpriced
    usage_left = None if unpriced is None else _usage_left(meter, unpriced.get("counter"))
    if unpriced is None or not usage_left:
        return priced, {} if priced is None else priced["usage"]
    largest = dict(zip(USAGE_FIELDS, usage_left, strict=True))
    if priced is not None:
        usage = priced["usage"]
        if priced.get("final") or all(usage.get(bucket, 0) >= count for bucket, count in largest.items()):
            return priced, usage
    return unpriced, {bucket: count for bucket, count in largest.items() if count or bucket in unpriced["usage"]}


def _usage_left(meter: Meter, counter: str | None) -> Tokens | None:
    """The largest usage without a price of a meter, or of one of its counters."""
    if counter is None:
        return meter.unpriced
    return None if meter.counters is None else meter.counters.unpriced.get(counter)


def plans(
    ledgers: LedgerStore, workflow_ids: Sequence[str], book: PriceBook, wanted: Wanted, reason: str
) -> Iterator[RepricePlan | LedgerProblem]:
    """What repricing each of these workflows comes to, or why that cannot be said."""
    for workflow_id in workflow_ids:
        try:
            yield plan(workflow_id, ledgers.read(workflow_id), book, wanted, reason)
        except CostledgerError as error:
            yield LedgerProblem(workflow_id, error)


def apply(ledgers: LedgerStore, workflow_id: str, book: PriceBook, wanted: Wanted, reason: str) -> int:
    """Append what repricing a workflow comes to, planned anew when its ledger has moved; how many events.

    Idempotent: with the same price book nothing is left to append.

    Raises:
        CostledgerError: the ledger cannot be read or appended to.
    """
    made, _ = append_planned(ledgers, lambda: plan(workflow_id, ledgers.read(workflow_id), book, wanted, reason))
    return len(made.events)
