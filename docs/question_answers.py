"""What docs/questions.md shows of the documents that answer its questions.

Each function returns the answer of a document, of a command or of its route, in the words of the page.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from ledger.events import money


def usd(wire: str) -> str:
    """Return an amount of a document for people."""
    return money.shown(nanousd(wire))


def nanousd(wire: str) -> int:
    """Return an amount of a document, also a negative one."""
    return -money.from_wire(wire[1:]) if wire.startswith("-") else money.from_wire(wire)


def _cost(figures: dict[str, Any], name: str = "cost_usd") -> str:
    """Return the cost of a line or a total."""
    if figures["at_least"]:
        return f"at least {usd(figures[name])}" if nanousd(figures[name]) else "unpriced"
    return usd(figures[name])


def total(document: dict[str, Any]) -> str:
    """Return the total."""
    return _cost(document["total"])


def tokens(document: dict[str, Any]) -> str:
    """Return the tokens and the cost."""
    return f"{document['total']['total_tokens']:,} tokens, {total(document)}"


def _name(line: dict[str, Any]) -> str:
    """Return the period and the group of a line."""
    group = [f"#{value}" if name == "issue" and value else value for name, value in line["dimensions"].items()]
    return " ".join(str(value or "none") for value in [*filter(None, [line.get("period")]), *group])


def first(count: int) -> Callable[[Any], str]:
    """Return what shows the first lines."""
    return lambda document: ", ".join(f"{_name(line)}: {_cost(line)}" for line in document["lines"][:count])


def highest(document: dict[str, Any]) -> str:
    """Return the line that cost most."""
    line = max(document["lines"], key=lambda line: money.from_wire(line["cost_usd"]))
    return f"{_name(line)}: {_cost(line)}"


def last(document: dict[str, Any]) -> str:
    """Return the last of the sessions."""
    line = document["lines"][-1]
    return f"{len(document['lines'])} sessions, the last one {line['session_id']}: {_cost(line)}"


def highest_window(document: dict[str, Any]) -> str:
    """Return the window that cost most."""
    block = max(document["blocks"], key=lambda block: money.from_wire(block["cost_usd"]))
    return f"from {block['start_time'][:16]}Z: {_cost(block)}"


def of_rows(document: dict[str, Any]) -> str:
    """Return how many workflows there are, and their cost."""
    found = document["analytics"]
    return f"{document['total_count']} workflows, " + _cost(found, "total_cost_usd")


def cached(document: dict[str, Any]) -> str:
    """Return what was read from caches."""
    found = document["analytics"]
    return f"{found['cache_hit_tokens']:,} tokens, {found['cache_efficiency_percent']} % of the input"


def last_row(document: dict[str, Any]) -> str:
    """Return the last workflow."""
    row = document["workflows"][-1]
    return f"{row['adw_id']}: {row['duration_seconds'] // 60} min, {usd(row['actual_cost_total'])}"


def row(document: dict[str, Any]) -> str:
    """Return the cost of a workflow, and how it is known."""
    return f"{usd(document['actual_cost_total'])} ({document['cost_basis']})"


def agents(document: dict[str, Any]) -> str:
    """Return the cost of each agent of a workflow."""
    return ", ".join(f"{name}: {usd(cost)}" for name, cost in document["cost_breakdown"]["by_agent"].items())


def steps(document: dict[str, Any]) -> str:
    """Return the number of steps, and where the last one was read."""
    last = document["steps"][-1]
    return (
        f"{len(document['steps'])} steps to {usd(last['to_cost_usd'])}, the last read in {last['file']}:{last['line']}"
    )


def usual(document: dict[str, Any]) -> str:
    """Return mean, median and p95 of the first line."""
    line = document["lines"][0]
    return f"{_name(line)}: mean {usd(line['mean_usd'])}, median {usd(line['median_usd'])}, p95 {usd(line['p95_usd'])}"


def statistic(name: str) -> Callable[[Any], str]:
    """Return what shows a statistic of all workflows."""
    return lambda document: _cost(document["total"], name)


def most_wasted(document: dict[str, Any]) -> str:
    """Return the line that wasted most."""
    line = max(document["lines"], key=lambda line: money.from_wire(line["wasted_usd"]))
    return f"{_name(line)}: {_cost(line, 'wasted_usd')}"


def difference(document: dict[str, Any]) -> str:
    """Return a difference, and its largest part."""
    first = document["contributions"][0]
    return f"{usd(document['difference_usd'])}; most of it {_name(first)}: {usd(first['difference_usd'])}"


def parts(document: dict[str, Any]) -> str:
    """Return what a difference comes from."""
    count, each = document["from_count_usd"], document["from_cost_per_workflow_usd"]
    return f"{usd(count)} from their number, {usd(each)} from what each costs"


def what_if(document: dict[str, Any]) -> str:
    """Return what it would have cost."""
    total = document["total"]
    return f"{_cost(total, 'would_cost_usd')}, a difference of {usd(total['difference_usd'])}"


def budget(document: dict[str, Any]) -> str:
    """Return what was spent of a budget."""
    budget = document["budget"]
    return f"{usd(budget['spent_usd'])} of {usd(budget['budget_usd'])} ({budget['percent']} %), {budget['state']}"


def budgets(document: dict[str, Any]) -> str:
    """Return what was spent of all budgets."""
    return ", ".join(f"{one['adw_id']}: {budget(one)}" for one in document["workflows"])


def proven(document: dict[str, Any]) -> str:
    """Return what was proven."""
    return f"{document['ledgers']} ledgers and {document['rows']} rows, {document['findings_count']} findings"


def price(document: dict[str, Any]) -> str:
    """Return the price of a model."""
    rates = document["rates"]
    return f"${rates['input_tokens']['usd']} input, ${rates['output_tokens']['usd']} output for a million"


def receipt(document: dict[str, Any]) -> str:
    """Return the cost of a receipt."""
    return f"{_cost(document)} in {len(document['lines'])} lines"


def csv_sum(text: str) -> str:
    """Return the sum of a column."""
    costs = [row["cost_usd"] for row in csv.DictReader(io.StringIO(text)) if row["cost_usd"]]
    return f"{len(costs)} lines with a cost add up to {money.shown(sum(map(money.from_wire, costs)))}"


def moved(document: dict[str, Any]) -> str:
    """Return what was moved."""
    return f"{document['adw_id']} counts in {document['to']}; no day's total changes"


def removed(document: dict[str, Any]) -> str:
    """Return what was removed."""
    return f"{document['adw_id']} with {document['event_count']} events; `--undo` brings it back"
