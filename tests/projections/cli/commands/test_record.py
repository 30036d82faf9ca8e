"""The commands that append one event: what they refuse, what they repeat, and what a correction has changed."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from ledger import DirectoryStore, workflow_ended
from ledger.events.event import Event
from projections.cli.app import _COMMANDS
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

ENDS = {"complete": "completed", "fail": "failed", "cancel": "cancelled"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["observe", "w", "--cost-usd", "-1"], "--cost-usd: '-1' is not an amount in USD: a cost cannot be negative"),
        (["observe", "w", "--cost-usd", "1", "--output-tokens", "-4"], "--output-tokens: -4 is not between 0 and"),
        (
            ["observe", "w", "--cost-usd", "1", "--cache-write-1h-tokens", "5"],
            "--cache-write-1h-tokens is a part of --cache-write-tokens and cannot exceed it",
        ),
        (
            ["observe", "w", "--cost-usd", "1", "--cost-source", "priced"],
            "--price-book: a priced cost names the price book",
        ),
        (
            ["observe", "w", "--cost-usd", "1", "--price-book", "p"],
            "--price-book: a reported cost was not priced; leave it out or set --cost-source to priced",
        ),
        (
            ["observe", "w", "--output-tokens", "1", "--final"],
            "--final: belongs to a cost, and this reading has none",
        ),
        (
            ["observe", "w", "--cost-usd", "1", "--session-id", "s", "--counter", "c"],
            "--counter: belongs to a",
        ),
        (["observe", "w"], "there is nothing to record: give --cost-usd, or --model with --input-tokens"),
        (["charge", "w"], "there is nothing to record: give --cost-usd, or --model with --input-tokens"),
        (["charge", "w", "--cost-usd", "1", "--agent", ""], "--agent: expected text, not ''"),
        (["start", "w", "--run", "0"], "--run: counting starts at 1"),
        (["start", "w", "--issue-number", "-4"], "'-4' is no issue; give its number, as 17 or '#17'"),
        (["start", "w", "--budget-usd", "much"], "--budget-usd: 'much' is not an amount in USD: expected a decimal"),
        (["start", "a/b"], "'a/b' is not a workflow id: use 1 to 128 letters"),
        (["observe", "z" * 140, "--cost-usd", "1"], "is not a workflow id: it has 140 characters; use 1 to 128"),
        (["correct", "known", "--cost-usd", "1", "--reason", " "], "--reason: a correction needs a reason"),
        (["complete", "known", "--run", "0"], "--run: counting starts at 1"),
    ],
)
def test_what_is_refused_is_named_by_its_option_with_an_example(run: Run, arguments: list[str], sentence: str) -> None:
    run("observe", "known", "--cost-usd", "1")
    refused = run(*arguments)
    assert (refused.code, refused.out) == (2, "")
    assert f"costledger: {sentence}" in refused.err or sentence in refused.err
    assert "field '" not in refused.err
    assert refused.err.endswith(f"\nExample: {_COMMANDS[arguments[0]].example}\n")


@pytest.mark.parametrize("name", [name for name in _COMMANDS if name != "completion"])
def test_a_wrong_option_of_any_command_is_answered_with_an_example(run: Run, name: str) -> None:
    refused = run(name, "--nothing-like-this")
    assert (refused.code, refused.out) == (2, "")
    assert "--nothing-like-this" in refused.err
    assert refused.err.endswith(f"Example: {_COMMANDS[name].example}\n")


def test_an_issue_that_the_shell_took_for_a_comment_is_explained(run: Run) -> None:
    assert "put the number of an issue in quotes, as '#17'" in run("show").err
    assert "in quotes" not in run("correct", "w").err


def test_usage_without_a_model_says_what_is_missing(run: Run) -> None:
    assert "name its --model, or give --cost-usd" in run("charge", "w", "--output-tokens", "9").out
    assert "costledger prices MODEL" in run("charge", "w", "--output-tokens", "9", "--model", "local-x").out
    assert "no cost: the cost is at least the priced part" in run("observe", "w", "--partial").out


@pytest.mark.parametrize(("command", "status"), ENDS.items())
def test_an_end_that_repeats_the_end_of_its_run_appends_nothing(run: Run, command: str, status: str) -> None:
    run("observe", "w", "--cost-usd", "2")
    first = run(command, "w", "--reason", "agreed", "--json").json
    for given in ((), ("--reason", "agreed"), ("--run", "1")):
        again = run(command, "w", *given)
        assert (again.code, again.err) == (0, "")
        assert again.out.startswith(f"w: already {status} at 20")
        assert again.out.endswith("(event 3); nothing was appended\n")
        assert run(command, "w", *given, "--json").json == first | {"duplicate": True}
    assert len(list(DirectoryStore(Path("data")).read("w"))) == 3


def test_an_end_that_differs_is_appended_and_says_what_it_follows(run: Run) -> None:
    run("observe", "w", "--cost-usd", "2")
    run("complete", "w", "--observed-at", "2026-11-23T12:00Z")
    failed = run("fail", "w", "--error-message", "tests do not pass").out
    assert failed.startswith("w: workflow failed is event 4; before, it was completed at 2026-11-2")
    assert "is event 5; before, it was failed at" in run("fail", "w", "--reason", "flaky").out
    assert "is event 6; before" in run("fail", "w", "--id", "e6").out
    assert run("fail", "w", "--id", "e6").out == "w: workflow failed is event 6, already there\n"
    run("start", "w")
    assert run("fail", "w").out == "w: workflow failed is event 8\n", "the end of another run"


def test_an_end_in_a_ledger_that_cannot_be_replayed_is_no_crash(run: Run) -> None:
    store = DirectoryStore(Path("data"))
    store.append([workflow_ended("w", "completed")])
    path = store.ledger_path("w")
    path.write_bytes(path.read_bytes().replace(b'"run":1', b'"run":2'))
    refused = run("complete", "w")
    assert (refused.code, refused.out, "Traceback" in refused.err) == (3, "", False)


def test_a_correction_says_from_what_to_what(run: Run) -> None:
    run("observe", "w", "--agent", "plan", "--cost-usd", "3")
    run("observe", "w", "--agent", "build", "--cost-usd", "2")
    running = run("correct", "w", "--agent", "plan", "--cost-usd", "1", "--reason", "counted twice", "--id", "c1").out
    assert running == (
        "w: agent plan corrected to $1.0000, which counts when the run has ended; until then it stays at $3.0000 "
        "(event 4)\n"
    )
    run("complete", "w")
    for arguments, sentence in (
        (
            ("--agent", "plan", "--cost-usd", "0.50"),
            "agent plan corrected from $1.0000 to $0.5000; the workflow from $3.0000 to $2.5000",
        ),
        (("--cost-usd", "2.37"), "corrected from $2.5000 to $2.3700"),
        (("--cost-usd", "4"), "corrected from $2.3700 to $4.0000"),
        (
            ("--agent", "new", "--cost-usd", "1"),
            "agent new corrected from nothing to $1.0000; the workflow stays at $4.0000",
        ),
    ):
        assert run("correct", "w", *arguments, "--reason", "invoice").out.startswith(f"w: {sentence} (event ")
    again = run("correct", "w", "--agent", "plan", "--cost-usd", "1", "--reason", "counted twice", "--id", "c1")
    assert again.out.endswith("(event 4, already there)\n")
    assert set(run("correct", "w", "--cost-usd", "1", "--reason", "r", "--json").json) == {
        "workflow_id",
        "id",
        "seq",
        "hash",
        "duplicate",
        "durability",
        "budget",
    }


def test_a_correction_of_a_ledger_with_a_line_that_cannot_be_folded_is_recorded(run: Run) -> None:
    run("observe", "w", "--cost-usd", "3")
    store = DirectoryStore(Path("data"))
    odd = Event("w", "cost_observed", MappingProxyType({"cost_usd": "much", "cost_source": "reported"}))
    store.append([odd])
    done = run("correct", "w", "--cost-usd", "1", "--reason", "invoice")
    assert (done.code, done.out) == (0, "w: corrected to $1.0000 (event 4)\n")


@pytest.mark.parametrize("end", ENDS)
def test_an_end_of_a_run_that_never_started_is_refused_with_the_runs_there_are(run: Run, end: str) -> None:
    for _ in range(3):
        run("start", "w")
        run("complete", "w")
    before = run("show", "w", "--json").json["event_count"]
    refused = run(end, "w", "--run", "9")
    assert (refused.code, "--run: run 9 of w never started; its runs: 1, 2, 3" in refused.err) == (2, True)
    assert run("show", "w", "--json").json["event_count"] == before
    assert run(end, "w", "--run", "2").code == 0, "an earlier run may get an end"


def test_the_first_run_needs_no_start_to_end(run: Run) -> None:
    run("observe", "w", "--cost-usd", "1")
    assert "its runs: 1\n" in run("complete", "w", "--run", "2").err
    assert run("complete", "w", "--run", "1").code == 0
