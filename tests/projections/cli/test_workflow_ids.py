"""Which workflow an id names, in every command; and what is said of one that does not exist."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ledger import DirectoryStore, MemoryStore, workflow_ended, workflow_started
from ledger.capture.json_events import append_each
from ledger.errors import UnknownWorkflow
from projections.cli.app import cli
from projections.history.store import HistoryStore
from tests.conftest import PROJECT
from tests.projections.cli.test_app import Run, piped, run
from tests.terminal import shown_until_end

__all__ = ["run"]

UUIDS = ["0199aaaa-1111-7000-8000-000000000001", "0199aaaa-2222-7000-8000-000000000002"]
SPEAK_OF_EXISTING = ["complete", "fail", "cancel", "correct"]
READ = [["show"], ["explain"], ["check"], ["resync"], ["reprice", "--reason", "r"]]


MAY_BE_FIRST = {"start", "observe", "charge"}
"""Commands whose event may be the first of its workflow: to them what can be an id is a whole one."""
NEEDED = {"observe": ["--cost-usd", "1"], "charge": ["--cost-usd", "1"], "reprice": ["--reason", "r"]}
NEEDED |= {"correct": ["--cost-usd", "1", "--reason", "r"], "stale": ["--reason", "r"]}
NEEDED |= {
    "tag": ["team=x"],
    "move": ["--to", "0199bbbb-4"],
    "remove": ["--purge"],
}  # without --yes it only says what it would do
"""What commands need in addition to an id."""
NAMES_A_NEW_ONE = {"import"}
"""`import --workflow-id` names the workflow that the input becomes."""


def taking_an_id() -> list[tuple[str, str | None]]:
    """Return every command that takes the id of a workflow, with the option of it; None for an argument."""
    found = []
    for name in cli.list_commands(root := click.Context(cli)):
        command = cli.get_command(root, name)
        assert command is not None
        for each in command.params:
            if each.name in ("workflow_id", "workflow_ids", "accepted_id"):
                found.append((name, each.opts[0] if isinstance(each, click.Option) else None))
            elif each.metavar is not None:
                assert not re.search(r"\bID\b", each.metavar), f"{name}: is {each.name} the id of a workflow?"
    return [(name, option) for name, option in found if name not in NAMES_A_NEW_ONE]


def more(command: str) -> tuple[str, ...]:
    return ("--cost-usd", "1", "--reason", "wrong") if command == "correct" else ()


def typed(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run `costledger` as a person does who types it: its exit code, and what the terminal shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "projections", *arguments]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "NO_COLOR": "1", "TERM": "xterm"}
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    shown = shown_until_end(ours, theirs, process)
    return process.returncode, shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("command", SPEAK_OF_EXISTING)
def test_a_workflow_that_does_not_exist_is_neither_ended_nor_corrected(run: Run, command: str) -> None:
    run("observe", "w", "--cost-usd", "2")
    done = run(command, "nowhere", *more(command))
    assert (done.code, done.out, "no workflow 'nowhere' in data; `costledger history` lists" in done.err) == (
        1,
        "",
        True,
    )
    assert not Path("data/ledgers/nowhere.jsonl").exists()


@pytest.mark.parametrize("command", SPEAK_OF_EXISTING)
def test_the_beginning_of_an_id_is_ended_and_corrected_as_the_id(run: Run, command: str) -> None:
    run("observe", "fe5e1c67-53e7", "--cost-usd", "2")
    run("observe", "fe6", "--cost-usd", "2")
    for given in ("fe5e", "fe5e1c67…", "fe5e1c67-53e7"):
        done = run(command, given, *more(command), "--id", given.encode().hex())
        assert done.out.startswith("fe5e1c67-53e7: "), done
    assert run(command, "fe5", *more(command)).code == 1, "three characters are none"
    assert sorted(path.stem for path in Path("data/ledgers").iterdir()) == ["fe5e1c67-53e7", "fe6"]


def test_the_beginning_of_an_id_stands_for_it_where_it_is_the_only_one(run: Run) -> None:
    for name in (*UUIDS, "0199aaaa-3"):
        run("observe", name, "--cost-usd", "0.0066")
    for command in READ:
        for given in (UUIDS[0][:10], UUIDS[0][:10] + "…"):
            assert run(command[0], given, *command[1:]).code == 0, (command, given)
        for given in ("0199", "0199aaaa", "0199aaaa…"):
            several = run(command[0], given, *command[1:])
            assert (several.code, several.out) == (2, "")
            assert f"'{given}' fits 3 workflows; give more of the id of the one you mean:\n" in several.err
            assert all(f"\n  {name} " in several.err for name in (*UUIDS, "0199aaaa-3"))
        assert run(command[0], "019", *command[1:]).code == 1, "three characters are none"
        for given in ("none…", "#17"):
            assert f"no workflow '{given}' in data" in run(command[0], given, *command[1:]).err
    assert run("salvage", UUIDS[0][:10]).err.startswith(f"costledger: every line of ledger '{UUIDS[0]}' verifies")
    run("observe", UUIDS[0][:10], "--cost-usd", "5")
    assert "$5.0000" in run("show", UUIDS[0][:10]).out, "an id that is whole means itself"
    missing = run("explain", "nowhere")
    assert (missing.code, missing.err.count("no workflow 'nowhere'")) == (1, 1)
    assert "is not a workflow id" in run("show", "../x").err


def test_hexadecimal_digits_are_found_in_the_other_case(run: Run) -> None:
    run("observe", UUIDS[0], "--cost-usd", "1")
    run("observe", "0199BBBB-1111-7000-8000-000000000001", "--cost-usd", "1")
    run("observe", "Deploy", "--cost-usd", "1")
    for given, meant in (
        ("0199AAAA", UUIDS[0]),
        (UUIDS[0].upper(), UUIDS[0]),
        ("0199bbbb…", "0199BBBB-1111-7000-8000-000000000001"),
    ):
        assert run("show", given, "--json").json["adw_id"] == meant
        assert run("complete", given).out.startswith(f"{meant}: ")
    assert run("show", "deploy").code == 1, "other names are themselves"
    run("observe", UUIDS[0].upper(), "--cost-usd", "5")
    assert run("show", "0199AAAA", "--json").json["adw_id"] == UUIDS[0].upper(), "its own case comes first"


def test_commands_that_take_an_id_are_found() -> None:
    names = {name for name, _ in taking_an_id()}
    assert {*MAY_BE_FIRST, *SPEAK_OF_EXISTING, "stale", "salvage", *(command[0] for command in READ)} <= names


@pytest.mark.parametrize(("command", "option"), taking_an_id())
def test_an_id_is_written_alike_in_every_command(run: Run, command: str, option: str | None) -> None:
    def call(given: str) -> str:
        done = run(command, *([] if option is None else [option]), given, *NEEDED.get(command, []))
        return done.out + done.err

    name = f"{UUIDS[0][:8]}-3"
    run("start", name, "--issue-number", "17")
    run("observe", name, "--model", "local-x", "--output-tokens", "9")
    run("observe", "0199bbbb-4", "--cost-usd", "1")
    run("observe", "0199bbbb-5", "--cost-usd", "1")
    spellings = [name, name.upper(), name[:8], f"{name[:6]}…", "#17"]
    for given in spellings if command not in MAY_BE_FIRST else (name, f"{name[:6]}…", "#17"):
        assert "no workflow" not in (shown := call(given)), (given, shown)
        assert "is not a workflow id" not in shown
    assert "'0199…' fits 3 workflows" in call("0199…")
    for given in ("#19", "#17a", "none…"):
        assert re.search(r"no workflow (works on issue )?'?#19|is not a workflow id|no workflow 'none…'", call(given))
    if command not in MAY_BE_FIRST:
        assert "'0199bbbb' fits 2 workflows" in call("0199bbbb")
        assert "no workflow '019'" in call("019"), "three characters are no beginning"
    expected = {name, "0199bbbb-4", "0199bbbb-5"}
    assert {path.stem for path in Path("data/ledgers").glob("*.jsonl")} == expected


def test_candidates_are_the_last_active_ones_with_project_and_cost(run: Run) -> None:
    for number in range(1, 8):
        run("start", f"0199aaaa-{number}", "--project", f"shop{number}", "--observed-at", f"2026-11-0{number}T12:00Z")
    reading = ("--observed-at", "2026-11-07T12:30Z")
    run("observe", "0199aaaa-7", "--cost-usd", "2.37", *reading)
    run("charge", "0199aaaa-6", "--model", "local-x", "--output-tokens", "9", "--observed-at", "2026-11-06T12:30Z")
    lines = [line for line in run("complete", "0199a").err.splitlines() if line.startswith("  ")]
    assert [re.split(r"  +", line.strip())[:3] for line in lines[:3]] == [
        ["0199aaaa-7", "shop7", "$2.3700"],
        ["0199aaaa-6", "shop6", "unpriced"],
        ["0199aaaa-5", "shop5", "cost unknown"],
    ]
    assert re.search(r"2026-11-0[78] \d\d:\d\d$", lines[0])
    assert (len(lines), lines[-1]) == (6, "  … and 2 more")


def test_the_number_of_an_issue_stands_for_its_workflow(run: Run) -> None:
    run("start", "a5b80595", "--issue-number", "17", "--project", "shop")
    run("start", "b6c91c06", "--issue-number", "18")
    assert run("complete", "#17").out.startswith("a5b80595: workflow completed")
    assert run("show", "#18", "--json").json["adw_id"] == "b6c91c06"
    run("start", "c7d91c06", "--issue-number", "17")
    several = run("cancel", "#17")
    assert (several.code, several.out, "'#17' fits 2 workflows" in several.err) == (2, "", True)
    assert re.search(r"\n  a5b80595  shop +cost unknown  ", several.err)
    assert "no workflow '#19'" in run("cancel", "#19").err


def test_every_whole_id_may_be_new_in_a_script(run: Run) -> None:
    run("observe", UUIDS[0], "--cost-usd", "1")
    for command, new in (("observe", UUIDS[0][:8]), ("charge", UUIDS[0][:7]), ("start", UUIDS[0][:6])):
        cost = () if command == "start" else ("--cost-usd", "1")
        assert run(command, new, *cost).out.startswith(f"{new}: ")
    assert "'zz…' is not a workflow id" in run("observe", "zz…", "--cost-usd", "1").err


def test_what_cannot_be_a_new_id_means_an_existing_workflow(run: Run) -> None:
    run("start", UUIDS[0], "--issue-number", "17")
    for given in ("#17", "0199aaaa-1…"):
        for command in ("observe", "charge"):
            assert run(command, given, "--cost-usd", "1").out.startswith(f"{UUIDS[0]}: cost observed $1.0000")
    run("complete", "#17")
    assert run("start", "#17").out.startswith(f"{UUIDS[0]}: workflow started")
    for arguments in (["start", "#18"], ["observe", "#18", "--cost-usd", "1"]):
        refused = run(*arguments)
        assert (refused.code, refused.out) == (2, "")
        assert "no workflow works on issue #18 yet; `costledger start ID --issue-number 18` starts one" in refused.err
    assert [path.stem for path in Path("data/ledgers").iterdir()] == [UUIDS[0]]


def test_the_first_digits_of_a_uuid_are_no_new_workflow_when_they_are_typed(tmp_path: Path) -> None:
    piped(tmp_path, "observe", UUIDS[0], "--cost-usd", "1")
    for given in ("0199aa", "0199aaaa", "0199AAAA", "0199aaaa-111"):
        for command in (["start"], ["observe", "--cost-usd", "1"], ["charge", "--cost-usd", "1"]):
            code, shown = typed(tmp_path, command[0], given, *command[1:])
            assert code == 2
            assert f"no workflow '{given}'; did you mean '{UUIDS[0]}'?" in shown
            assert "For a new workflow, choose an id that no other begins with" in " ".join(shown.split())
    for new in ("0199bbbb", "0199", "0199aaaa-1111-7", UUIDS[1]):
        assert typed(tmp_path, "observe", new, "--cost-usd", "1")[0] == 0, new
    assert typed(tmp_path, "start", "0199aaaa", "--json")[0] == 0, "a program reads that"
    assert typed(tmp_path, "observe", "0199aaaa", "--cost-usd", "1")[0] == 0, "now it is whole"


def test_events_that_end_or_correct_need_a_workflow_also_from_a_pipe(tmp_path: Path) -> None:
    end = {"type": "workflow_completed", "workflow_id": "w"}
    wrong = {"type": "cost_observed", "workflow_id": "w", "cost_usd": "1", "final": True, "reason": "invoice"}
    accepts = {"type": "finding_accepted", "workflow_id": "w", "findings": {"silent": "x"}, "reason": "agreed"}
    lines = [end, wrong, accepts, {"type": "workflow_started", "workflow_id": "w"}, end, wrong, accepts]
    done = piped(tmp_path, "append", stdin="\n".join(map(json.dumps, lines)).encode())
    assert (done.code, done.out) == (1, "4 appended, 0 already there, 3 refused\n")
    assert [line.partition(": no workflow 'w'")[0] for line in done.err.splitlines()] == [
        "costledger: stdin, line 1",
        "costledger: stdin, line 2",
        "costledger: stdin, line 3",
    ]
    assert piped(tmp_path, "append", stdin=json.dumps(end).encode()).code == 0


def test_a_workflow_of_another_host_is_ended_where_its_row_is_known() -> None:
    store, end = MemoryStore(), workflow_ended("w", "completed")
    assert isinstance(next(append_each(store, [end])), UnknownWorkflow)
    assert not isinstance(next(append_each(store, [end], elsewhere=lambda name: name == "w")), Exception)


def test_a_row_without_a_ledger_here_is_a_workflow_that_exists(tmp_path: Path) -> None:
    piped(tmp_path, "observe", "a5b80595", "--cost-usd", "1")
    piped(tmp_path, "refresh")
    (tmp_path / "data/ledgers/a5b80595.jsonl").unlink()
    end = json.dumps({"type": "workflow_completed", "workflow_id": "a5b80595"}).encode()
    assert piped(tmp_path, "append", stdin=end).code == 0
    assert len(list(DirectoryStore(tmp_path / "data").read("a5b80595"))) == 2


def test_rows_are_found_by_the_beginning_of_their_ids(history: HistoryStore) -> None:
    from projections.replay.refresh import refresh

    ledgers = MemoryStore()
    for name in ("ab_1", "abx1", "AB_1"):
        ledgers.append([workflow_started(name)])
    refresh(ledgers, history)
    assert history.ids("ab") == ["ab_1", "abx1"]
    assert (history.ids("ab_"), history.ids("b"), history.ids("%")) == (["ab_1"], [], [])
    assert history.ids("") == sorted(ledgers.workflow_ids())
    assert list(ledgers.workflow_ids("ab")) == ["ab_1", "abx1"]
