"""A workflow for agents in Python: `wf.observe(…)`, `wf.charge(…)`, `wf.track(…)`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

from ledger.capture.agent_results import is_result
from ledger.capture.arguments import named_arguments
from ledger.capture.pending_events import PendingEvents
from ledger.capture.result_charging import charge_result
from ledger.errors import CostledgerError, InvalidEvent, InvalidInput, UnknownWorkflow
from ledger.events import timestamps
from ledger.events.annotations import workflow_tagged
from ledger.events.clock_check import check_not_ahead
from ledger.events.event import Event, cost_observed
from ledger.events.fields import check_name
from ledger.events.ids import digest
from ledger.events.workflow_ids import check_workflow_id
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_book import PriceBook, bounded_by_text, price_event
from ledger.providers.modalities import modalities_of
from ledger.providers.responses import Response, named, reports_usage, response_of, usage_in
from ledger.providers.usage import usage_of
from ledger.storage.append import Receipt
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore

__all__ = ["ReadingFields", "Workflow", "charged"]

Client = TypeVar("Client")

_log = logging.getLogger("costledger")


class ReadingFields(TypedDict, total=False):
    """The fields that every reading may have: what it measures, and when."""

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
    """One workflow's ledger, to append to.

    Attributes:
        counter: names what its readings count from zero for; None when they continue earlier readings.
        ended_at: when its `with` block was left, or it was finished; None until then.
    """

    def __init__(
        self,
        workflow_id: str,
        store: LedgerStore,
        prices: PriceBook | None = None,
        *,
        counter: str | None = None,
        config: Path | None = None,
    ) -> None:
        self.workflow_id = check_workflow_id(workflow_id)
        self.counter = counter
        self.ended_at: datetime | None = None
        self._store = store
        self._prices = prices
        self._config = config
        self._pending = PendingEvents(store)

    def environment(self) -> dict[str, str]:
        """Return the variables with which a child process finds this workflow: `env=os.environ | wf.environment()`.

        A child in Python joins it (`join()`); a Claude Code session with the status line or the hooks counts in it.

        Raises:
            InvalidInput: its ledgers are in no directory.
        """
        if not isinstance(self._store, DirectoryStore):
            problem = "its ledger is in no directory"
            raise InvalidInput(f"another process cannot join workflow {self.workflow_id!r}: {problem}")
        found = {"COSTLEDGER_WORKFLOW": self.workflow_id, "COSTLEDGER_DATA": str(self._store.path.absolute())}
        return found if self._config is None else found | {"COSTLEDGER_CONFIG": str(self._config.absolute())}

    @named_arguments(ReadingFields)
    def observe(
        self,
        *,
        cost_usd: object = None,
        usage: object = None,
        final: bool | None = None,
        **meter: Unpack[ReadingFields],
    ) -> Receipt:
        """Append what a meter shows now, priced from `model` and `usage` without a `cost_usd`.

        In a `workflow()` block the meter counts from the start of the block, unless it names a `session_id` or
        `message_id`: the costs of all attempts of the workflow add up.

        Args:
            cost_usd: USD so far, as text, int, Decimal or float.
            usage: tokens of the same scope, in one of the forms of `usage_of`.
            final: it covers everything below its meter.
        """
        counts = None if usage is None else usage_of(usage)
        named = meter.get("session_id") is not None or meter.get("message_id") is not None
        counter = None if named else self.counter
        reading = cost_observed(
            self.workflow_id, cost_usd=cost_usd, usage=counts, final=final, counter=counter, **meter
        )
        return self._recorded(self._append(price_event(self._book(), reading) if reading.lacks_price else reading))

    @named_arguments(ReadingFields)
    def charge(
        self,
        response: object = None,
        /,
        *,
        cost_usd: object = None,
        usage: object = None,
        **meter: Unpack[ReadingFields],
    ) -> Receipt:
        """Append one finished call, once per `message_id`, priced from `model` and `usage` without a `cost_usd`.

        Without a `message_id` the event's own id is used.

        Args:
            response: of Anthropic, OpenAI, Gemini or LiteLLM, as an object or parsed JSON; `usage`, `model`,
                `message_id` and `service_tier` are read from it where they are not given. Charged twice, it is the
                same event. Or a result of Claude's agents (a `ResultMessage`, a `result` line of stream-json): the cost
                that it adds to its session, see `ledger.capture.agent_results`.

        Raises:
            InvalidEvent: the response is of another kind, or cannot be read.
        """
        if is_result(response):
            given = {**meter, "cost_usd": cost_usd, "usage": usage}
            return self._recorded(charge_result(self._store, self.workflow_id, self._book(), response, given))
        return self._recorded(self._append(*self._charged(response, cost_usd=cost_usd, usage=usage, **meter)))

    def track(self, client: Client, *, agent: str | None = None, session_id: str | None = None) -> Client:
        """Return a proxy of a client of Anthropic, OpenAI or Gemini that charges its calls as they return.

        Streams and asynchronous clients too; a stream that is left before its end is charged as partial. A failing
        ledger never costs a response: the error goes to the logger `costledger`, the charge is tried again with the
        next one, and `flush` or the end of the `with` block raises when it is still missing. A response that cannot
        be read is logged, and makes the row a lower bound.

        Raises:
            InvalidInput: it is a client of another kind, whose calls could not be recorded.
        """
        from ledger.capture.client_proxy import tracked

        def record(answer: object, *, partial: bool, model: str | None) -> None:
            self.charge_later(answer, agent=agent, session_id=session_id, model=model, partial=partial or None)

        return tracked(client, record)

    def charge_later(self, response: object, /, **meter: Unpack[ReadingFields]) -> None:
        """Charge as `charge` does, but never raise, for callers that a failing ledger must not stop; see `track`.

        A call whose response cannot be read is logged, and is in the ledger as a call of unknown cost.
        """
        try:
            for event in self._charged_or_missed(response, meter):
                self._pending.append(event)
        except Exception:
            _log.exception("a call of workflow %r is not in its ledger; this should not happen", self.workflow_id)

    def _charged_or_missed(self, response: object, meter: ReadingFields) -> list[Event]:
        if not (meter.get("partial") and not reports_usage(response)):  # a stream that was left before its usage came
            try:
                return self._charged(response, **meter)
            except CostledgerError as error:
                _log.error("a call of workflow %r was not charged: %s", self.workflow_id, error)
            except Exception:
                _log.exception("a call of workflow %r was not charged; this should not happen", self.workflow_id)
        return [_missed(self.workflow_id, response, meter)]

    def flush(self) -> None:
        """Append the charges of tracked calls that could not be appended yet.

        Raises:
            CostledgerError: they still cannot be appended.
        """
        self._pending.flush()

    def _charged(
        self, response: object = None, *, cost_usd: object = None, usage: object = None, **meter: Unpack[ReadingFields]
    ) -> list[Event]:
        modalities = modalities_of(usage_in(response) if usage is None else usage)
        inner: tuple[Response, ...] = ()
        if response is not None:
            found = response_of(response)
            if cost_usd is None:
                inner, meter["partial"] = found.inner, meter.get("partial") or found.costs_more or None
            usage = _completed(meter, found, usage)
        elif cost_usd is None and usage is None:
            raise InvalidEvent("response", "there is none: a charge takes a response, a usage or a cost")
        event = charged(self.workflow_id, self._book(), cost_usd=cost_usd, usage=usage, **meter)
        return [bounded_by_text(self._book(), event, modalities), *(self._inner(call, meter) for call in inner)]

    def _inner(self, call: Response, meter: ReadingFields) -> Event:
        """Return the event of a call of the API's own, under the meter of the response that reports it."""
        own = meter.copy()
        own["model"], own["message_id"], own["id"] = call.model, call.message_id, None
        return charged(self.workflow_id, self._book(), usage=_completed(own, call, None), **own)

    @named_arguments(ReadingFields)
    def correct(self, *, cost_usd: object, reason: str, **meter: Unpack[ReadingFields]) -> Receipt:
        """Append a final reading with its reason.

        Raises:
            UnknownWorkflow: there is no such workflow to correct.
        """
        if self._store.size(self.workflow_id) is None:
            raise UnknownWorkflow(self.workflow_id, "the ledgers")
        return self._append(cost_observed(self.workflow_id, cost_usd=cost_usd, reason=reason, final=True, **meter))

    def tag(self, **tags: str) -> Receipt:
        """Tag the workflow, to group its cost: `wf.tag(team="payments")`; its last value counts, "" removes it.

        Raises:
            InvalidEvent: a key or a value is not one.
        """
        return self._append(workflow_tagged(self.workflow_id, tags=tags))

    def _book(self) -> PriceBook:
        if self._prices is None:
            self._prices = GenaiPrices()
        return self._prices

    def _recorded(self, receipt: Receipt) -> Receipt:
        """Handle the receipt of `observe` or `charge`; a subclass checks the budget here."""
        return receipt

    def _append(self, *events: Event) -> Receipt:
        """Append events in one write; return the receipt of the first."""
        now = timestamps.now()
        return self._store.append([check_not_ahead(event, now) for event in events])[0]


def _completed(meter: ReadingFields, found: Response, usage: object) -> object:
    """Add the fields of a response that the caller does not give to the meter; return the usage."""
    meter["model"] = meter.get("model") or found.model
    meter["service_tier"] = meter.get("service_tier") or found.service_tier
    meter["message_id"] = meter.get("message_id") or found.message_id
    if meter["message_id"] is not None and meter.get("id") is None:
        counts = sorted(found.usage.items())
        meter["id"] = digest("response", meter["message_id"], meter["model"], meter["service_tier"], *counts)
    return found.usage if usage is None else usage


def _missed(workflow_id: str, response: object, meter: ReadingFields) -> Event:
    """Return the event of a call that cannot be charged: its meter, without a cost."""
    fields: dict[str, Any] = named(response) | _valid(meter, check_name, "agent", "session_id", "model", "message_id")
    call = fields.get("message_id")
    event_id = os.urandom(16).hex() if call is None else digest("missed", *sorted(fields.items()))
    labels = _valid(meter, check_name, "subagent", "skill", "plugin")
    fields = {"message_id": event_id} | fields | labels | _valid(meter, timestamps.parse, "observed_at")
    return cost_observed(workflow_id, **fields, partial=True, id=event_id)


def _valid(meter: ReadingFields, check: Callable[[object], str], *names: str) -> dict[str, str]:
    """Return the fields of these names that are given and valid."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(ValueError):
            if (value := meter.get(name)) is not None:
                found[name] = check(value)
    return found


def charged(
    workflow_id: str,
    prices: PriceBook,
    *,
    cost_usd: object = None,
    usage: object = None,
    **meter: Unpack[ReadingFields],
) -> Event:
    """Return the event of one finished call, priced when it has no cost and the price book has its model."""
    meter["id"] = meter.get("id") or os.urandom(16).hex()
    meter["message_id"] = meter.get("message_id") or meter["id"]
    counts = None if usage is None else usage_of(usage)
    return price_event(prices, cost_observed(workflow_id, cost_usd=cost_usd, usage=counts, **meter))
