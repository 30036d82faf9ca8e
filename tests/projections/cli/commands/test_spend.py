"""Reports from the command line: tables of any width, JSON, CSV, and what they say of bad input."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest

from ledger import DirectoryStore
from ledger.events.event import cost_observed
from projections.reports.timezones import zone_called
from tests.conftest import PROJECT
from tests.projections.cli.test_app import Run, run
from tests.terminal import shown_until_end

__all__ = ["run"]

USAGE = ("--input-tokens", "1000", "--output-tokens", "200", "--cache-read-tokens", "50000")
PLAN, BUILD = "2026-11-22T23:30:00Z", "2026-11-23T12:00:00Z"


@pytest.fixture
def filled(run: Run) -> Run:
    """Two workflows, over midnight in Berlin, one message of a model without a price."""
    run("start", "w", "--issue-number", "17", "--workflow-template", "sdlc", "--project", "site")
    opus, sonnet = ("--model", "claude-opus-4-5"), ("--model", "claude-sonnet-4-5")
    run("charge", "w", "--agent", "plan", *opus, "--cost-usd", "1.25", "--observed-at", PLAN, *USAGE)
    run("charge", "w", "--agent", "build", *sonnet, "--cost-usd", "0.50", "--observed-at", BUILD, *USAGE)
    run("charge", "v", "--session-id", "s-1", "--model", "who-knows-1", "--observed-at", BUILD, *USAGE)
    return run


def on_a_terminal(columns: int, *arguments: str) -> str:
    """What a terminal of some width gets."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = inherited | {"PYTHONPATH": str(PROJECT), "NO_COLOR": "1", "TERM": "xterm", "TZ": "UTC"}
    command = [sys.executable, "-m", "projections", *arguments]
    process = subprocess.Popen(command, stdout=theirs, env=environment)
    written = shown_until_end(ours, theirs, process)
    assert process.returncode == 0
    return written.decode()


def test_a_day_begins_at_midnight_of_the_reports_zone(filled: Run) -> None:
    utc = filled("daily", "--timezone", "UTC", "--json").json
    assert [(line["period"], line["cost_usd"]) for line in utc["lines"]] == [
        ("2026-11-22", "1.25"),
        ("2026-11-23", "0.50"),
    ]
    berlin = filled("daily", "--timezone", "Europe/Berlin", "--json").json
    assert [(line["period"], line["cost_usd"]) for line in berlin["lines"]] == [("2026-11-23", "1.75")]
    assert (utc["total"]["cost_usd"], utc["total"]["total_tokens"]) == ("1.75", 3 * 51_200)
    assert utc["unpriced"] == {"who-knows-1": {"events": 1, "tokens": 51_200}}
    assert (utc["timezone"], berlin["timezone"]) == ("UTC", "Europe/Berlin")


def test_the_local_zone_is_the_default(filled: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        answer = filled("daily", "--json").json
        assert ([line["period"] for line in answer["lines"]], answer["timezone"]) == (["2026-11-23"], zone_called(None))
        assert filled("daily", "--json", "--timezone", "local").json == answer
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("by", "split"),
    [
        ("agent", {"plan": "1.25", "build": "0.50", None: "0.00"}),
        ("model", {"claude-opus-4-5": "1.25", "claude-sonnet-4-5": "0.50", "who-knows-1": "0.00"}),
        ("template", {"sdlc": "1.75", None: "0.00"}),
        ("issue", {17: "1.75", None: "0.00"}),
        ("project", {"site": "1.75", None: "0.00"}),
    ],
)
@pytest.mark.parametrize("command", ["monthly", "session"])
def test_a_report_is_split_by(filled: Run, command: str, by: str, split: dict[Any, str]) -> None:
    shown = filled(command, "--by", by, "--json").json
    assert {line["group"]: line["cost_usd"] for line in shown["lines"]} == split
    assert shown["total"]["cost_usd"] == "1.75"


def test_spend_is_split_by_several_things_and_filtered(filled: Run) -> None:
    filled("tag", "w", "team=payments")
    shown = filled("spend", "--by", "team,agent", "--by", "agent", "--json").json
    assert [(line["dimensions"], line["group"], line["cost_usd"]) for line in shown["lines"]] == [
        ({"team": "payments", "agent": "plan"}, "payments / plan", "1.25"),
        ({"team": "payments", "agent": "build"}, "payments / build", "0.50"),
        ({"team": None, "agent": None}, " / ", "0.00"),
    ]
    of_plan = filled("spend", "--where", "team=payments", "--where", "agent=plan", "--per", "month", "--json").json
    assert (len(of_plan["lines"]), of_plan["total"]["cost_usd"]) == (1, "1.25")
    refused = filled("daily", "--by", "modle")
    assert (refused.code, refused.out) == (2, "")
    assert "did you mean 'model'?" in refused.err
    assert "the tags team" in refused.err
    assert filled("spend", "--where", "agent").code == 2


def test_top_shows_what_cost_most_and_the_rest_in_one_line(filled: Run) -> None:
    table = filled("top", "--by", "agent", "-n", "1").out
    shown_lines = [line.split()[0] for line in table.splitlines() if line.strip(" ─")]
    assert shown_lines[:4] == ["agent", "plan", "2", "total"]
    shown = filled("top", "-n", "1", "--json").json
    assert [line["group"] for line in shown["lines"]] == ["w"]
    assert (shown["others"]["lines"], shown["total"]["cost_usd"]) == (1, "1.75")


def test_a_configuration_tags_what_matches_as_it_is_read(filled: Run) -> None:
    Path("costledger.toml").write_text('[[tags]]\nproject = "si*"\nset = { team = "web" }\n')
    shown = filled("spend", "--by", "team", "--json").json
    assert [(line["group"], line["cost_usd"]) for line in shown["lines"]] == [("web", "1.75"), (None, "0.00")]
    Path("costledger.toml").write_text("[[tags]]\nset = { team = 7 }\n")
    assert filled("spend").code == 2


@pytest.mark.parametrize(("since", "until"), [("2026-11-23", "2026-11-23"), ("20261123", "20261123")])
def test_days_can_be_given_as_ccusage_users_do(filled: Run, since: str, until: str) -> None:
    shown = filled("daily", "--since", since, "--until", until, "--timezone", "UTC", "--json").json
    assert [line["period"] for line in shown["lines"]] == ["2026-11-23"]
    assert filled("weekly", "--until", "20261101").out == "nothing was spent in this time\n"


def test_a_table_has_a_line_per_day_its_models_and_a_total(filled: Run) -> None:
    table = filled("daily", "--timezone", "UTC", "--breakdown").out
    lines = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines() if line.strip(" ─")]
    assert lines[:3] == [
        ["date", "models", "input", "output", "cache create", "cache read", "total tokens", "cost (USD)"],
        ["2026-11-22", "claude-opus-4-5", "1,000", "200", "0", "50,000", "51,200", "$1.2500"],
        ["claude-opus-4-5", "1,000", "200", "0", "50,000", "51,200", "$1.2500"],
    ]
    assert ["who-knows-1", "1,000", "200", "0", "50,000", "51,200", "unpriced"] in lines
    assert ["total", "3,000", "600", "0", "150,000", "153,600", "≥ $1.7500"] in lines
    assert "at least $1.7500, 1 message unpriced: who-knows-1 (1 message, 51,200 tokens)" in table


def test_the_newest_comes_first_when_asked(filled: Run) -> None:
    answer = filled("daily", "--timezone", "UTC", "--order", "desc", "--json").json["lines"]
    assert [line["period"] for line in answer] == ["2026-11-23", "2026-11-22"]


@pytest.mark.parametrize("breakdown", [[], ["--breakdown"]])
def test_a_column_of_csv_adds_up(filled: Run, breakdown: list[str]) -> None:
    done = filled("daily", "--timezone", "UTC", "--csv", *breakdown)
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["date"], row["cost_usd"]) for row in rows][:1] == [("2026-11-22", "1.25")]
    assert sum(int(row["total_tokens"]) for row in rows) == 153_600
    assert ("model" in rows[0]) == bool(breakdown)


@pytest.mark.parametrize("command", ["daily", "session"])
@pytest.mark.parametrize("columns", [200, 60, 36])
@pytest.mark.usefixtures("filled")
def test_a_narrow_terminal_loses_columns_and_breaks_no_figure(command: str, columns: int) -> None:
    written = on_a_terminal(columns, command, "--breakdown", "--by", "agent")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", written), "NO_COLOR allows bold and dim, and no colour"
    answer = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert max(map(len, answer.splitlines())) <= columns
    assert ("cache create" in answer) == (columns == 200)
    for figure in ("$1.2500", "$0.5000", "$1.7500"):
        assert figure in answer


def test_what_is_wrong_with_the_options_is_said(run: Run) -> None:
    for arguments, sentence in (
        (["--timezone", "Mars/Olympus"], "no such zone"),
        (["--timezone", "../../etc/passwd"], "no such zone"),
        (["--since", "soon"], "--since 'soon' is no time: give 2026-11-23, "),
        (["--since", "20261124", "--until", "20261123"], "--since 20261124 is after --until 20261123"),
        (["--json", "--csv"], "give one of them"),
    ):
        done = run("daily", *arguments)
        assert (done.code, sentence in done.err) == (2, True), done.err


def test_without_any_ledger_a_report_is_empty_and_makes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data" / "ledgers").rmdir()
    (tmp_path / "data").rmdir()
    assert run("daily").out == run("history").out, "one text for what to do next"
    assert run("daily").out.startswith("no workflows in ")
    assert run("session", "--json").json["lines"] == []
    assert len(run("monthly", "--csv").out.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_names_are_text_and_never_a_style(run: Run) -> None:
    run("charge", "w", "--agent", "[red]b", "--model", "[bold]", "--cost-usd", "1")
    shown = run("daily", "--by", "agent", "--breakdown").out
    assert "[red]b" in shown
    assert "[bold]" in shown


def test_todays_picture_history_and_show_name_what_has_no_price(filled: Run) -> None:
    named = "at least $1.7500, 1 message unpriced: who-knows-1 (1 message, 51,200 tokens)"
    assert named in filled("history").out
    assert named.removeprefix("at least $1.7500, ") in filled("show", "v").out
    assert "unpriced" not in filled("show", "w").out
    filled("charge", "today", "--model", "who-knows-2", "--output-tokens", "7", "--message-id", "m1")
    picture = filled().out
    assert "spent an unpriced amount; in all at least $1.7500 in 3 workflows\n" in picture
    assert "\n2 messages unpriced: who-knows-1 (1 message, 51,200 tokens), who-knows-2" in picture
    assert picture.count("in all at least") == 1
    assert "≥ means at least: some usage has no price or is incomplete\n" in picture
    assert filled("--json").json["unpriced"] == {"who-knows-2": {"events": 1, "tokens": 7}}
    assert filled("show", "v", "--json").json["cost_breakdown"]["unpriced"] == {
        "who-knows-1": {"events": 1, "tokens": 51_200}
    }


def test_no_cell_of_csv_is_a_formula(run: Run) -> None:
    for number, name in enumerate(("=cmd()", "+1", "-1", "@x", "plain")):
        assert run("observe", "w", "--agent", name, "--cost-usd", f"{number + 1}").code == 0
    table = list(csv.DictReader(io.StringIO(run("daily", "--by", "agent", "--csv").out)))
    assert sorted(row["agent"] for row in table) == ["'+1", "'-1", "'=cmd()", "'@x", "plain"]
    assert {row["group"] for row in run("daily", "--by", "agent", "--json").json["lines"]} >= {"=cmd()", "-1"}


def test_of_many_models_without_a_price_those_with_most_tokens_are_named(run: Run) -> None:
    for number in range(1, 8):
        run("charge", "w", "--model", f"who-{number}", "--output-tokens", str(number), "--message-id", f"m{number}")
    for command in ([], ["history"], ["daily"]):
        shown = run(*command).out
        assert "7 messages unpriced: who-7 (1 message, 7 tokens), who-6 " in shown
        assert "who-3 (1 message, 3 tokens) and 2 more\n" in shown


def test_usage_that_names_no_model_has_a_line_only_with_a_figure(run: Run) -> None:
    store = DirectoryStore("data")
    store.append([cost_observed("w", cost_usd="1", model="m"), cost_observed("w", partial=True, session_id="s")])
    assert "(unattributed)" not in run().out
    assert "\n1 message unpriced: no model named (1 message, 0 tokens)\n" in run().out
    assert "\n  no model named" not in run().out
    assert run("--json").json["by_model"]["(unattributed)"]["today"]["at_least"]
    store.append([cost_observed("v", cost_usd="2", agent="a")])
    (line,) = [line for line in run().out.splitlines() if line.startswith("  no model named")]
    assert "$2.0000" in line


def test_sub_agents_without_a_name_are_one_line_and_their_ids_are_in_json(run: Run) -> None:
    for number, agent in enumerate(("a9df09b50d5f3ad98", "adfd7ee0", "Explore")):
        run(
            "charge",
            "w",
            "--agent",
            "main",
            "--subagent",
            agent,
            "--cost-usd",
            f"0.{number + 1}",
            "--observed-at",
            BUILD,
        )
    lines = [re.split(r" {2,}", line.strip()) for line in run("daily", "--by", "agent").out.splitlines()]
    shown = {line[1]: line[-1] for line in lines if line[0].startswith("2026-11-23")}
    assert shown == {"unnamed sub-agents": "$0.3000", "Explore": "$0.3000"}
    groups = {line["group"] for line in run("daily", "--by", "agent", "--json").json["lines"]}
    assert groups == {"a9df09b50d5f3ad98", "adfd7ee0", "Explore"}


def test_sessions_of_one_quarter_hour_are_in_the_order_of_their_last_activity(run: Run) -> None:
    for name, minute, usd in (("late", 14, "1"), ("early", 1, "2"), ("middle", 7, "9")):
        at = f"2026-11-23T12:{minute:02}:00Z"
        run("charge", name, "--session-id", f"s-{name}", "--cost-usd", usd, "--observed-at", at)

    def order(*options: str) -> list[str]:
        return [line["adw_id"] for line in run("session", "--json", *options).json["lines"]]

    assert order() == ["early", "middle", "late"]
    assert order("--order", "desc") == ["late", "middle", "early"]
    table = run("session", "--timezone", "UTC").out
    assert re.findall(r"2026-11-23 12:\d\d", table) == [f"2026-11-23 12:{minute}" for minute in ("01", "07", "14")]


@pytest.mark.parametrize("command", ["spend", "daily", "session", "top", "stats", "compare 2026-10 2026-11"])
@pytest.mark.parametrize("names", ["", "agent,"])
def test_an_empty_name_is_refused_with_those_that_there_are(filled: Run, command: str, names: str) -> None:
    filled("tag", "w", "team=store")
    answer = filled(*command.split(), "--by", names)
    assert (answer.code, answer.out) == (2, "")
    assert "by '': no dimension and no tag. There are agent, model, " in answer.err
    assert answer.err.endswith("and the tags team\n")


@pytest.mark.parametrize("command", ["spend --per month", "monthly", "stats", "compare 2026-11-22 2026-11-23"])
@pytest.mark.parametrize("columns", [80, 200])
def test_names_of_a_wide_split_end_their_lines_between_parts(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, columns: int
) -> None:
    for number, model in enumerate(("claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101")):
        about = ("--agent", "sdlc_implementor", "--model", model, "--cost-usd", "1234.5", "--observed-at", BUILD)
        run("start", f"w{number}", "--project", f"/home/sam/work/{number}/shop")
        run("charge", f"w{number}", *about)
    run("charge", "v", "--agent", "sdlc_reviewer", "--cost-usd", "1", "--observed-at", BUILD)
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = run(*command.split(), "--by", "project,agent,model").out
    lines = shown.splitlines()
    assert max(map(len, lines)) <= columns
    words = set(re.findall(r"\w+|\(unattributed\)", shown))
    assert {"sonnet", "20250929", "20251101", "(unattributed)", "shop"} <= words
    assert {"sdlc_implementor"} <= words or {"sdlc_", "implementor"} <= words
