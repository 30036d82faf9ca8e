"""`history` lists what is asked for, in the order that is asked for."""

from __future__ import annotations

import csv
import io

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
        (["--tool", "codex"], ""),
        (["--sort", "cost"], "bdca"),
        (["--sort", "cost", "--limit", "1"], "a"),
        (["--sort", "issue"], "dacb"),
        (["--sort", "id", "--status", "completed"], "abcd"),
    ],
)
def test_options_choose_and_sort(run: Run, options: list[str], expected: str) -> None:
    assert listed(run, *options) == list(expected)


def test_a_tool_is_named_by_a_part_of_its_name(run: Run) -> None:
    for kind, tool in (("claude", "Claude Code"), ("codex", "Codex")):
        run("import", kind, str(PROJECT / "tests" / "ledger" / "samples" / kind))
        rows = run("history", "--json", "--tool", kind).json["workflows"]
        assert {row["tool"] for row in rows} == {tool}
    assert run("history", "--json", "--tool", "claude-code").json["total_count"] > 0


def test_nothing_that_matches_is_no_empty_history(run: Run) -> None:
    done = run("history", "--issue", "99")
    assert (done.code, done.out) == (0, "no workflow matches these options; there are 4 in all\n")
    assert run("history", "--issue", "x").code == 2
    assert "is no issue; give its number, as 17 or #17" in run("history", "--issue", "x").err


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
