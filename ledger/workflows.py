"""For agents in Python: `with workflow("a5b80595") as wf: wf.observe(…)`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

from ledger import clock
from ledger.agent_results import is_result
from ledger.environment import config_file, data_directory
from ledger.errors import CostledgerError, InvalidEvent
from ledger.events import Event, check_name, cost_observed, workflow_ended, workflow_started
from ledger.late import Late
from ledger.modalities import modalities_of
from ledger.pricing import GenaiPrices, PriceBook, bounded_by_text, price_book, price_event
from ledger.responses import named, response_of, tells_usage, usage_in
from ledger.result_charging import charge_result
from ledger.sources.findings import digest
from ledger.store import DirectoryStore, LedgerStore
from ledger.tail import Receipt
from ledger.usage import usage_of

__all__ = ["Meter", "Workflow", "charged", "workflow"]

Client = TypeVar("Client")

_log = logging.getLogger("costledger")


class Meter(TypedDict, total=False):
    """What a reading measures, and when: the fields that every reading may name."""

    agent: str | None
    session_id: str | None
    model: str | None
    message_id: str | None
    subagent: str | None
    skill: str | None
    plugin: str | None
    service_tier: str | None
    observed_at: str | datetime | None
    partial: bool | None
    source: Mapping[str, Any] | None
    id: str | None


class Workflow:
    """One workflow's ledger, for those who add to it.

    Attributes:
        counter: what its readings count from zero for; None when they carry on what was read before.
        ended_at: when its `with` block was left; None until then, and without one.
    """

    def __init__(
        self, workflow_id: str, store: LedgerStore, prices: PriceBook | None = None, *, counter: str | None = None
    ) -> None:
        self.workflow_id = workflow_id
        self.counter = counter
        self.ended_at: datetime | None = None
        self._store = store
        self._prices = prices
        self._late = Late(store)

    def observe(
        self,
        *,
        cost_usd: object = None,
        usage: object = None,
        final: bool | None = None,
        **meter: Unpack[Meter],
    ) -> Receipt:
        """What a meter shows now, priced from `model` and `usage` without a `cost_usd`.

        In a `workflow()` block that is what the meter has come to since the block began, unless it names a
        `session_id` or `message_id`: what every attempt of the workflow cost adds up.

        Args:
            cost_usd: USD so far, as text, int, Decimal or float.
            usage: tokens of the same scope (`usage_of` says which forms are read).
            final: it covers everything below its meter.
        """
        counts = None if usage is None else usage_of(usage)
        named = meter.get("session_id") is not None or meter.get("message_id") is not None
        counter = None if named else self.counter
        reading = cost_observed(
            self.workflow_id, cost_usd=cost_usd, usage=counts, final=final, counter=counter, **meter
        )
        return self._append(price_event(self._book(), reading) if reading.lacks_price else reading)

    def charge(
        self, response: object = None, /, *, cost_usd: object = None, usage: object = None, **meter: Unpack[Meter]
    ) -> Receipt:
        """One finished call: counted once per `message_id`, priced from `model` and `usage` without a `cost_usd`.

        Without a `message_id` the event's own id stands for it.

        Args:
            response: of Anthropic, OpenAI, Gemini or LiteLLM, as an object or parsed JSON; it says `usage`, `model`,
                `message_id` and `service_tier` where they are not given. Charged twice, it is the same event.
                Or a result of Claude's agents (a `ResultMessage`, a `result` line of stream-json): what it adds to
                its session, see `ledger.agent_results`.

        Raises:
            InvalidEvent: it is of another kind, or cannot be read.
        """
        if is_result(response):
            given = {**meter, "cost_usd": cost_usd, "usage": usage}
            return charge_result(self._store, self.workflow_id, self._book(), response, given)
        return self._append(self._charged(response, cost_usd=cost_usd, usage=usage, **meter))

    def track(self, client: Client, *, agent: str | None = None, session_id: str | None = None) -> Client:
        """A stand-in for a client of Anthropic, OpenAI or Gemini whose calls are charged as they return.

        Streams and asynchronous clients too; a stream that is left before its end is charged as partial. A ledger
        that cannot be written never takes a response away: the error goes to the logger `costledger`, the charge is
        tried again with the next one, and `flush` or the end of the `with` block raises when it is still missing. An
        answer that cannot be read is logged, and makes the row a lower bound.

        Raises:
            InvalidInput: it is a client of another kind, whose calls would not be seen.
        """
        from ledger.tracking import tracked

        def record(answer: object, *, partial: bool, model: str | None) -> None:
            self.charge_later(answer, agent=agent, session_id=session_id, model=model, partial=partial or None)

        return tracked(client, record)

    def charge_later(self, response: object, /, **meter: Unpack[Meter]) -> None:
        """As `charge`, for where a ledger that fails must not stop anybody: never raises, see `track`.

        A call whose response cannot be read is in the log, and in the ledger as one of which no more is known.
        """
        try:
            self._late.append(self._charged_or_missed(response, meter))
        except Exception:
            _log.exception("a call of workflow %r is not in its ledger; this should not happen", self.workflow_id)

    def _charged_or_missed(self, response: object, meter: Meter) -> Event:
        if not (meter.get("partial") and not tells_usage(response)):  # a stream that was left before it said
            try:
                return self._charged(response, **meter)
            except CostledgerError as error:
                _log.error("a call of workflow %r was not charged: %s", self.workflow_id, error)
            except Exception:
                _log.exception("a call of workflow %r was not charged; this should not happen", self.workflow_id)
        return _missed(self.workflow_id, response, meter)

    def flush(self) -> None:
        """Append the charges of tracked calls that could not be appended yet.

        Raises:
            CostledgerError: they still cannot.
        """
        self._late.flush()

    def _charged(
        self, response: object = None, *, cost_usd: object = None, usage: object = None, **meter: Unpack[Meter]
    ) -> Event:
        modalities = modalities_of(usage_in(response) if usage is None else usage)
        if response is not None:
            usage = _taken(meter, response, usage)
        elif cost_usd is None and usage is None:
            raise InvalidEvent("response", "there is none: a charge takes a response, a usage or a cost")
        event = charged(self.workflow_id, self._book(), cost_usd=cost_usd, usage=usage, **meter)
        return bounded_by_text(self._book(), event, modalities)

    def correct(self, *, cost_usd: object, reason: str, **meter: Unpack[Meter]) -> Receipt:
        """A final reading that says why."""
        return self._append(cost_observed(self.workflow_id, cost_usd=cost_usd, reason=reason, final=True, **meter))

    def _book(self) -> PriceBook:
        if self._prices is None:
            self._prices = GenaiPrices()
        return self._prices

    def _append(self, event: Event) -> Receipt:
        return self._store.append([event])[0]


def _taken(meter: Meter, response: object, usage: object) -> object:
    """Take what a response says and the caller does not; the usage."""
    found = response_of(response)
    meter["model"] = meter.get("model") or found.model
    meter["service_tier"] = meter.get("service_tier") or found.service_tier
    meter["message_id"] = meter.get("message_id") or found.message_id
    if meter["message_id"] is not None and meter.get("id") is None:
        counts = sorted(found.usage.items())
        meter["id"] = digest("response", meter["message_id"], meter["model"], meter["service_tier"], *counts)
    return found.usage if usage is None else usage


def _missed(workflow_id: str, response: object, meter: Meter) -> Event:
    """The event of a call that cannot be charged: whose it was, and that its cost is missing."""
    known: dict[str, Any] = named(response) | _valid(meter, check_name, "agent", "session_id", "model", "message_id")
    call = known.get("message_id")
    event_id = os.urandom(16).hex() if call is None else digest("missed", *sorted(known.items()))
    labels = _valid(meter, check_name, "subagent", "skill", "plugin")
    known = {"message_id": event_id} | known | labels | _valid(meter, clock.parse, "observed_at")
    return cost_observed(workflow_id, **known, partial=True, id=event_id)


def _valid(meter: Meter, check: Callable[[object], str], *names: str) -> dict[str, str]:
    """The fields of these names that are given and right."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(ValueError):
            if (value := meter.get(name)) is not None:
                found[name] = check(value)
    return found


def charged(
    workflow_id: str, prices: PriceBook, *, cost_usd: object = None, usage: object = None, **meter: Unpack[Meter]
) -> Event:
    """The event of one finished call, priced when it names no cost and the price book knows its model."""
    meter["id"] = meter.get("id") or os.urandom(16).hex()
    meter["message_id"] = meter.get("message_id") or meter["id"]
    counts = None if usage is None else usage_of(usage)
    return price_event(prices, cost_observed(workflow_id, cost_usd=cost_usd, usage=counts, **meter))


@contextmanager
def workflow(
    workflow_id: str,
    *,
    issue_number: int | None = None,
    workflow_template: str | None = None,
    project: str | None = None,
    estimated_cost_usd: object = None,
    budget_usd: object = None,
    data: Path | str | None = None,
    store: LedgerStore | None = None,
    prices: PriceBook | None = None,
    cumulative: bool = False,
) -> Iterator[Workflow]:
    """A run of a workflow: started on entry, completed on exit, failed when an exception leaves the block.

    Ctrl-C ends it as cancelled. Each block counts from zero: what its readings show adds to what the blocks before it
    cost, also to one that was killed and never ended.

    Args:
        cumulative: readings carry on what those of earlier blocks showed (0.50, then 2.37), so they do not add up.
        data: the data directory (`data_directory` says which by default).
        store: another place for the ledgers; then `data` is looked at for `costledger.toml` only.
        prices: another price book than the configuration's and genai-prices.

    Raises:
        InvalidConfig: `costledger.toml` cannot be used; nothing was appended.
        CostledgerError: an event could not be appended.
    """
    ledgers = DirectoryStore(data_directory(data)) if store is None else store
    config = config_file(data_directory(data))
    book = prices if prices is not None or config is None else price_book(config)
    counter = os.urandom(16).hex()
    started = workflow_started(
        workflow_id,
        issue_number=issue_number,
        workflow_template=workflow_template,
        project=project,
        estimated_cost_usd=estimated_cost_usd,
        budget_usd=budget_usd,
    )
    ledgers.append([started])
    made = Workflow(workflow_id, ledgers, book, counter=None if cumulative else counter)
    try:
        try:
            yield made
        finally:
            made.ended_at = datetime.now(UTC)
        made.flush()
    except BaseException as error:
        _end_after(error, workflow_id, ledgers)
        raise
    ledgers.append([workflow_ended(workflow_id, "completed")])


def _end_after(error: BaseException, workflow_id: str, ledgers: LedgerStore) -> None:
    """Append the end that an exception means; a failure to do so is noted on that exception and never hides it."""
    try:
        if isinstance(error, KeyboardInterrupt):
            end = workflow_ended(workflow_id, "cancelled", reason="KeyboardInterrupt")
        else:
            text = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
            end = workflow_ended(workflow_id, "failed", error_message=text[:4000])
        ledgers.append([end])
    except Exception as problem:
        error.add_note(f"costledger could not record the end of workflow {workflow_id!r}: {problem}")
