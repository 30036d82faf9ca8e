"""The commands that append one event each. They import neither pydantic nor rich nor sqlite3, to start fast."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ledger.errors import InvalidEvent
from ledger.events import money
from ledger.events.event import Event, cost_observed, workflow_ended, workflow_started
from ledger.events.fields import USAGE_FIELDS
from ledger.events.workflow_ids import is_workflow_id
from ledger.storage.append import Receipt
from projections.cli.budget_receipt import BudgetReceipts
from projections.cli.options import config_option, data_option, json_option, prices, store, workflow_argument

if TYPE_CHECKING:
    from projections.reports.budgets import BudgetStatus

F = TypeVar("F", bound=Callable[..., Any])

_SHORT_UUID: Final = re.compile(r"[0-9a-f]{6,8}|[0-9a-f]{8}-[0-9a-f]{0,4}", re.IGNORECASE)
"""6 to 12 of the digits that a UUID begins with."""


def _options(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _observed_at(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001
    """A moment in the ledger's spelling; what reads other spellings is imported only for them."""
    if value is None or (value.endswith("Z") and value[:1].isdigit()):
        return value
    from ledger.events.timestamps import to_wire
    from projections.cli.parsing import moment_named

    return to_wire(moment_named("--observed-at", value))


_common = _options(
    click.option("--id", metavar="TEXT", help="The event's own id; the same id again appends nothing."),
    click.option(
        "--observed-at",
        metavar="TIME",
        callback=_observed_at,
        help="When it was observed: 2026-11-23T18:33:01Z, or as in `costledger history --since`.",
    ),
    json_option,
    data_option,
)
_run = click.option("--run", type=int, help="Which run; by default the one that is on, or the next after an end.")
_reason = click.option("--reason", help="Why.")
_meter = _options(
    click.option("--agent", help="The agent, e.g. plan."),
    click.option("--session-id", help="The agent's session."),
    click.option("--model", help="The model."),
    click.option("--message-id", help="The provider's response."),
)
_labels = _options(
    click.option("--subagent", help="The sub-agent; the breakdown by agent shows it instead of the agent."),
    click.option("--skill", help="The skill that was used."),
    click.option("--plugin", help="The plugin that it came with."),
)
_usage = _options(
    *(
        click.option(f"--{name.replace('_', '-')}", type=int, help="Of the same scope as the cost.")
        for name in USAGE_FIELDS
    )
)


def _taken_usage(options: dict[str, Any]) -> dict[str, int] | None:
    given = {name: options.pop(name) for name in USAGE_FIELDS}
    counts = {name: count for name, count in given.items() if count is not None}
    return counts or None


def _existing(given: str) -> str:
    """Return the id of the workflow that is meant; for an event of an existing workflow. With a ledger it is a `stat`.

    Raises:
        UnknownWorkflow, AmbiguousWorkflow: there is none, or several.
    """
    if is_workflow_id(given) and store().size(given) is not None:
        return given
    from projections.cli.workflow_ids import existing_id

    return existing_id(given)


def _new_or_existing(given: str, *, as_json: bool) -> str:
    """Return the id, new or not; what a person copied from a table, short of its end, is refused.

    Raises:
        InvalidInput: it ends in "…", or is typed at a terminal and the first digits of a workflow's UUID.
    """
    typed = not as_json and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    shortened = typed and _SHORT_UUID.fullmatch(given) and store().size(given) is None
    if shortened or not is_workflow_id(given):
        from projections.cli.workflow_ids import check_not_shortened

        check_not_shortened(given)
    return given


def _append(event: Event, *, as_json: bool) -> None:
    ledgers = store()
    receipt = ledgers.append([event])[0]
    budget = BudgetReceipts(ledgers).after(receipt.workflow_id)
    if as_json:
        click.echo(receipt_json(receipt, budget))
        return
    cost = event.fields.get("cost_usd")
    what = event.type.replace("_", " ") + (f" {money.shown(money.from_wire(cost))}" if cost else "")
    unpriced = ""
    if event.type == "cost_observed" and not cost:
        unpriced = " (no price: the cost is at least the priced part; see `costledger prices MODEL`)"
    again = ", already there" if receipt.duplicate else ""
    rest = "" if budget is None else f"; budget: {budget}"
    click.echo(f"{receipt.workflow_id}: {what}{unpriced} is event {receipt.seq}{again}{rest}")
    if budget is not None and budget.warning is not None:
        click.echo(f"costledger: {receipt.workflow_id} {budget.warning}", err=True)


def receipt_json(receipt: Receipt, budget: BudgetStatus | None) -> bytes:
    """Return a receipt as one JSON line; its budget is null where none is set."""
    import orjson

    if budget is None:  # the usual case, for which a dataclass is enough
        return orjson.dumps(asdict(receipt) | {"budget": None})
    from projections.documents.budgets import budget_document

    return orjson.dumps(asdict(receipt) | {"budget": budget_document(budget)})


@click.command("start")
@workflow_argument
@click.option("--issue-number", type=int, help="The issue it works on.")
@click.option("--workflow-template", help="The kind of workflow, e.g. adw_sdlc.")
@click.option("--project", help="What it belongs to; reports can be split by it.")
@click.option("--branch", help="The git branch that it works on.")
@click.option("--estimated-cost-usd", metavar="USD", help="What it was thought to cost.")
@click.option("--budget-usd", metavar="USD", help="What it may cost.")
@_run
@_common
def start_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record that a run of a workflow starts."""
    workflow_id = _new_or_existing(workflow_id, as_json=as_json)
    _append(workflow_started(workflow_id, **fields), as_json=as_json)


@click.command("observe")
@workflow_argument
@click.option("--cost-usd", metavar="USD", help="What the meter shows now; without it, model and tokens are priced.")
@_meter
@_labels
@_usage
@click.option("--counter", metavar="NAME", help="The attempt that it counts from zero for; attempts add up.")
@click.option("--final", is_flag=True, default=None, help="It covers everything below its meter.")
@click.option("--partial", is_flag=True, default=None, help="The usage is incomplete.")
@click.option("--cost-source", type=click.Choice(["reported", "priced"]), help="[default: reported]")
@click.option("--price-book", help="Name and version of the price list, for a priced cost.")
@click.option("--service-tier", help="How the provider served it, e.g. batch; it decides the price.")
@_reason
@config_option
@_common
def observe_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record what a meter shows now: of the workflow, or of the agent, session, model or message named."""
    workflow_id = _new_or_existing(workflow_id, as_json=as_json)
    reading = cost_observed(workflow_id, usage=_taken_usage(fields), **fields)
    if reading.lacks_price:
        from ledger.pricing.price_book import price_event

        reading = price_event(prices(), reading)
    _append(reading, as_json=as_json)


@click.command("charge")
@workflow_argument
@click.option("--cost-usd", metavar="USD", help="What it cost; without it, model and tokens are priced.")
@_meter
@_labels
@_usage
@click.option("--partial", is_flag=True, default=None, help="The usage is incomplete.")
@click.option("--service-tier", help="How the provider served it, e.g. batch; it decides the price.")
@config_option
@_common
def charge_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record one finished call, counted once per message id."""
    from ledger.capture.workflow import charged

    usage = _taken_usage(fields)
    workflow_id = _new_or_existing(workflow_id, as_json=as_json)
    _append(charged(workflow_id, prices(), usage=usage, **fields), as_json=as_json)


@click.command("complete")
@workflow_argument
@_reason
@_run
@_common
def complete_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record that the run has ended well; from now on the last readings count."""
    _append(workflow_ended(_existing(workflow_id), "completed", **fields), as_json=as_json)


@click.command("fail")
@workflow_argument
@click.option("--error-message", help="What went wrong.")
@_reason
@_run
@_common
def fail_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record that the run has failed; it cost what it cost."""
    _append(workflow_ended(_existing(workflow_id), "failed", **fields), as_json=as_json)


@click.command("cancel")
@workflow_argument
@_reason
@_run
@_common
def cancel_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record that the run was cancelled; it cost what it cost."""
    _append(workflow_ended(_existing(workflow_id), "cancelled", **fields), as_json=as_json)


@click.command("correct")
@workflow_argument
@click.option("--cost-usd", metavar="USD", required=True, help="The right figure.")
@click.option("--reason", required=True, help="Why; it stays in the ledger.")
@_meter
@_common
def correct_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record a final reading with its reason. The wrong ones stay in the ledger; after the end, this one counts."""
    if not fields["reason"].strip():
        raise InvalidEvent("reason", "a correction needs a reason")
    _append(cost_observed(_existing(workflow_id), final=True, **fields), as_json=as_json)
