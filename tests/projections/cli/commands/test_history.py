"""`history` lists what is asked for, in the order that is asked for."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from ledger import DirectoryStore
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from tests.conftest import PROJECT
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

WORKFLOWS = [
    ("a", 17, "/home/dev/shop", "adw_sdlc", "2026-11-01T10:00:00Z", "5.00"),
    ("b", 18, "/home/dev/site", "adw_plan", "2026-11-02T10:00:00Z", "1.00"),
    ("c", 17, "/home/ops/shop", "adw_plan", "2026-11-03T10:00:00Z", "3.00"),
    ("d", None, None, None, "2026-11-04T10:00:00Z", "2.00"),
]


@pytest.fixture(autouse=True)
def _filled(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - in the folder that it makes
    monkeypatch.setenv("TZ", "UTC")
    store = DirectoryStore("data")
    for name, issue, project, template, at, usd in WORKFLOWS:
        store.append(
            [workflow_started(name, observed_at=at, issue_number=issue, project=project, workflow_template=template)]
        )
        store.append([cost_observed(name, cost_usd=usd, observed_at=at)])
        store.append([workflow_ended(name, "completed", observed_at=at)])


def listed(run: Run, *options: str) -> list[str]:
    return [row["adw_id"] for row in run("history", "--json", *options).json["workflows"]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "abcd"),
        (["--limit", "2"], "cd"),
        (["--since", "2026-11-02", "--until", "2026-11-03"], "bc"),
        (["--since", "2026-11-03T10:00Z"], "cd"),
        (["--until", "2026-11-01"], "a"),
        (["--since", "2026-12"], ""),
        (["--issue", "#17"], "ac"),
        (["--issue", "17", "--project", "/home/ops/shop/"], "c"),
        (["--project", "Shop"], "ac"),
        (["--template", "adw_plan"], "bc"),
        (["--sort", "cost"], "bdca"),
        (["--sort", "cost", "--limit", "1"], "a"),
        (["--sort", "issue"], "dacb"),
        (["--sort", "id", "--status", "completed"], "abcd"),
    ],
)
def test_options_choose_and_sort(run: Run, options: list[str], expected: str) -> None:
    assert listed(run, *options) == list(expected)


def test_a_tool_is_named_by_its_name_or_a_kind(run: Run) -> None:
    for kind, tool in (("claude", "Claude Code"), ("codex", "Codex")):
        run("import", kind, str(PROJECT / "tests" / "ledger" / "samples" / kind))
        rows = run("history", "--json", "--tool", kind).json["workflows"]
        assert {row["tool"] for row in rows} == {tool}
    assert run("history", "--json", "--tool", "claude-code").json["total_count"] > 0
    assert run("history", "--tool", "code").code == 2, "a part of two names is no tool"


def test_nothing_that_matches_is_no_empty_history(run: Run) -> None:
    done = run("history", "--issue", "99")
    assert (done.code, done.out) == (0, "no workflow matches these options; there are 4 in all\n")
    assert run("history", "--issue", "x").code == 2
    assert "is no issue; give its number, as 17 or '#17'" in run("history", "--issue", "x").err


def test_comma_separated_values_have_each_figure_exactly(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("history", "--csv").out)))
    assert [(row["adw_id"], row["cost_usd"], row["at_least"], row["budget_usd"]) for row in rows] == [
        ("a", "5.00", "0", ""),
        ("b", "1.00", "0", ""),
        ("c", "3.00", "0", ""),
        ("d", "2.00", "0", ""),
    ]
    assert run("history", "--csv", "--json").code == 2


def test_a_name_in_a_cell_is_no_formula(run: Run) -> None:
    run("start", "e", "--project", "=1+1", "--budget-usd", "4")
    (row,) = csv.DictReader(io.StringIO(run("history", "--csv", "--status", "running").out))
    assert (row["project"], row["budget_usd"], row["left_usd"]) == ("'=1+1", "4.00", "4.00")


def test_a_tool_and_a_span_that_no_row_can_have_are_refused(run: Run) -> None:
    run("import", "codex", str(PROJECT / "tests" / "ledger" / "samples" / "codex"))
    done = run("history", "--tool", "cursor")
    assert (done.code, done.out) == (2, "")
    assert "--tool cursor: no workflow has readings of that tool, only of API, Codex\n" in done.err
    done = run("history", "--since", "2026-11-03", "--until", "2026-11-02")
    assert (done.code, done.out) == (2, "")
    assert "--since 2026-11-03 00:00 is not before --until 2026-11-03 00:00" in done.err


@pytest.mark.parametrize(("end", "basis"), [("completed", "it ended without a reading"), (None, "no reading yet")])
def test_a_workflow_without_a_reading_makes_every_total_a_lower_bound(run: Run, end: str | None, basis: str) -> None:
    store = DirectoryStore("data")
    store.append([workflow_started("e", observed_at="2026-11-03T12:00:00Z")])
    if end:
        store.append([workflow_ended("e", end, observed_at="2026-11-03T12:30:00Z")])
    note = "≥ means at least: 1 workflow without a reading, whose cost is unknown\n"
    shown = run("history").out
    assert "≥ $11.0000" in shown
    assert note in shown
    assert f"unknown  ({basis})\n" in run("show", "e").out
    assert run("history", "--json").json["analytics"]["unknown_count"] == 1
    assert run("history", "--json").json["analytics"]["at_least"]
    assert not run("history", "--json", "--since", "2026-11-04").json["analytics"]["at_least"]
    picture = run()
    assert "in all at least $11.0000 in 5 workflows" in picture.out
    assert note in picture.out
    assert run("--json").json["in_all"]["at_least"]


def test_a_report_is_a_lower_bound_in_the_days_of_a_workflow_without_a_reading(run: Run) -> None:
    DirectoryStore("data").append([workflow_started("e", observed_at="2026-11-03T12:00:00Z")])
    day = run("daily", "--since", "2026-11-03", "--until", "2026-11-03")
    assert "≥ $3.0000" in day.out
    assert day.out.endswith("≥ means at least: 1 workflow without a reading, whose cost is unknown\n")
    told = run("daily", "--since", "2026-11-03", "--until", "2026-11-03", "--json").json
    assert (told["total"]["at_least"], told["unknown_count"], told["lines"][0]["at_least"]) == (True, 1, False)
    before = run("daily", "--until", "2026-11-02", "--json").json
    assert (before["total"]["at_least"], before["unknown_count"]) == (False, 0)


def test_only_a_workflow_without_a_reading_is_no_spend_of_nothing(run: Run) -> None:
    DirectoryStore("data").append([workflow_started("e", observed_at="2026-10-03T12:00:00Z")])
    october = run("monthly", "--since", "2026-10", "--until", "2026-10").out
    assert october == "1 workflow without a reading, whose cost is unknown\n"
    assert run("monthly", "--since", "2026-09", "--until", "2026-09").out == "nothing was spent in this time\n"


def test_a_project_is_chosen_by_any_folder_in_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = tmp_path / "work" / "shop"
    deep = shop / "src" / "cart"
    tree = shop / ".worktrees" / "fix"
    for folder in (shop / ".git", deep, tree):
        folder.mkdir(parents=True)
    (shop / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    store = DirectoryStore(tmp_path / "data")
    store.append([workflow_started("e", observed_at="2026-11-05T10:00:00Z", project=str(shop))])
    monkeypatch.setenv("COSTLEDGER_DATA", str(tmp_path / "data"))
    for here, given in (
        (shop, "."),
        (deep, "."),
        (deep, "../.."),
        (shop, "src/cart"),
        (tmp_path, "work/shop"),
        (tree, "."),
    ):
        monkeypatch.chdir(here)
        assert listed(run, "--project", given) == ["e"], (here, given)
    assert listed(run, "--project", str(deep)) == ["e"]
    monkeypatch.chdir(tmp_path)
    assert listed(run, "--project", "./nowhere") == []
    assert listed(run, "--project", "shop") == ["a", "c", "e"], "a name is a name, also where a folder is called so"


@pytest.mark.parametrize("columns", [80, 120, 140, 200])
def test_a_budget_takes_no_room_from_what_identifies_a_workflow(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    run("start", "e", "--budget-usd", "5", "--project", "/home/dev/till", "--branch", "fix/payments")
    model = "openrouter/anthropic/claude-sonnet-4-5-20250929"
    run("observe", "e", "--cost-usd", "3", "--model", model)
    table = run("history").out.splitlines()
    assert max(map(len, table)) <= columns
    head = set(re.split(r" {2,}", table[0].strip()))
    assert {"workflow", "project", "cost", "tool", "last activity"} <= head
    assert columns == 80 or {"status", "branch", "budget"} <= head
    assert columns < 140 or "model" in head
