"""The commands that append one event each. They import neither pydantic nor rich nor sqlite3, to start fast."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ledger.errors import InvalidEvent, InvalidInput
from ledger.events import money, timestamps
from ledger.events.annotations import workflow_tagged
from ledger.events.clock_check import problem_ahead
from ledger.events.event import COST_OBSERVED, Event, cost_observed, workflow_ended, workflow_started
from ledger.events.fields import USAGE_FIELDS
from ledger.events.workflow_ids import is_workflow_id
from ledger.storage.append import Receipt
from projections.cli.budget_receipt import BudgetReceipts
from projections.cli.numbers import IssueNumber
from projections.cli.option_errors import InvalidOption, fields_as_options
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
    if value is not None and not (value.endswith("Z") and value[:1].isdigit()):
        from projections.cli.parsing import moment_named

        value = timestamps.to_wire(moment_named("--observed-at", value))
    if value is not None and (problem := problem_ahead(value, timestamps.now())):
        raise InvalidInput(f"--observed-at: {problem}")
    return value


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
_run = click.option("--run", type=int, help="Which run; by default the current one, or the next after an end.")
_reason = click.option("--reason", help="Why; it stays in the ledger.")
_meter = _options(
    click.option("--agent", help="The agent, such as plan."),
    click.option("--session-id", help="The session of the agent."),
    click.option("--model", help="The model, such as claude-sonnet-4-5."),
    click.option("--message-id", help="The id of the provider's response."),
)
_labels = _options(
    click.option("--subagent", help="The sub-agent; the breakdown by agent shows it instead of the agent."),
    click.option("--skill", help="The skill that was used."),
    click.option("--plugin", help="The plugin that it came with."),
)
_BUCKETS: Final = {
    "input_tokens": "Input tokens that neither went to a cache nor came from one.",
    "cache_write_tokens": "Input tokens written to a cache.",
    "cache_write_1h_tokens": "Those of them that are written for one hour.",
    "cache_read_tokens": "Input tokens read from a cache.",
    "output_tokens": "Output tokens, with those of reasoning.",
    "web_search_requests": "Web searches that the provider made.",
}
_usage = _options(
    *(click.option(f"--{name.replace('_', '-')}", type=int, help=_BUCKETS[name]) for name in USAGE_FIELDS)
)


def _taken_usage(options: dict[str, Any]) -> dict[str, int] | None:
    given = {name: options.pop(name) for name in USAGE_FIELDS}
    counts = {name: count for name, count in given.items() if count is not None}
    return counts or None


def _check_not_empty(usage: dict[str, int] | None, fields: dict[str, Any]) -> None:
    """Refuse a reading that names neither a cost nor tokens.

    Raises:
        InvalidOption: it does, and is not marked as partial.
    """
    if usage is None and fields["cost_usd"] is None and not fields["partial"]:
        tokens = "or --model with --input-tokens, --output-tokens and the like"
        raise InvalidOption(f"there is nothing to record: give --cost-usd, {tokens}")


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
    """Return the id, new or not; `#17`, and an id that a table ends with "…", mean an existing workflow.

    Raises:
        InvalidInput: it is typed at a terminal, and the first digits of a workflow's UUID; or no workflow fits.
    """
    typed = not as_json and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    shortened = typed and _SHORT_UUID.fullmatch(given) and store().size(given) is None
    if shortened or not is_workflow_id(given):
        from projections.cli.workflow_ids import new_or_existing_id

        return new_or_existing_id(given)
    return given


def _append(event: Event, *others: Event, as_json: bool) -> None:
    """Append events in one write, and print the receipt of the first."""
    receipt = store().append([event, *others])[0]
    _print(receipt, f"{_in_words(event)} is {_event(receipt)}", as_json=as_json)


def _append_end(event: Event, *, as_json: bool) -> None:
    """Append an end; one that repeats the end of the current run appends nothing, and gets the receipt of that end."""
    from projections.cli.run_ends import check_run, end_so_far, is_repeated, same_event

    ledgers = store()
    if isinstance(run := event.fields.get("run"), int):
        check_run(ledgers, event.workflow_id, run)
    end = end_so_far(ledgers, event.workflow_id)
    if end is None:
        _append(event, as_json=as_json)
        return
    from projections.cli.output.text import local_time

    repeated = is_repeated(event, end)
    receipt = ledgers.append([same_event(end) if repeated else event])[0]
    status = f"{end['type'].removeprefix('workflow_')} at {local_time(end.get('observed_at') or end['recorded_at'])}"
    if repeated:
        sentence = f"already {status} (event {receipt.seq}); nothing was appended"
    else:
        before = "" if receipt.duplicate else f"; before, it was {status}"
        sentence = f"{_in_words(event)} is {_event(receipt)}{before}"
    _print(receipt, sentence, as_json=as_json)


def _append_correction(event: Event, *, as_json: bool) -> None:
    if as_json:
        _append(event, as_json=as_json)
        return
    from projections.cli.correction_receipt import corrected

    receipt, sentence = corrected(store(), event)
    _print(receipt, f"{sentence} ({_event(receipt)})", as_json=as_json)


def _print(receipt: Receipt, sentence: str, *, as_json: bool) -> None:
    """Print what is recorded: with the state of the budget, or as JSON."""
    budget = BudgetReceipts(store()).after(receipt.workflow_id)
    if as_json:
        click.echo(receipt_json(receipt, budget))
        return
    rest = "" if budget is None else f"; budget: {budget}"
    click.echo(f"{receipt.workflow_id}: {sentence}{rest}")
    if budget is not None and budget.warning is not None:
        click.echo(f"costledger: {receipt.workflow_id} {budget.warning}", err=True)


def _event(receipt: Receipt) -> str:
    return f"event {receipt.seq}{', already there' if receipt.duplicate else ''}"


def _in_words(event: Event) -> str:
    """Return what an event records: its type, and the cost of a reading or what it lacks for one."""
    what = event.type.replace("_", " ")
    if event.type != COST_OBSERVED:
        return what
    if cost := event.fields.get("cost_usd"):
        return f"{what} {money.shown(money.from_wire(cost))}"
    if "usage" not in event.fields:
        return f"{what} (no cost: the cost is at least the priced part)"
    missing = "see `costledger prices MODEL`" if "model" in event.fields else "name its --model, or give --cost-usd"
    return f"{what} (no price: the cost is at least the priced part; {missing})"


def receipt_json(receipt: Receipt, budget: BudgetStatus | None) -> bytes:
    """Return a receipt as one JSON line; its budget is null where none is set."""
    import orjson

    if budget is None:  # the usual case, which needs no model
        return orjson.dumps(receipt._asdict() | {"budget": None})
    from projections.documents.budgets import budget_document

    return orjson.dumps(receipt._asdict() | {"budget": budget_document(budget)})


@click.command("start")
@workflow_argument
@click.option("--issue-number", type=IssueNumber(), metavar="NUMBER", help="The issue it works on: 17 or '#17'.")
@click.option("--workflow-template", help="The kind of workflow, such as adw_sdlc.")
@click.option("--project", help="What it belongs to; reports can be split by it.")
@click.option("--branch", help="The git branch that it works on.")
@click.option("--estimated-cost-usd", metavar="USD", help="What it is expected to cost.")
@click.option("--budget-usd", metavar="USD", help="What it may cost.")
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="A tag to group its cost by: team=payments.")
@_run
@_common
@fields_as_options()
def start_command(workflow_id: str, tags: tuple[str, ...], as_json: bool, **fields: Any) -> None:
    """Record that a run of a workflow starts: the first one, or the next one after an end.

    While a run is on, it adds what is given to that run.
    """
    given = _tags("--tag", tags)
    workflow_id = _new_or_existing(workflow_id, as_json=as_json)
    tagged = [workflow_tagged(workflow_id, tags=given, observed_at=fields["observed_at"])] if given else []
    _append(workflow_started(workflow_id, **fields), *tagged, as_json=as_json)


@click.command("tag")
@workflow_argument
@click.argument("tags", metavar="KEY=VALUE [KEY=VALUE...]", nargs=-1, required=True)
@_common
@fields_as_options()
def tag_command(workflow_id: str, tags: tuple[str, ...], as_json: bool, **fields: Any) -> None:
    """Tag a workflow: reports group and filter its cost by `--by KEY` and `--where KEY=VALUE`.

    The last value of a key counts; `KEY=` removes the tag. No figure changes.
    """
    given = _tags("tag", tags)
    _append(workflow_tagged(_existing(workflow_id), tags=given, **fields), as_json=as_json)


def _tags(where: str, given: tuple[str, ...]) -> dict[str, str]:
    """Return tags in texts such as `team=payments`.

    Raises:
        InvalidInput: a text is none.
    """
    tags: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"{where} {text!r}: give KEY=VALUE, such as team=payments")
        tags[key] = value
    return tags


@click.command("observe")
@workflow_argument
@click.option("--cost-usd", metavar="USD", help="What the meter shows now.")
@_meter
@_labels
@_usage
@click.option("--counter", metavar="NAME", help="The attempt that it counts from zero for; attempts add up.")
@click.option("--final", is_flag=True, default=None, help="It covers everything below its meter.")
@click.option("--partial", is_flag=True, default=None, help="The usage is incomplete.")
@click.option(
    "--cost-source",
    type=click.Choice(["reported", "priced"]),
    help="Whether the provider reported the cost, or a price list gave it [default: reported].",
)
@click.option("--price-book", help="Name and version of the price list, for a priced cost.")
@click.option("--service-tier", help="How the provider served it, such as batch; it decides the price.")
@_reason
@config_option
@_common
@fields_as_options()
def observe_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record what a meter shows now: of the workflow, or of the agent, session, model or message named.

    Tokens are of the same scope as the cost. Without a cost, --model and tokens are priced.
    """
    usage = _taken_usage(fields)
    _check_not_empty(usage, fields)
    workflow_id = _new_or_existing(workflow_id, as_json=as_json)
    reading = cost_observed(workflow_id, usage=usage, **fields)
    if reading.lacks_price:
        from ledger.pricing.price_book import price_event

        reading = price_event(prices(), reading)
    _append(reading, as_json=as_json)


@click.command("charge")
@workflow_argument
@click.option("--cost-usd", metavar="USD", help="What it cost.")
@_meter
@_labels
@_usage
@click.option("--partial", is_flag=True, default=None, help="The usage is incomplete.")
@click.option("--service-tier", help="How the provider served it, such as batch; it decides the price.")
@config_option
@_common
@fields_as_options()
def charge_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record one finished call; a message id counts once for its agent, session and model.

    Without a cost, --model and tokens are priced.
    """
    from ledger.capture.workflow import charged

    usage = _taken_usage(fields)
    _check_not_empty(usage, fields)
    workflow_id = _new_or_existing(workflow_id, as_json=as_json)
    _append(charged(workflow_id, prices(), usage=usage, **fields), as_json=as_json)


@click.command("complete")
@workflow_argument
@_reason
@_run
@_common
@fields_as_options()
def complete_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record that the run has ended well; from now on the last readings count.

    The same end again appends nothing.
    """
    _append_end(workflow_ended(_existing(workflow_id), "completed", **fields), as_json=as_json)


@click.command("fail")
@workflow_argument
@click.option("--error-message", help="What went wrong.")
@_reason
@_run
@_common
@fields_as_options()
def fail_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record that the run has failed; it cost what it cost.

    The same end again appends nothing.
    """
    _append_end(workflow_ended(_existing(workflow_id), "failed", **fields), as_json=as_json)


@click.command("cancel")
@workflow_argument
@_reason
@_run
@_common
@fields_as_options()
def cancel_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record that the run was cancelled; it cost what it cost.

    The same end again appends nothing.
    """
    _append_end(workflow_ended(_existing(workflow_id), "cancelled", **fields), as_json=as_json)


@click.command("correct")
@workflow_argument
@click.option("--cost-usd", metavar="USD", required=True, help="The right figure.")
@click.option("--reason", required=True, help="Why; it stays in the ledger.")
@_meter
@_common
@fields_as_options()
def correct_command(workflow_id: str, as_json: bool, **fields: Any) -> None:
    """Record a final reading with its reason. The wrong ones stay in the ledger; after the end, this one counts."""
    if not fields["reason"].strip():
        raise InvalidEvent("reason", "a correction needs a reason, which stays in the ledger")
    _append_correction(cost_observed(_existing(workflow_id), final=True, **fields), as_json=as_json)
