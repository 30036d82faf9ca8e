"""What needs attention, from the command line: each next step ends its finding, or an acceptance makes it quiet."""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import DirectoryStore
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from tests.ledger.logs import init, message, result, write
from tests.projections.cli.test_app import Run
from tests.projections.cli.test_app import run as run  # the fixture

Story = Callable[[Run, Path], None]

MODEL = "claude-sonnet-4-5-20250929"


def low_cost(run: Run, _: Path) -> None:
    run("observe", "w", "--cost-usd", "0.09", "--model", MODEL, "--input-tokens", "500000", "--output-tokens", "58000")
    run("complete", "w")


def unpriced(run: Run, folder: Path) -> None:
    run("observe", "w", "--model", "mine-1", "--input-tokens", "1000", "--message-id", "m")
    run("complete", "w")
    assert run("stale").out == "nothing needs attention\n", "there is no price, and the row says so"
    prices = '[[prices]]\nmodel = "mine-1"\ninput_usd_per_mtok = "2"\noutput_usd_per_mtok = "4"\n'
    (folder / "costledger.toml").write_text(prices)


def retry_without_counter(run: Run, _: Path) -> None:
    for cost, end in (("0.50", "fail"), ("0.40", "complete")):
        run("start", "w")
        run("observe", "w", "--agent", "plan", "--cost-usd", cost)
        run(end, "w")


def silent(_: Run, folder: Path) -> None:
    yesterday = lambda: datetime(2026, 11, 1, tzinfo=UTC)  # noqa: E731
    DirectoryStore(folder / "data", clock=yesterday).append([workflow_started("w"), cost_observed("w", cost_usd="1")])


def held(run: Run, folder: Path) -> None:
    run("observe", "w", "--cost-usd", "2.37")
    run("history")
    with sqlite3.connect(folder / "data/history.db") as db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 5")
    db.close()
    run("observe", "w", "--cost-usd", "2.38")


def possible_double_counting(run: Run, _: Path) -> None:
    run("observe", "w", "--session-id", "s", "--cost-usd", "1")
    run("observe", "w", "--model", "m", "--cost-usd", "1")
    run("complete", "w")


def source_grown(run: Run, folder: Path) -> None:
    log = folder / "agents/w/plan/raw_output.jsonl"
    write(log, init(), message("m", 5), result("0.50"))
    run("import", "adw", "agents", "--status", "completed")
    os.utime(log, (4e9, 4e9))
    assert run("stale").out == "nothing needs attention\n", "the file is newer, and holds nothing more"
    write(log, init(), message("m", 5), message("m2", 7), result("0.90"))
    os.utime(log, (4e9, 4e9))


def ahead_of_clock(_: Run, folder: Path) -> None:
    future = lambda: datetime(2199, 1, 1, tzinfo=UTC)  # noqa: E731
    DirectoryStore(folder / "data", clock=future).append([cost_observed("w", cost_usd="1")])


STORIES = [
    *(low_cost, unpriced, retry_without_counter, silent),
    *(held, possible_double_counting, source_grown, ahead_of_clock),
]


def kinds(run: Run) -> list[str]:
    return [one["kind"] for one in run("stale", "--json").json["findings"]]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_next_step_of_each_finding_ends_it(run: Run, tmp_path: Path, story: Story) -> None:
    story(run, tmp_path)
    (found,) = run("stale", "--json").json["findings"]
    assert (found["adw_id"], found["kind"]) == ("w", story.__name__)
    command = found["next_step"].partition(" (")[0].replace("WHY", "seen").replace("USD", "0.90")
    program, *arguments = shlex.split(command)
    assert program == "costledger"
    done = run(*arguments)
    assert done.code == 0, done.err
    assert run("stale").out == "nothing needs attention\n"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_each_finding_can_be_accepted_and_stays_quiet(run: Run, tmp_path: Path, story: Story) -> None:
    story(run, tmp_path)
    before = run("show", "w", "--json").json
    assert f"{story.__name__}" in kinds(run)
    assert run("stale", "--accept", "w").code != 0, "without a reason"
    assert "accepted: " in run("stale", "--accept", "w", "--reason", "as agreed").out
    assert run("stale").out == "nothing needs attention\n"
    assert "nothing needs attention in w" in run("stale", "--accept", "w", "--reason", "again").err
    after = run("show", "w", "--json").json
    accepted = after["cost_breakdown"].pop("accepted")
    assert accepted[story.__name__]["reason"] == "as agreed"
    for name in ("event_count", "ledger_seq", "ledger_hash", "updated_at"):
        del before[name], after[name]
    assert after == before, "no figure and no activity"
    run("rebuild")
    assert run("stale").out == "nothing needs attention\n", "it is in the ledger"
    assert f"accepted: {story.__name__}" in run("explain", "w").out
    assert "(as agreed)" in run("explain", "w").out


def test_a_finding_of_another_kind_shows_although_one_was_accepted(run: Run, tmp_path: Path) -> None:
    low_cost(run, tmp_path)
    run("stale", "--accept", "w", "--reason", "a promotion")
    DirectoryStore(tmp_path / "data").append(
        [
            cost_observed("w", message_id="m", session_id="s", cost_usd="0.01"),
            cost_observed("w", message_id="m", model="n", cost_usd="0.01"),
        ]
    )
    assert "possible_double_counting" in kinds(run)


def test_what_an_import_brought_is_no_workflow_that_somebody_forgot_to_end(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "agents/w/plan/raw_output.jsonl", init(), message("m", 5), result("0.50"))
    run("import", "adw", "agents")
    run("observe", "mine", "--cost-usd", "1")
    found = run("stale", "--idle-hours", "0", "--json").json["findings"]
    assert [(one["adw_id"], one["kind"]) for one in found] == [("mine", "silent")]


def test_an_odd_id_is_accepted_as_it_is_printed(run: Run, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "data", clock=lambda: datetime(2199, 1, 1, tzinfo=UTC))
    store.append([cost_observed("--skip-e2e", cost_usd="1"), workflow_ended("--skip-e2e", "completed")])
    (found,) = run("stale", "--json").json["findings"]
    _, *arguments = shlex.split(found["next_step"].partition(" (")[0])
    assert run(*arguments).code == 0
    assert run("stale").out == "nothing needs attention\n"


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("--accept", "nowhere", "--reason", "x"), 1, "nowhere"),
        (("--reason", "x"), 2, "--accept ID"),
        (("--accept", "w", "--reason", " "), 2, "needs a reason"),
    ],
)
def test_an_acceptance_that_cannot_be_is_refused(run: Run, arguments: tuple[str, ...], code: int, problem: str) -> None:
    run("observe", "w", "--cost-usd", "1")
    done = run("stale", *arguments)
    assert (done.code, problem in done.err) == (code, True), done.err
