"""The command line as a person or a script meets it: what it prints, and how it exits."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger import DirectoryStore, workflow
from projections.cli.app import main
from tests.command import Done, costledger
from tests.conftest import PROJECT
from tests.ledger.logs import init, message, result, write

Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `costledger` in this process, in a project of its own without a workflow, at home where nothing is."""
    (tmp_path / "data" / "ledgers").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("COSTLEDGER_DATA", "COSTLEDGER_CONFIG", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Done(int(str(left.value.code)), captured.out, captured.err)

    return run


def piped(folder: Path, *arguments: str, stdin: bytes = b"") -> Done:
    """Run `costledger` on the data directory of a folder, with bytes on its stdin."""
    return costledger(folder, *arguments, stdin=stdin, environment={"COSTLEDGER_DATA": str(folder / "data")})


def events(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in lines)


def test_from_the_first_event_to_the_final_figure(run: Run) -> None:
    assert run("start", "a5b80595", "--issue-number", "17", "--workflow-template", "adw_sdlc").code == 0
    first = run("observe", "a5b80595", "--agent", "plan", "--cost-usd", "0.09", "--json").json
    assert (first["seq"], first["duplicate"], len(first["hash"])) == (3, False, 64)
    assert "$0.0900" in run("history").out
    run("charge", "a5b80595", "--agent", "build", "--cost-usd", "2.28", "--message-id", "msg_1")
    assert run("complete", "a5b80595").out == "a5b80595: workflow completed is event 5\n"
    row = run("show", "a5b80595", "--json").json
    assert (row["actual_cost_total"], row["status"], row["issue_number"]) == ("2.37", "completed", 17)
    assert row["cost_breakdown"]["by_agent"] == {"plan": "0.09", "build": "2.28"}
    assert [step["to_cost_usd"] for step in run("explain", "a5b80595", "--json").json["steps"]] == ["0.09", "2.37"]
    assert run("verify").code == 0


def test_a_charge_is_priced_from_its_tokens(run: Run) -> None:
    run("charge", "w", "--model", "claude-opus-4-5", "--input-tokens", "1000000", "--output-tokens", "1000000")
    answer = run("charge", "w", "--model", "who-knows-1", "--output-tokens", "5").out
    assert "no price" in answer
    row = run("show", "w", "--json").json
    assert (row["actual_cost_total"], row["cost_basis"], row["unpriced_events"]) == ("30.00", "partial", 1)


def test_a_sub_agent_is_named_by_flag_by_line_and_from_python(run: Run, tmp_path: Path) -> None:
    whole = ("--agent", "main", "--session-id", "s")
    run("charge", "w", *whole, "--cost-usd", "0.30", "--subagent", "explore", "--skill", "audit", "--plugin", "tools")
    run("observe", "w", *whole, "--model", "opus", "--cost-usd", "0.20", "--subagent", "review")
    below = {"agent": "main", "session_id": "s", "subagent": "explore"}
    line = {"type": "cost_observed", "workflow_id": "w", "cost_usd": "0.10", "message_id": "m1"} | below
    assert piped(tmp_path, "append", stdin=events(line)).code == 0
    with workflow("w", store=DirectoryStore(Path("data"))) as made:
        made.charge(cost_usd="0.05", agent="main", session_id="s", subagent="explore")
        made.observe(agent="main", session_id="s", cost_usd="1.00", final=True)
    row = run("show", "w", "--json").json
    assert row["actual_cost_total"] == "1.00"
    assert row["cost_breakdown"]["by_agent"] == {"main": "0.35", "explore": "0.45", "review": "0.20"}
    assert "explore (sub-agent of main)" in run("show", "w").out
    assert (Path("data") / "ledgers" / "w.jsonl").read_text().count('"skill":"audit","plugin":"tools"') == 1


def test_attempts_that_name_their_counter_add_up(run: Run) -> None:
    run("start", "w")
    run("observe", "w", "--agent", "plan", "--cost-usd", "0.50", "--counter", "try-1")
    run("start", "w")
    run("observe", "w", "--agent", "plan", "--cost-usd", "0.40", "--counter", "try-2")
    assert run("show", "w", "--json").json["actual_cost_total"] == "0.90"
    run("complete", "w")
    run("start", "w")
    run("observe", "w", "--agent", "plan", "--cost-usd", "0.10")
    assert "a retry without a counter: agent plan" in run("show", "w").out
    assert "--counter" in run("stale", "--json").json["findings"][0]["next_step"]
    refused = run("observe", "w", "--session-id", "s", "--cost-usd", "0.40", "--counter", "try-2")
    assert (refused.code, "a session or a message has its own meter" in refused.err) == (2, True)


def test_a_script_that_was_killed_and_names_no_counter_is_a_lower_bound(run: Run) -> None:
    for cost in ("2.50", "1.90"):
        run("start", "w")
        run("observe", "w", "--agent", "plan", "--cost-usd", cost)
    for end in ([], ["complete", "w"]):
        run(*end or ["history"])
        row = run("show", "w", "--json").json
        assert (row["actual_cost_total"], row["cost_basis"]) == ("2.50", "partial")
        (found,) = [one for one in run("stale", "--json").json["findings"] if one["kind"] == "retry_without_counter"]
        assert "--counter" in found["next_step"]


def test_what_an_upgrade_changes_is_printed_first(run: Run) -> None:
    for name in ("one", "two"):
        run("observe", "w", "--agent", "plan", "--cost-usd", "0.50", "--counter", name)
    run("history")
    with closing(sqlite3.connect(Path("data") / "history.db")) as db, db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 0.5, actual_cost_nanousd = 500000000")
        db.execute("UPDATE costledger_meta SET value = 3 WHERE key = 'fold_version'")
    db.close()
    done = run("history")
    assert ours(done.err) == ["costledger: [w] $0.5000 → $1.0000 (upgrade: retry counts)"]
    assert "$1.0000" in done.out
    assert ours(run("history").err) == []


def ours(err: str) -> list[str]:
    """The command's own lines: in the process of these tests a library may have added a log handler of its own."""
    return [line for line in err.splitlines() if line.startswith("costledger: ")]


def test_json_can_be_asked_for_before_the_command(run: Run) -> None:
    run("observe", "w", "--cost-usd", "0.09")
    for command in (["daily"], ["show", "w"], ["history"], ["check", "w"], ["observe", "w", "--cost-usd", "0.09"]):
        assert run("--json", *command).json
    assert run("--json", "daily").json == run("daily", "--json").json
    assert not run("daily").out.startswith("{"), "one invocation's --json is not the next one's"
    assert all(json.loads(line) for line in run("--json", "watch", "--once").out.splitlines())
    for command in (["install", "claude-code"], ["token", "list"]):
        refused = run("--json", *command)
        assert (refused.code, refused.out) == (2, "")
        assert f"`costledger {command[0]}` does not take --json before its name" in refused.err


def test_an_id_said_again_appends_nothing(run: Run) -> None:
    run("observe", "w", "--cost-usd", "0.09", "--id", "e1")
    assert run("observe", "w", "--cost-usd", "0.09", "--id", "e1").out.endswith("already there\n")
    conflict = run("observe", "w", "--cost-usd", "0.10", "--id", "e1")
    assert (conflict.code, conflict.out) == (1, "")
    assert "another cost_usd" in conflict.err


def test_a_correction_says_why_and_counts_after_the_end(run: Run) -> None:
    run("observe", "w", "--cost-usd", "5.00")
    run("correct", "w", "--cost-usd", "2.37", "--reason", "invoice 2026-11")
    assert "$5.0000" in run("show", "w").out
    run("complete", "w")
    assert "$2.3700" in run("show", "w").out
    assert "invoice 2026-11" not in run("explain", "w").out
    assert run("correct", "w", "--cost-usd", "1.00", "--reason", " ").code == 2


def test_what_was_known_at_an_event_or_at_a_time(run: Run) -> None:
    run("observe", "w", "--cost-usd", "0.09")
    run("observe", "w", "--cost-usd", "2.37")
    assert run("show", "w", "--as-of", "2", "--json").json["actual_cost_total"] == "0.09"
    assert run("show", "w", "--as-of", "2999-01-01", "--json").json["actual_cost_total"] == "2.37"
    early = run("show", "w", "--as-of", "2001-01-01T00:00")
    assert (early.code, "nothing as early" in early.err) == (2, True)
    assert run("show", "w", "--as-of", "soon").code == 2


def test_an_import_tells_what_it_did_and_does_it_once(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "agents/w1/plan/raw_output.jsonl", init(), message("m", 5), "cut\n", result(0.1))
    write(tmp_path / "agents/w2/raw_output.jsonl")
    first = run("import", "adw", "agents")
    assert first.out.startswith("1 event appended, 0 unchanged, 2 inputs skipped, in 2 workflows")
    assert "is empty" in first.out
    assert "[w1] nothing → $0.1000 (status: running)" in first.err
    again = run("import", "adw", "agents", "--json").json
    assert (again["appended"], again["unchanged"], len(again["skipped"])) == (0, 1, 2)
    assert run("import", "adw", "nowhere").code == 1
    assert run("import", "tea-leaves", "agents").code == 2


def test_the_data_directory_is_named_before_or_after_the_command_or_by_the_environment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--data", "a", "observe", "w", "--cost-usd", "1")
    run("observe", "w", "--cost-usd", "1", "--data", "b")
    monkeypatch.setenv("COSTLEDGER_DATA", "c")
    run("observe", "w", "--cost-usd", "1")
    assert [(tmp_path / name / "ledgers/w.jsonl").is_file() for name in "abc"] == [True, True, True]


def test_an_id_that_looks_like_an_option_goes_after_two_dashes(run: Run) -> None:
    assert run("observe", "--cost-usd", "1.28", "--", "--skip-e2e").code == 0
    assert run("show", "--json", "--", "--skip-e2e").json["actual_cost_total"] == "1.28"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["observe", "../x", "--cost-usd", "1"], 2, "is not a workflow id"),
        (["observe", "", "--cost-usd", "1"], 2, "is not a workflow id"),
        (["observe", "x" * 200, "--cost-usd", "1"], 2, "is not a workflow id"),
        (["observe", "w", "--cost-usd", "-1"], 2, "cannot be negative"),
        (["observe", "w", "--cost-usd", "NaN"], 2, "expected a decimal number"),
        (["observe", "w", "--cost-usd", "1e400"], 2, "above the limit"),
        (["observe", "w", "--cost-usd", "lots"], 2, "expected a decimal number"),
        (["observe", "w"], 2, "there is nothing to record: give --cost-usd, or --model with --input-tokens"),
        (["charge", "w", "--model", "claude-sonnet-4-5"], 2, "there is nothing to record: give --cost-usd"),
        (["observe", "w", "--input-tokens", str(2**63)], 2, "not between 0 and 1,000,000,000,000"),
        (["observe", "w", "--cost-usd", "1000000.01"], 2, "above the limit of 1,000,000 USD"),
        (["observe", "w", "--cost-usd", "1", "--observed-at", "soon"], 2, "--observed-at 'soon' is no time"),
        (["show", "nowhere"], 1, "no workflow 'nowhere'"),
        (["explain", "nowhere"], 1, "no workflow 'nowhere'"),
        (["histroy"], 2, "Did you mean 'history'?"),
        (["observe"], 2, "Missing argument"),
        (["--data", "README", "history"], 1, "is not a folder"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    run: Run, tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    (tmp_path / "README").touch()
    done = run(*arguments)
    assert (done.code, done.out) == (code, "")
    assert sentence in done.err
    assert list((tmp_path / "data/ledgers").iterdir()) == []


def test_a_damaged_ledger_is_named_and_the_others_are_shown(run: Run, tmp_path: Path) -> None:
    for name in ("good", "bad"):
        run("observe", name, "--cost-usd", "0.09")
    path = tmp_path / "data/ledgers/bad.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"0.09"', b'"9.09"'))
    history = run("history")
    assert (history.code, "good" in history.out, "bad.jsonl, line 2" in history.err) == (3, True, True)
    assert [run(*command).code for command in ([], ["--json"], ["daily"])] == [3, 3, 3]
    suspects = run("stale")
    assert (suspects.code, suspects.out) == (3, "nothing else needs attention; 1 ledger cannot be replayed\n")
    assert run("verify").code == 3
    assert run("observe", "bad", "--cost-usd", "1").code == 3
    assert run("observe", "good", "--cost-usd", "1").code == 0


def test_a_database_that_is_not_ours_is_left_alone(run: Run, tmp_path: Path) -> None:
    run("observe", "w", "--cost-usd", "0.09")
    (tmp_path / "data/history.db").write_text("my notes")
    done = run("history")
    assert (done.code, "not a SQLite database" in done.err) == (1, True)
    assert (tmp_path / "data/history.db").read_text() == "my notes"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [["daily"], ["history", "--json"], ["import", "adw", "agents", "--json"], ["-h"]])
def test_an_output_that_takes_nothing_is_said_once(tmp_path: Path, command: list[str], unbuffered: str) -> None:
    write(tmp_path / "agents" / "w" / "plan" / "raw_output.jsonl", init("s"), result("s", "0.09"))
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": unbuffered}
    environment["COSTLEDGER_DATA"] = str(tmp_path / "data")
    whole = [sys.executable, "-m", "projections", *command]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(whole, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "costledger: the output could not be written: No space left on device; "
        "what was recorded before that stays recorded\n"
    )


def test_a_closed_output_is_for_nobody(tmp_path: Path) -> None:
    command = ["sh", "-c", '"$0" -m projections daily >&-', sys.executable]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COSTLEDGER_DATA": str(tmp_path / "data")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_that_would_drive_a_terminal_are_shown_as_text(run: Run) -> None:
    run("observe", "w", "--agent", "[red]x[/red]", "--cost-usd", "1")
    run("fail", "w", "--error-message", "\x1b[31mboom\x1b[0m")
    answer = run("show", "w").out
    assert "[red]x[/red]" in answer
    assert "\x1b[31m" not in answer


def test_help_lists_every_command_and_every_command_has_help(run: Run) -> None:
    from projections.cli.app import _COMMANDS

    listed = run("--help").out
    for name in _COMMANDS:
        assert re.search(rf"^  {name}\s+\w", listed, re.MULTILINE), name
        assert run(name, "--help").out.startswith("Usage: costledger")
    assert run("--version").out.startswith("costledger ")


def test_an_applications_own_table_is_kept_right(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE workflow_history (adw_id TEXT UNIQUE, status TEXT, actual_cost_total REAL)")
        db.execute("INSERT INTO workflow_history VALUES ('w', 'completed', 0.09)")
    db.close()
    run("observe", "w", "--cost-usd", "2.37")
    run("observe", "other", "--cost-usd", "1")
    assert run("import", "history-db", "app.db").code == 0
    changed = run("refresh", "--history", "sqlite:app.db")
    assert "[w] $0.0900 → $2.3700 (status: completed)" in changed.err
    assert run("--history", "sqlite:app.db", "rebuild", "--check").code == 0
    with closing(sqlite3.connect(path)) as db, db:
        rows = db.execute("SELECT adw_id, actual_cost_total FROM workflow_history").fetchall()
    db.close()
    assert rows == [("w", 2.37)], "its rows are its own"
    assert run("refresh", "--history", "postgres:x").code == 2


def test_a_copied_data_directory_is_told_everywhere_and_settled_either_way(run: Run, tmp_path: Path) -> None:
    run("charge", "w", "--agent", "plan", "--cost-usd", "0.09", "--message-id", "m1")
    assert run("history").code == 0
    assert run("origin").code == 0
    for name in ("copy", "second"):
        shutil.copytree(tmp_path / "data", tmp_path / name)
    appended = piped(tmp_path, "--data", "copy", "observe", "w", "--agent", "plan", "--cost-usd", "0.10")
    assert appended.code == 0
    assert appended.err.count("was copied, moved or restored") == 1
    proven = run("--data", "copy", "verify")
    assert (proven.code, "--data copy origin --moved" in proven.out) == (3, True)
    assert "was copied" in run("--data", "copy").err
    assert "was copied" in run("--data", "copy", "--json").json["errors"][0]
    assert (run("--data", "copy", "origin").code, run("--data", "copy", "origin", "--moved").code) == (3, 0)
    renewed = run("--data", "second", "origin", "--renew", "--json")
    assert (renewed.code, renewed.json["problem"]) == (0, None)
    assert "1 ledger carried over" in renewed.err
    assert renewed.json["origin"] != run("origin", "--json").json["origin"]
    assert run("--data", "copy", "origin", "--json").json == run("origin", "--json").json
    for name in ("data", "copy", "second"):
        assert run("--data", name, "verify").code == 0
    assert "$0.0900" in run("--data", "second", "show", "w").out
    assert run("origin", "--moved", "--renew").code == 2
    assert run("--data", "nothing", "origin", "--renew").code == 1


def test_a_moment_of_the_future_is_refused_however_it_is_given(run: Run, tmp_path: Path) -> None:
    done = run("observe", "w", "--cost-usd", "1", "--observed-at", "2999-01-01T00:00:00Z")
    assert done.code == 2
    assert "--observed-at: 2999-01-01T00:00:00Z is more than a day in the future: this computer's clock" in done.err
    line = {"type": "cost_observed", "workflow_id": "w", "cost_usd": "1", "observed_at": "2999-01-01T00:00:00Z"}
    done = piped(tmp_path, "append", stdin=events(line))
    assert (done.code, done.out) == (1, "0 appended, 0 already there, 1 refused\n")
    assert "stdin, line 1: field 'observed_at': 2999-01-01T00:00:00.000000Z is more than a day in the" in done.err
