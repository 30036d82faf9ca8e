"""What has no price and what nothing was read of: never $0.00, on no surface."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from projections.folding.cost_words import in_words, shown_cost
from tests.projections.cli.test_app import Run
from tests.projections.cli.test_app import run as run  # the fixture

OF_A_WORKFLOW = {"adw_id", "left_usd"}
"""Fields of the documents of one workflow, such as a row, a finding, a check or a budget."""

NOTHING = re.compile(r"\$0\.0+(?![0-9])")


@pytest.fixture
def recorded(run: Run) -> Run:
    """One workflow whose tokens have no price, and one that was only started, both with a budget."""
    run("start", "unpriced-w", "--budget-usd", "5", "--issue-number", "17", "--project", "p")
    call = ("--agent", "plan", "--model", "of-no-price", "--session-id", "s", "--input-tokens", "150000")
    run("charge", "unpriced-w", *call, "--message-id", "m")
    run("start", "unread-w", "--budget-usd", "5")
    return run


def ids(arguments: tuple[str, ...]) -> str:
    return " ".join(arguments) or "(none)"


READING = [
    *((), ("history",), ("check",), ("stale",), ("stale", "--idle-hours", "0")),
    *((command, name) for command in ("show", "explain", "check") for name in ("unpriced-w", "unread-w")),
    *((command,) for command in ("daily", "weekly", "monthly", "session")),
    *((command, "--csv") for command in ("daily", "weekly", "monthly", "session")),
    *(("daily", "--breakdown"), ("daily", "--by", "agent"), ("daily", "--by", "issue"), ("monthly", "--by", "project")),
    *(("refresh",), ("resync", "--dry-run"), ("resync",), ("rebuild", "--check"), ("rebuild",), ("verify",)),
    *(("watch", "--once"), ("reprice", "--reason", "x")),
]


@pytest.mark.parametrize("ended", [False, True], ids=["running", "ended"])
@pytest.mark.parametrize("arguments", READING, ids=ids)
def test_no_command_shows_an_unpriced_or_unread_workflow_as_nothing(
    recorded: Run, arguments: tuple[str, ...], ended: bool
) -> None:
    if ended:
        for name in ("unpriced-w", "unread-w"):
            recorded("complete", name)
    done = recorded(*arguments)
    shown = done.out + done.err
    assert not NOTHING.search(shown), shown
    if arguments == ("history",):
        assert all(word in done.out for word in ("unpriced", "unknown"))
    if "unread-w" in arguments and arguments[0] in ("show", "check"):
        assert "unknown" in done.out


@pytest.mark.parametrize("arguments", [("history",), ("show", "unread-w"), ()], ids=ids)
def test_workflows_without_a_reading_add_up_to_unknown(run: Run, arguments: tuple[str, ...]) -> None:
    run("start", "unread-w")
    assert "unknown" in run(*arguments).out
    if arguments:
        assert not NOTHING.search(run(*arguments).out)


def figures(document: Any, where: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every object of a document that says a cost of nothing, with its way there."""
    found: list[tuple[str, dict[str, Any]]] = []
    if isinstance(document, dict):
        costs = ("cost_usd", "spent_usd", "actual_cost_total")
        if any(str(document.get(name)) in ("0.00", "0.0") for name in costs):
            found.append((where, document))
        for name, value in document.items():
            found += figures(value, f"{where}.{name}")
    elif isinstance(document, list):
        for at, value in enumerate(document):
            found += figures(value, f"{where}[{at}]")
    return found


@pytest.mark.parametrize("arguments", [a for a in READING if "--csv" not in a and a[:1] != ("watch",)], ids=ids)
def test_json_has_no_cost_of_nothing_for_a_workflow_and_marks_those_of_totals(
    recorded: Run, arguments: tuple[str, ...]
) -> None:
    """A total stays decimal text, so that programs can add; other fields say what it is."""
    for line in recorded(*arguments, "--json").out.split("\n\n"):
        for where, said in figures(json.loads(line) if line.strip() else None):
            assert "group" in said or not OF_A_WORKFLOW & said.keys(), (where, said)
            assert said.get("unpriced_events") or said.get("unpriced") or said.get("at_least"), (where, said)


@pytest.mark.parametrize("name", ["unpriced-w", "unread-w"])
def test_a_cost_that_is_no_figure_is_null_in_the_documents_of_its_workflow(recorded: Run, name: str) -> None:
    row, checked = recorded("show", name, "--json").json, recorded("check", name, "--json").json
    for document in (row, checked):
        assert document["actual_cost_total"] is None
        budget = document["budget"]
        assert (budget["spent_usd"], budget["percent"], budget["left_usd"]) == (None, None, "5.00")
        assert (budget["at_least"], budget["state"]) == (True, "ok")


def test_a_cost_of_nothing_that_was_read_is_a_figure_in_json(run: Run) -> None:
    run("start", "free", "--budget-usd", "5")
    run("observe", "free", "--cost-usd", "0")
    checked = run("check", "free", "--json").json
    spent, percent = checked["budget"]["spent_usd"], checked["budget"]["percent"]
    assert (checked["actual_cost_total"], spent, percent) == ("0.00", "0.00", 0)
    (step,) = run("explain", "free", "--json").json["steps"]
    assert (step["from_cost_usd"], step["to_cost_usd"]) == (None, "0.00")


def test_a_column_of_a_spreadsheet_is_empty_where_there_is_no_figure(recorded: Run) -> None:
    (line,) = csv.DictReader(io.StringIO(recorded("daily", "--csv").out))
    assert (line["cost_usd"], line["unpriced_events"], line["at_least"]) == ("", "1", "1")


def test_history_leaves_the_cell_of_a_workflow_without_a_figure_empty(recorded: Run) -> None:
    lines = list(csv.DictReader(io.StringIO(recorded("history", "--csv").out)))
    assert {line["adw_id"]: line["cost_usd"] for line in lines} == {"unread-w": "", "unpriced-w": ""}


def test_a_receipt_shows_no_figure_before_anything_was_read(run: Run) -> None:
    assert not NOTHING.search(run("start", "w", "--budget-usd", "5").out)


def test_nothing_is_a_figure_where_a_reading_says_so(run: Run) -> None:
    run("observe", "free", "--cost-usd", "0")
    assert "$0.0000" in run("history").out
    assert "$0.0000" in run("show", "free").out


@pytest.mark.parametrize(
    ("given", "table", "sentence"),
    [
        ((0, False, False, True), "$0.0000", "$0.0000"),
        ((0, False, False, False), "unknown", "an unknown amount"),
        ((0, True, True, True), "unpriced", "an unpriced amount"),
        ((0, False, True, True), "unknown", "an unknown amount"),
        ((1_500_000_000, False, True, True), "≥ $1.5000", "at least $1.5000"),
        ((1_500_000_000, False, False, False), "$1.5000", "$1.5000"),
    ],
)
def test_a_cost_in_words(given: tuple[int, bool, bool, bool], table: str, sentence: str) -> None:
    nanousd, unpriced, at_least, known = given
    assert shown_cost(nanousd, unpriced=unpriced, at_least=at_least, known=known) == table
    assert in_words(nanousd, unpriced=unpriced, at_least=at_least, known=known) == sentence
