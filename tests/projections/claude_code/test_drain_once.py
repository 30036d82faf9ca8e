"""A session costs once: in one workflow, whichever way reports it, and without the cost of a session before it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.claude_code.statusline_readings import append_spool_line
from ledger.importing.transcript_importer import import_transcripts
from ledger.sources.findings import Options
from projections.replay.refresh import project
from tests.running_agent import Agent, S, message


class TestANewSessionThatOvertakesTheHookOfTheOneBefore:
    """After `/clear` its first status line shows the cost of both, and the `SessionEnd` hook may not have come yet."""

    @pytest.fixture(autouse=True)
    def the_clock_is_the_agents(self, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ledger.events.timestamps.now", lambda: agent.now)

    @pytest.fixture
    def while_it_waits(self, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], None]]]:
        """What happens each time a drain waits for more."""
        then: list[Callable[[], None]] = []
        monkeypatch.setattr("projections.claude_code.drain._await_more", lambda _: then.pop(0)())
        yield then
        assert then == []
        assert not agent.spool.waits()

    def test_it_waits_until_the_hook_comes(self, agent: Agent, while_it_waits: list[Callable[[], None]]) -> None:
        agent.shows("5.41", duration_ms=50_000)
        agent.drain()
        agent.shows("5.41", session_id="s-2", duration_ms=51_000)
        agent.shows("0.10", session_id="s-3", since=7)
        while_it_waits += [
            lambda: agent.shows("5.45", session_id="s-2", duration_ms=52_000),
            lambda: agent.stops(cleared=True),
        ]
        agent.drain()
        agent.shows("5.60", session_id="s-2", duration_ms=53_000)
        agent.drain()
        assert [agent.cost(id) for id in (S, "s-2", "s-3")] == [5.41, 0.19, 0.1]

    def test_it_goes_on_from_the_last_of_several(self, agent: Agent, while_it_waits: list[Callable[[], None]]) -> None:
        agent.shows("5.00")
        agent.stops(cleared=True)
        agent.shows("5.20", session_id="s-2")
        agent.drain()
        agent.shows("5.20", session_id="s-3")
        while_it_waits.append(lambda: agent.stops(cleared=True, session_id="s-2"))
        agent.drain()
        agent.shows("5.60", session_id="s-3")
        agent.drain()
        assert [agent.cost(id) for id in (S, "s-2", "s-3")] == [5.0, 0.2, 0.4]

    def test_the_hook_runs_where_the_agent_has_gone_to(self, agent: Agent) -> None:
        agent.shows("5.41")
        agent.stops(cleared=True, project_dir="/p/src")
        agent.shows("5.60", session_id="s-2")
        agent.drain()
        assert (agent.cost(), agent.cost("s-2")) == (5.41, 0.19)

    def test_it_is_a_session_of_its_own_when_no_hook_comes(
        self, agent: Agent, while_it_waits: list[Callable[[], None]]
    ) -> None:
        def five_seconds_pass() -> None:
            agent.now += timedelta(seconds=5)

        agent.shows("0.10")
        agent.drain()
        agent.shows("0.10", session_id="s-2")
        while_it_waits.append(five_seconds_pass)
        agent.drain()
        assert (agent.cost(), agent.cost("s-2")) == (0.1, 0.1)

    def test_without_a_hook_it_counts_at_least_what_it_added(
        self, agent: Agent, while_it_waits: list[Callable[[], None]]
    ) -> None:
        """2.1.100 starts a process at zero, and does not reset its counter at `/clear`."""

        def five_seconds_pass() -> None:
            agent.now += timedelta(seconds=5)

        agent.shows("0.10", version="2.1.100")
        agent.drain()
        agent.shows("0.10", session_id="s-2", version="2.1.100")
        while_it_waits.append(five_seconds_pass)
        agent.drain()
        for figure in ("0.25", "0.30"):
            agent.shows(figure, session_id="s-2", version="2.1.100")
            agent.drain()
        assert (agent.cost(), agent.cost("s-2")) == (0.1, 0.2)
        assert project(agent.store, "s-2").row.cost_basis == "partial"

    @pytest.mark.parametrize("more", [{"project_dir": "/q"}, {"since": 1}, {"cost_usd": "0.00"}, {"cost_usd": "5.40"}])
    def test_what_cannot_go_on_from_it_waits_for_nothing(
        self, agent: Agent, while_it_waits: list[Callable[[], None]], more: dict[str, Any]
    ) -> None:
        agent.shows("5.41")
        agent.drain()
        agent.shows(**{"cost_usd": "5.41", "session_id": "s-2"} | more)
        agent.drain()
        assert agent.cost("s-2") == float(more.get("cost_usd", "5.41"))
        assert while_it_waits == []


def test_a_session_imported_into_another_workflow_goes_on_there(agent: Agent, transcript: Path) -> None:
    transcript.write_text(message(1, 20_000))
    import_transcripts(agent.store, "claude", transcript.parent.parent, Options(workflow_by="project"))
    (workflow_id,) = agent.store.workflow_ids()
    agent.shows("0.30")
    agent.drain()
    with transcript.open("a") as file:
        file.write(message(2, 20_000))
    agent.stops(transcript)
    agent.drain()
    agent.shows("0.65")
    agent.drain()
    assert list(agent.store.workflow_ids()) == [workflow_id]
    assert agent.cost(workflow_id) == 0.65
    assert agent.cached()["workflow_id"] == workflow_id


def test_of_a_session_that_is_in_several_workflows_only_the_rest_is_added(agent: Agent, transcript: Path) -> None:
    transcript.write_text(message(1, 20_000, gitBranch="a") + message(2, 40_000, gitBranch="b"))
    import_transcripts(agent.store, "claude", transcript.parent.parent, Options(workflow_by="branch"))
    before = list(agent.store.workflow_ids())
    for cost, total in (("0.90", 0.9), ("1.00", 1.0), ("1.25", 1.25)):
        shown = agent.line(cost)
        agent.shows(cost)
        agent.drain()
        assert list(agent.store.workflow_ids()) == before
        assert sum(map(agent.cost, before)) == pytest.approx(total)
        home = agent.cached()["workflow_id"]
        assert cost == "0.90" or shown == pytest.approx(agent.cost(home))


def test_a_session_goes_on_where_it_was_also_when_its_cache_is_gone(agent: Agent) -> None:
    agent.shows("0.01", workflow_id="w")
    agent.drain()
    Path(agent.spool.session_path(S)).unlink()
    agent.shows("0.02")
    agent.drain()
    assert (list(agent.store.workflow_ids()), agent.cost("w")) == (["w"], 0.02)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["reading", "hook", "import"]), st.sampled_from([None, "w-1", "w-2"]), st.booleans()),
        min_size=1,
        max_size=10,
    )
)
def test_whichever_way_and_name_report_a_session_it_costs_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str | None, bool]]
) -> None:
    """Each call costs $0.15; it is reported in one of three ways, then drained or not; the cache is lost on the way."""
    folder = tmp_path_factory.mktemp("once")
    agent, transcript, reported = Agent(folder / "data"), folder / "projects" / "p" / f"{S}.jsonl", 0
    transcript.parent.mkdir(parents=True)
    for number, (how, named, drained) in enumerate(steps, 1):
        with transcript.open("a") as file:
            file.write(message(number, 10_000, gitBranch=f"b{number}"))
        if how == "import":
            import_transcripts(agent.store, "claude", folder / "projects", Options(named, workflow_by="branch"))
        elif how == "hook":
            agent.stops(transcript, workflow_id=named)
        else:
            agent.shows(f"{0.15 * number:.2f}", workflow_id=named)
            reported = number
        if drained:
            agent.drain()
            if named:
                Path(agent.spool.session_path(S)).unlink(missing_ok=True)
    agent.stops(transcript)
    agent.drain()
    workflow_ids = list(agent.store.workflow_ids())
    assert sum(map(agent.cost, workflow_ids)) == pytest.approx(0.15 * len(steps))
    assert len(workflow_ids) == 1 or reported == 0 or any(how == "import" for how, _, _ in steps)


def test_a_session_whose_workflow_cannot_be_found_waits(agent: Agent) -> None:
    agent.shows("0.10", session_id="s-2")
    agent.drain()
    index = agent.data / "transcripts.db"
    index.unlink()
    index.mkdir()
    agent.shows("0.20", session_id="s-2")
    agent.shows("0.42")
    agent.drain()
    assert (list(agent.store.workflow_ids()), agent.cost("s-2"), agent.spool.waits()) == (["s-2"], 0.2, True)
    assert "go on waiting" in agent.log()
    index.rmdir()
    agent.drain()
    assert (agent.cost(), agent.spool.waits()) == (0.42, False)


def test_no_import_takes_a_new_session_elsewhere_before_it_is_appended(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def append_while_an_import_begins(*arguments: Any) -> int:
        with closing(sqlite3.connect(agent.data / "transcripts.db", timeout=0)) as another:
            try:
                another.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                refused.append(str(error))
        return append_spool_line(*arguments)

    monkeypatch.setattr("projections.claude_code.drain.append_spool_line", append_while_an_import_begins)
    agent.shows("0.42")
    agent.drain()
    assert (agent.cost(), refused) == (0.42, ["database is locked"])
