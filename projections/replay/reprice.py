"""Repricing: price readings again by today's price book, at the prices of the moments they were observed.

Nothing is rewritten: a reading whose price has changed is appended again, with the new price and the reason. Readings
with a reported cost, and those below a reported total, stay unchanged. The new reading has the moment of the old one:
so it is the latest of its own meter and of no other, a later total stays, and the difference falls on the day that the
tokens were used.
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
from ledger.pricing.price_book import PriceBook, at_least, is_at_least, is_one_call, priced_from
from ledger.storage.planned_append import append_planned
from ledger.storage.store import LedgerStore
from projections.folding.breakdown import basis_of, summarise
from projections.folding.cost_words import known_cost
from projections.folding.fold import State, fold, initial
from projections.folding.meters import Meter, Path
from projections.folding.readings import Tokens
from projections.replay.refresh import LedgerProblem

__all__ = ["PriceChange", "RepricePlan", "Wanted", "apply", "plan", "plans"]

_SOURCE: Final = {"kind": "reprice"}
_NOT_ADDED: Final = frozenset({"cache_write_1h_tokens", "web_search_requests"})
"""Buckets that are a part of another one, or count no tokens."""
_SAME: Final = ("agent", "session_id", "model", "message_id", "counter", "service_tier")
"""The fields that the new reading takes from the old one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter of the readings to price again.

    Attributes:
        since, until: of the moment they were observed, the first included and the second not.
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
        old_nanousd: None when it had no price.
        new_nanousd: None when it still has none.
        tokens: input, cache and output together.
    """

    model: str
    old_nanousd: int | None
    new_nanousd: int | None
    tokens: int


@dataclass(slots=True)
class RepricePlan:
    """The events and price changes of repricing one workflow.

    Attributes:
        seq: of the last line that the plan was made from.
        old_nanousd, new_nanousd: the cost of the workflow before and after; None while it is unpriced or unknown.
    """

    workflow_id: str
    seq: int = 0
    events: list[Event] = field(default_factory=list)
    changes: list[PriceChange] = field(default_factory=list)
    status: str = "running"
    old_nanousd: int | None = None
    new_nanousd: int | None = None

    @property
    def waiting_nanousd(self) -> int:
        """The sum of the lower prices that count only once the workflow ends: while it runs, the highest counts."""
        if self.status != "running":
            return 0
        falls = [(c.old_nanousd or 0) - c.new_nanousd for c in self.changes if c.new_nanousd is not None]
        return sum(fall for fall in falls if fall > 0)


_Meter = tuple[Path, str | None]
"""A path, and the counter of its readings; None for those that name none."""


class _Readings:
    """The readings of one meter, or of one of its counters: of this run, and those that no run has priced.

    Attributes:
        priced, unpriced: the latest reading of each kind that names a model and its usage.
        reported: one of them has a reported cost.
    """

    __slots__ = ("priced", "reported", "unpriced")

    def __init__(self, unpriced: Line | None = None) -> None:
        self.priced: Line | None = None
        self.unpriced = unpriced
        self.reported = False

    def add(self, line: Line) -> None:
        """Add a reading."""
        if "cost_usd" in line and line.get("cost_source") != "priced":
            self.reported = True
        elif not {"model", "usage"} <= line.keys():
            return
        elif "cost_usd" in line:
            self.priced = line if self.priced is None else max(self.priced, line, key=_at)
        else:
            self.unpriced = line if self.unpriced is None else max(self.unpriced, line, key=_at)


def _at(line: Line) -> tuple[str, int]:
    """Return the moment and the seq of a reading, in the order of the fold."""
    return line.get("observed_at") or line["recorded_at"], line["seq"]


def plan(workflow_id: str, lines: Iterable[Line], book: PriceBook, wanted: Wanted, reason: str) -> RepricePlan:
    """Return the readings to append so that a workflow is priced by a price book; pure.

    Raises:
        DamagedLedger, InvalidEvent: as the lines are read and folded.
    """
    state, read, line = initial(workflow_id), dict[_Meter, _Readings](), Line()
    for line in lines:
        ended = state.ended
        fold(state, line)
        if ended and not state.ended:
            read = {
                (path, counter): _Readings(of_meter.unpriced)
                for (path, counter), of_meter in read.items()
                if counter is None and (meter := state.tree.meters.get(path)) is not None and meter.unpriced
            }
        if line["type"] == COST_OBSERVED and line["v"] <= FORMAT_VERSION:
            path = (line.get("agent"), line.get("session_id"), line.get("model"), line.get("message_id"))
            read.setdefault((path, line.get("counter")), _Readings()).add(line)
    made = RepricePlan(workflow_id, line.get("seq", 0), status=state.status, old_nanousd=_cost(state))
    meters = {path: state.tree.meter(path) for path, _ in read}
    covered = _covered(state)
    for (path, _), of_meter in read.items():
        if path not in covered and not of_meter.reported:
            _reprice(made, meters[path], of_meter, book, wanted, reason)
    for new in made.events:
        by_ledger = {"v": FORMAT_VERSION, "seq": state.event_count + 1, "recorded_at": line["recorded_at"]}
        fold(state, by_ledger | {"type": new.type, "workflow_id": workflow_id} | dict(new.fields))
    made.new_nanousd = _cost(state)
    return made


def _cost(state: State) -> int | None:
    """Return the cost of a workflow; None while it is unpriced or unknown."""
    summary = summarise(state.tree)
    partial = basis_of(summary, state.unread_events) in (None, "partial")
    return known_cost(state.cost_nanousd, unpriced=summary.unpriced > 0, at_least=partial)


def _covered(state: State) -> set[Path]:
    """Return the meters below one whose cost was reported."""
    covered: set[Path] = set()
    for path, meter in state.tree.meters.items():  # parents are made before their children
        if (parent := meter.parent) is not None:
            chosen = parent.chosen(ended=state.ended)
            if parent.path in covered or (chosen is not None and chosen.reported):
                covered.add(path)
    return covered


def _reprice(made: RepricePlan, meter: Meter, read: _Readings, book: PriceBook, wanted: Wanted, reason: str) -> None:
    """Add the price change of one meter's reading to a plan."""
    base, usage = _base(meter, read)
    if base is None:
        return
    moment = max(_at(line)[0] for line in (base, read.priced) if line is not None)  # so that it is the latest
    if (base["model"], moment) not in wanted:
        return
    rates = book.rates(base["model"], timestamps.from_wire(moment), base.get("service_tier"))
    one_call = is_one_call(base)
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
    """Return the evidence for the moment of a reading without a time."""
    named = (base.get("source") or {}).get("spent_at_from")
    return {} if named is None else {"spent_at_from": named}


def _base(meter: Meter, read: _Readings) -> tuple[Line | None, Mapping[str, int]]:
    """Return the reading to price, and its usage: of unpriced ones the largest of each bucket, as in the fold."""
    priced, unpriced = read.priced, read.unpriced
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
    """Return the largest usage without a price of a meter, or of one of its counters."""
    if counter is None:
        return meter.unpriced
    return None if meter.counters is None else meter.counters.unpriced.get(counter)


def plans(
    ledgers: LedgerStore, workflow_ids: Sequence[str], book: PriceBook, wanted: Wanted, reason: str
) -> Iterator[RepricePlan | LedgerProblem]:
    """Yield the plan of each of these workflows, or the problem of its ledger."""
    for workflow_id in workflow_ids:
        try:
            yield plan(workflow_id, ledgers.read(workflow_id), book, wanted, reason)
        except CostledgerError as error:
            yield LedgerProblem(workflow_id, error)


def apply(ledgers: LedgerStore, workflow_id: str, book: PriceBook, wanted: Wanted, reason: str) -> int:
    """Append the events of repricing a workflow, and return their number; plan again when its ledger has grown.

    Idempotent: with the same price book nothing is left to append.

    Raises:
        CostledgerError: the ledger cannot be read or appended to.
    """
    made, _ = append_planned(ledgers, lambda: plan(workflow_id, ledgers.read(workflow_id), book, wanted, reason))
    return len(made.events)
