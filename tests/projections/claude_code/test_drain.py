"""What a running agent says: spooled at once, appended by a drain, counted once."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import DirectoryStore, workflow_started
from ledger.claude_code.spool import Spool, file_name
from ledger.importing.importer import import_source
from ledger.importing.transcript_importer import import_transcripts
from ledger.sources.findings import Options
from ledger.sources.names import name_id
from projections.replay.refresh import project
from tests.running_agent import Agent, S, message


def test_the_session_total_covers_its_messages_in_any_order_of_status_line_and_hook(
    agent: Agent, transcript: Path
) -> None:
    transcript.write_text(message(1, 20_000) + message(2, 40_000))  # $0.30 and $0.60
    agent.stops(transcript)
    agent.drain()
    assert agent.cost() == 0.9
    agent.shows("1.05")  # with the calls of a helper model that no transcript shows
    agent.drain()
    assert agent.cost() == 1.05
    with transcript.open("a") as file:
        file.write(message(3, 30_000))  # $0.45: the counter was last shown before it
    agent.stops(transcript)
    agent.drain()
    assert agent.cost() == 1.35
    agent.shows("1.50")
    agent.drain()
    row = project(agent.store, S).row
    assert (row.actual_cost_total, row.status, row.output_tokens) == (1.5, "running", 90_000)
    assert agent.log() == ""


def test_sub_agents_count_below_the_session_total_also_those_read_before_it(agent: Agent, transcript: Path) -> None:
    sub = transcript.with_suffix("") / "subagents" / "agent-a1.jsonl"
    sub.parent.mkdir(parents=True)
    sub.write_text(message(1, 40_000, isSidechain=True, agentId="a1"))
    transcript.write_text(message(2, 20_000))
    agent.stops(transcript, sub)
    agent.drain()
    agent.shows("1.00")
    agent.drain()
    assert agent.cost() == 1.0
    with sub.open("a") as file:
        file.write(message(3, 2_000, isSidechain=True, agentId="a1"))
    agent.stops(transcript, sub)
    agent.drain()
    assert agent.cost() == 1.0


@pytest.mark.parametrize(("version", "basis"), [("2.1.275", "partial"), ("2.1.276", "reported")])
def test_a_client_that_leaves_a_part_out_of_its_counter_shows_a_lower_bound(
    agent: Agent, version: str, basis: str
) -> None:
    agent.shows("0.42", version=version)
    agent.drain()
    agent.shows("0.50", version=version)
    agent.drain()
    row = project(agent.store, S).row
    assert (row.actual_cost_total, row.cost_basis) == (0.5, basis)


def test_an_agent_run_inside_a_workflow_goes_to_that_workflow_under_its_name(agent: Agent, transcript: Path) -> None:
    agent.store.append([workflow_started("a5b80595", issue_number=17, budget_usd="5.00")])
    transcript.write_text(message(1, 20_000))
    agent.shows("0.42", workflow_id="a5b80595", agent="sdlc_planner", duration_ms=9_000)
    agent.stops(transcript, workflow_id="a5b80595", agent="sdlc_planner")
    agent.drain()
    row = project(agent.store, "a5b80595").row
    assert (row.actual_cost_total, row.issue_number) == (0.42, 17)
    assert json.loads(row.cost_breakdown)["by_agent"] == {"sdlc_planner": "0.42"}
    assert agent.cached() == {
        "project_dir": "/p",
        "agent": "sdlc_planner",
        "counter_usd": "0.42",
        "since_ms": 1_000,
        "duration_ms": 9_000,
        "workflow_id": "a5b80595",
        "cost_usd": "0.42",
        "cost_basis": "reported",
        "budget_usd": "5.00",
        "budget_warn_at": "0.8",
        "ahead_usd": "0.00",
    }
    assert list(agent.store.workflow_ids()) == ["a5b80595"]


def test_an_import_of_all_transcripts_later_counts_nothing_twice(agent: Agent, transcript: Path) -> None:
    transcript.write_text(message(1, 20_000))
    agent.shows("0.42")
    agent.stops(transcript)
    agent.drain()
    with transcript.open("a") as file:
        file.write(message(2, 2_000))
    for options in (Options(), Options(workflow_by="project")):
        import_transcripts(agent.store, "claude", transcript.parent.parent, options)
    assert sum(agent.cost(workflow_id) for workflow_id in agent.store.workflow_ids()) == 0.42


def test_a_stream_json_log_of_the_same_session_counts_nothing_twice(agent: Agent, tmp_path: Path) -> None:
    log = tmp_path / "output.jsonl"
    init = {"type": "system", "subtype": "init", "session_id": S, "uuid": "p1"}
    result = {"type": "result", "session_id": S, "uuid": "r1", "total_cost_usd": 0.42, "modelUsage": {}}
    log.write_text(f"{json.dumps(init)}\n{json.dumps(result)}\n")
    agent.shows("0.40")
    agent.drain()
    import_source(agent.store, "claude-stream", log, workflow_id=S, agent="main")
    assert agent.cost() == 0.42
    agent.shows("0.10", since=5)  # resumed at a terminal, from zero
    agent.drain()
    row = project(agent.store, S).row
    assert (row.actual_cost_total, row.cost_basis) == (0.5, "partial"), "the two compete and are never added"


def test_a_counter_that_restarts_keeps_what_was_spent_before_though_the_transcript_shows_all(
    agent: Agent, transcript: Path
) -> None:
    transcript.write_text(message(1, 20_000) + message(2, 40_000))
    agent.shows("0.95")
    agent.stops(transcript)
    agent.drain()
    for cost in ("0.00", "0.10", "0.50"):
        agent.shows(cost, since=9)
    with transcript.open("a") as file:
        file.write(message(3, 30_000))
    agent.stops(transcript)
    agent.drain()
    assert agent.cost() == 1.45


@pytest.mark.parametrize("workflow_id", [None, "a5b80595"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_session_cleared_in_the_same_process_begins_with_nothing(
    agent: Agent, workflow_id: str | None, *, at_once: bool
) -> None:
    agent.shows("5.41", workflow_id=workflow_id)
    agent.stops(cleared=True, workflow_id=workflow_id)
    if not at_once:
        agent.drain()
    agent.shows("5.41", session_id="s-2", workflow_id=workflow_id)
    agent.shows("5.60", session_id="s-2", workflow_id=workflow_id)
    agent.drain()
    agent.shows("5.61", session_id="s-2", workflow_id=workflow_id)
    agent.drain()
    if workflow_id is None:
        assert (agent.cost(), agent.cost("s-2")) == (5.41, 0.2)
    else:
        assert agent.cost(workflow_id) == 5.61


@pytest.mark.parametrize("often", [True, False])
def test_lines_that_overtake_each_other_count_once_and_a_restart_still_counts(agent: Agent, *, often: bool) -> None:
    shown = [("0.10", 0, 100_000), ("0.60", 0, 102_300), ("0.50", 0, 102_000), ("0.65", 0, 103_500)]
    resumed = [("0.00", 5, 100), ("0.20", 5, 9_000), ("0.15", 5, 7_000), ("0.64", 0, 103_400), ("0.25", 5, 11_000)]
    for cost, since, duration_ms in shown + resumed:
        agent.shows(cost, since=since, duration_ms=duration_ms)
        if often:
            agent.drain()
    agent.drain()
    assert agent.cost() == 0.9


def test_a_late_line_of_a_cleared_session_is_not_where_the_next_one_continues(agent: Agent) -> None:
    agent.shows("5.41", duration_ms=50_000)
    agent.shows("5.30", duration_ms=49_000)
    agent.stops(cleared=True)
    agent.drain()
    agent.shows("5.60", session_id="s-2", duration_ms=60_000)
    agent.shows("5.41", session_id="s-2", duration_ms=51_000)
    agent.drain()
    assert (agent.cost(), agent.cost("s-2")) == (5.41, 0.19)


def test_two_sessions_started_in_the_same_second_are_two(agent: Agent) -> None:
    agent.shows("0.10")
    agent.shows("0.10", session_id="s-2")
    agent.drain()
    assert (agent.cost(), agent.cost("s-2")) == (0.1, 0.1)


def test_a_status_line_that_says_nothing_new_appends_nothing(agent: Agent) -> None:
    for _ in range(3):
        agent.shows("0.42")
        agent.drain()
    assert project(agent.store, S).row.event_count == 2


class TestADrainThatDies:
    """Each test stops a drain at some point; in the end the ledger is as without it."""

    def test_before_the_spool_is_removed(self, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        for cost in ("0.40", "0.50", "0.10", "0.20"):
            agent.shows(cost, since=int(cost < "0.40"))
        monkeypatch.setattr(Spool, "retain", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            agent.drain()
        monkeypatch.undo()
        agent.shows("0.30", since=1)
        agent.drain()
        assert (agent.cost(), agent.spool.waits()) == (0.8, False)

    def test_at_the_first_line_of_a_batch(self, agent: Agent) -> None:
        """As a power cut can leave it: of a batch of three, one line is there."""
        for cost in ("0.40", "0.50", "0.60"):
            agent.shows(cost)
        waiting = Path(agent.spool.path).read_bytes()
        Path(agent.spool.path).write_bytes(waiting.splitlines(keepends=True)[0])
        agent.drain()
        Path(agent.spool.path).write_bytes(waiting)
        agent.drain()
        assert (agent.cost(), project(agent.store, S).row.event_count) == (0.6, 4)

    def test_killed_at_any_moment(self, agent: Agent) -> None:
        for number in range(20):
            agent.shows(f"0.{number + 10}")
            process = multiprocessing.get_context("fork").Process(target=agent.drain)
            process.start()
            time.sleep(0.001 * number)
            process.kill()
            process.join()
        agent.drain()
        assert (agent.cost(), agent.spool.waits()) == (0.29, False)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=12),
)
def test_wherever_drains_come_between_the_row_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, bool]]
) -> None:
    """A counter rises by so many cents, restarts before that or not, is drained after that or not."""
    rows = []
    for often in (True, False):
        agent = Agent(tmp_path_factory.mktemp("live"))
        cents = run = total = 0
        for risen, restarts, drained in steps:
            if restarts and cents:
                cents, run = 0, run + 1
                agent.shows("0.00", since=10 * run)
            cents, total = cents + risen, total + risen
            agent.shows(f"{cents // 100}.{cents % 100:02d}", since=10 * run)
            if drained and often:
                agent.drain()
        agent.drain()
        if steps:
            rows.append(agent.cost())
            assert rows[-1] == pytest.approx(total / 100)
    assert len(set(rows)) <= 1


def test_what_cannot_be_appended_waits_and_other_workflows_go_on(agent: Agent) -> None:
    agent.shows("0.42")
    agent.drain()
    ledger = agent.store.ledger_path(S)
    whole = ledger.read_bytes()
    ledger.write_bytes(whole.replace(b'"0.42"', b'"9.42"'))
    damaged = Agent(agent.data)
    damaged.now = agent.now
    for _ in range(3):
        damaged.shows("0.50")
    damaged.shows("0.10", session_id="s-2")
    damaged.drain()
    assert damaged.cost("s-2") == 0.1
    assert "it waits in" in damaged.log()
    assert damaged.spool.waits()
    ledger.write_bytes(whole)
    mended = Agent(agent.data)
    mended.drain()
    assert (mended.cost(), mended.spool.waits()) == (0.5, False)


def test_bad_lines_are_logged_and_left_out(agent: Agent) -> None:
    agent.shows("0.42")
    for bad in (b"{\n", b"[]\n", b'{"session_id":"../x","counter_usd":"1"}\n', b'{"session_id":"s","at":"x"}\n', b"\n"):
        with open(agent.spool.path, "ab") as file:  # noqa: PTH123
            file.write(bad)
    agent.shows("-1")
    agent.shows("0.43")
    agent.drain()
    assert (agent.cost(), agent.log().count("left out of the ledger")) == (0.43, 5)


def test_a_counter_above_the_limit_of_one_reading_does_not_block_its_workflow(agent: Agent) -> None:
    agent.shows("0.42")
    agent.shows("1000000.01")
    agent.shows("0.43")
    agent.drain()
    assert (agent.cost(), agent.spool.waits(), "left out of the ledger" in agent.log()) == (0.43, False, True)


def test_a_second_drain_leaves_all_to_the_first(agent: Agent) -> None:
    agent.shows("0.42")
    lock = agent.spool.drain_lock()
    assert lock is not None
    agent.drain()
    assert list(agent.store.workflow_ids()) == []
    os.close(lock)
    agent.drain()
    assert agent.cost() == 0.42


@pytest.mark.parametrize("stuck", [False, True])
def test_a_line_spooled_while_a_drain_is_about_to_end_is_appended_by_it(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, *, stuck: bool
) -> None:
    if stuck:
        agent.store.ledger_path("s-3").parent.mkdir(parents=True)
        agent.store.ledger_path("s-3").write_text("damage\n")
        agent.shows("0.10", session_id="s-3")
    agent.shows("0.42")
    keep = Spool.retain

    def keep_and_meet_a_status_line(spool: Spool, lines: bytes) -> None:
        monkeypatch.undo()
        keep(spool, lines)
        agent.shows("0.43")
        assert spool.drain_lock() is None, "its writer starts no drain"

    monkeypatch.setattr(Spool, "retain", keep_and_meet_a_status_line)
    agent.drain()
    assert (agent.cost(), agent.spool.has_new(), agent.spool.waits()) == (0.43, False, stuck)


def test_a_transcript_that_is_gone_is_logged(agent: Agent, transcript: Path) -> None:
    transcript.unlink()
    agent.shows("0.42")
    agent.stops(transcript)
    agent.drain()
    assert agent.cost() == 0.42
    assert str(transcript) in agent.log()


def test_the_log_stays_small(agent: Agent) -> None:
    for _ in range(1200):
        agent.spool.log("2026-11-23T18:33:00.000000Z", "x" * 5000)
    sizes = [path.stat().st_size for path in (agent.data / "log").iterdir()]
    assert len(sizes) == 2
    assert sum(sizes) < 2.1 * 1024 * 1024


class TestCommands:
    """The real commands, as Claude Code runs them."""

    @pytest.fixture
    def data(self, tmp_path: Path) -> Iterator[Path]:
        yield tmp_path / "data"
        self.settled(tmp_path / "data")

    def settled(self, data: Path) -> None:
        """Wait until no drain runs and nothing waits."""
        spool = Spool(str(data))
        for _ in range(600):
            if not spool.waits() and (lock := spool.drain_lock()) is not None:
                os.close(lock)
                return
            time.sleep(0.02)
        raise AssertionError(f"something still waits: {list(Path(spool.folder).iterdir())}")

    def run(self, data: Path, *arguments: str, given: object, **environment: str) -> subprocess.CompletedProcess[str]:
        text = given if isinstance(given, str) else json.dumps(given)
        return subprocess.run(
            [str(Path(sys.executable).with_name("costledger")), *arguments],
            input=text,
            env={**os.environ, "COSTLEDGER_DATA": str(data), **environment},
            capture_output=True,
            text=True,
            check=True,
        )

    def status(self, cost: float, **more: Any) -> dict[str, Any]:
        return {
            "session_id": S,
            "workspace": {"project_dir": "/p"},
            "cost": {"total_cost_usd": cost, "total_duration_ms": 1000},
            "context_window": {"used_percentage": 42.4},
        } | more

    def test_a_status_line_and_what_it_says_next(self, data: Path) -> None:
        assert self.run(data, "statusline", given=self.status(0.42)).stdout == "1f3c9a52… · $0.42 · context 42%\n"
        self.settled(data)
        DirectoryStore(data).append([workflow_started(S, budget_usd="0.50")])
        self.run(data, "statusline", given=self.status(0.45))
        self.settled(data)
        line = self.run(data, "statusline", given=self.status(0.45)).stdout
        assert line == "1f3c9a52… · $0.45 · \x1b[33m$0.05 left of $0.50\x1b[0m · context 42%\n"
        line = self.run(data, "statusline", given=self.status(0.51), NO_COLOR="1").stdout
        assert line == "1f3c9a52… · $0.51 · $0.01 over $0.50 · context 42%\n"
        self.settled(data)
        assert project(DirectoryStore(data), S).row.actual_cost_total == 0.51

    def test_lines_that_arrive_out_of_order_show_what_the_session_cost(self, data: Path) -> None:
        shown = []
        for cost, duration_ms in ((0.10, 100_000), (0.60, 102_300), (0.50, 102_000), (0.65, 103_500)):
            given = self.status(cost) | {"cost": {"total_cost_usd": cost, "total_duration_ms": duration_ms}}
            shown.append(self.run(data, "statusline", given=given).stdout.split(" · ")[1])
            self.settled(data)
        assert shown == ["$0.10", "$0.60", "$0.60", "$0.65"]
        assert project(DirectoryStore(data), S).row.actual_cost_total == 0.65

    def test_several_at_once_show_what_the_session_cost(self, data: Path) -> None:
        command = [str(Path(sys.executable).with_name("costledger")), "statusline"]
        environment, started, running = {**os.environ, "COSTLEDGER_DATA": str(data)}, time.time() - 60, []
        for number in range(1, 9):
            duration_ms = int((time.time() - started) * 1000)
            cost = {"total_cost_usd": number / 10, "total_duration_ms": duration_ms}
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
            assert process.stdin is not None
            process.stdin.write(json.dumps(self.status(0) | {"cost": cost}).encode())
            running.append(process)
            time.sleep(0.002)
        for process in reversed(running):  # each reads its input to the end
            assert process.stdin is not None
            process.stdin.close()
        assert [process.wait() for process in running] == [0] * 8
        self.settled(data)
        assert project(DirectoryStore(data), S).row.actual_cost_total == 0.8

    def test_from_the_end_of_a_command_on_one_drain_runs_and_no_other_starts(self, data: Path) -> None:
        for cost in (0.42, 0.43):
            self.run(data, "statusline", given=self.status(cost))
            lock = Spool(str(data)).drain_lock()
            assert lock is None or not Spool(str(data)).waits()
            if lock is not None:
                os.close(lock)

    def test_a_hook_says_nothing_and_its_transcript_is_read(self, data: Path, transcript: Path) -> None:
        transcript.write_text(message(1, 20_000))
        for event in ("Stop", "SessionEnd"):
            given = {"session_id": S, "transcript_path": str(transcript), "hook_event_name": event, "reason": "exit"}
            done = self.run(data, "hook", given=given)
            assert (done.stdout, done.stderr) == ("", "")
        self.settled(data)
        row = project(DirectoryStore(data), S).row
        assert (row.actual_cost_total, row.status) == (0.3, "running")  # the end of a session is not the end of a job
        assert self.run(data, "statusline", given=self.status(0.31)).stdout == (
            "1f3c9a52… · at least $0.31 · context 42%\n"
        ), "a transcript does not show every call"

    @pytest.mark.parametrize("given", ["", "no JSON", "[]", "{}", '{"session_id":""}', '{"session_id":7}'])
    def test_whatever_is_on_stdin_a_line_is_printed_and_the_reason_logged(self, data: Path, given: str) -> None:
        assert self.run(data, "statusline", given=given).stdout == "costledger\n"
        assert self.run(data, "hook", given=given).stdout == ""
        assert "statusline: " in (data / "log" / "capture.log").read_text()

    @pytest.mark.parametrize(
        ("environment", "more", "reason"),
        [
            ({"COSTLEDGER_WORKFLOW": "bad id/.."}, {}, "COSTLEDGER_WORKFLOW is no workflow id"),
            ({"COSTLEDGER_WORKFLOW": "a\x1b[31m"}, {}, "COSTLEDGER_WORKFLOW is no workflow id"),
            ({"COSTLEDGER_AGENT": "a\x1b[31m"}, {}, "COSTLEDGER_AGENT is no name"),
            ({}, {"session_id": "a\x1b[31m"}, "session_id is no name"),
            ({}, {"cost": {"total_cost_usd": 1e400}}, "total_cost_usd is no amount"),
            ({}, {"cost": {"total_cost_usd": -1.5}}, "total_cost_usd is no amount"),
            ({}, {"cost": {"total_cost_usd": True}}, "total_cost_usd is no amount"),
        ],
    )
    def test_what_would_be_left_out_of_the_ledger_does_not_look_recorded(
        self, data: Path, environment: dict[str, str], more: dict[str, Any], reason: str
    ) -> None:
        given = json.dumps(self.status(0.45) | more).replace("Infinity", "1e400")
        done = self.run(data, "statusline", given=given, NO_COLOR="1", **environment)
        assert done.stdout == f"not recorded: {reason}\n"
        if environment:
            self.run(data, "hook", given=self.status(0.45) | {"transcript_path": "/t.jsonl"}, **environment)
        log = (data / "log" / "capture.log").read_text()
        assert [f"{verb}: not recorded: {reason}: " in log for verb in ("statusline", "hook")] == [
            True,
            bool(environment),
        ]
        assert "\x1b" not in log
        assert not Spool(str(data)).waits()

    def test_a_data_directory_that_cannot_be_written_fails_no_agent(self, data: Path) -> None:
        data.write_text("a file")
        try:
            done = self.run(data, "statusline", given=self.status(0.42))
            assert (done.stdout, done.stderr) == ("costledger\n", "")
        finally:
            data.unlink()

    def test_the_environment_comes_before_the_directory_in_the_settings(self, data: Path, tmp_path: Path) -> None:
        self.run(data, "statusline", "--data", str(tmp_path / "general"), given=self.status(0.42))
        assert not (tmp_path / "general").exists()

    @pytest.mark.parametrize("closed", ["the other end of its output", "all of its output"])
    def test_a_line_without_a_reader(self, data: Path, closed: str) -> None:
        program = str(Path(sys.executable).with_name("costledger"))
        command = [program, "statusline"] if "end" in closed else ["sh", "-c", f"'{program}' statusline >&- 2>&-"]
        given, environment = json.dumps(self.status(0.42)), {**os.environ, "COSTLEDGER_DATA": str(data)}
        reader, writer = os.pipe()
        os.close(reader)
        subprocess.run(command, input=given, stdout=writer, text=True, check=True, env=environment)
        os.close(writer)
        lock = Spool(str(data)).drain_lock()
        assert lock is None or not Spool(str(data)).waits(), "the drain has the lock"
        if lock is not None:
            os.close(lock)
        self.settled(data)
        assert project(DirectoryStore(data), S).row.actual_cost_total == 0.42

    def test_a_locale_without_these_characters(self, data: Path) -> None:
        done = self.run(data, "statusline", given=self.status(0.42), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert done.stdout == "1f3c9a52… · $0.42 · context 42%\n"

    def test_nothing_of_the_agents_project_is_imported(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("orjson", "ledger", "json"):
            (tmp_path / f"{name}.py").write_text("open('imported', 'w')")
        monkeypatch.chdir(tmp_path)
        self.run(data, "statusline", given=self.status(0.42))
        self.settled(data)
        assert not Path("imported").exists()
        assert project(DirectoryStore(data), S).row.actual_cost_total == 0.42

    def test_the_line_of_another_command_comes_first(self, data: Path) -> None:
        done = self.run(data, "statusline", "--after", "cat | wc -c; echo theirs", given=self.status(0.42))
        assert done.stdout.endswith("\ntheirs · 1f3c9a52… · $0.42 · context 42%\n")

    def test_thirty_at_once_lose_nothing(self, data: Path) -> None:
        command = [str(Path(sys.executable).with_name("costledger")), "statusline"]
        environment = {**os.environ, "COSTLEDGER_DATA": str(data)}
        running = []
        for number in range(30):
            given = json.dumps(self.status(0.10, session_id=f"s-{number}"))
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
            assert process.stdin is not None
            process.stdin.write(given.encode())
            process.stdin.close()
            running.append(process)
        assert [process.wait() for process in running] == [0] * 30
        self.settled(data)
        store = DirectoryStore(data)
        assert [project(store, f"s-{number}").row.actual_cost_total for number in range(30)] == [0.1] * 30


def test_a_transcript_with_a_session_that_is_no_text_keeps_nothing_waiting(agent: Agent, transcript: Path) -> None:
    transcript.write_text(message(1, 1_000_000, "cut \ud83d") + message(2, 1_000_000))
    agent.stops(transcript)
    agent.drain()
    assert not agent.spool.waits()
    assert (agent.cost(), f"{transcript}:1 " in agent.log()) == (15.0, True)


@given(st.text(min_size=1))
def test_a_session_has_one_name_in_the_status_line_and_in_its_transcript(session_id: str) -> None:
    assert file_name(session_id) == name_id(session_id)


def test_a_session_whose_id_is_no_file_name_is_recorded_all_the_same(tmp_path: Path) -> None:
    given = json.dumps({"session_id": "../../x", "cost": {"total_cost_usd": 1.5}})
    data = tmp_path / "data"
    command = [sys.executable, "-m", "projections", "statusline", "--data", str(data)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COSTLEDGER_")}
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, env=environment)
    assert "$1.50" in done.stdout
    agent = Agent(data)
    agent.drain()
    deadline = time.monotonic() + 20
    while agent.spool.waits() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert agent.cost(name_id("../../x")) == 1.5
