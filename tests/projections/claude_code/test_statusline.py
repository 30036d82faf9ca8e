"""What the status line says before it is appended: what the row says after that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger import cost_observed, workflow_ended, workflow_started
from ledger.errors import InvalidMoney
from ledger.events import money
from ledger.events.fields import check_name
from projections.claude_code.statusline import _counter, _is_name, _line, _NotRecorded, _told
from projections.replay.refresh import project
from tests.running_agent import Agent, S, message


class TestTheLineBeforeTheAppend:
    """What it says is what the row says once that is appended."""

    def test_messages_ahead_of_the_counter_are_not_added_to_it(self, agent: Agent, transcript: Path) -> None:
        agent.shows("0.10")
        transcript.write_text(message(1, 160_000))  # $2.40
        agent.stops(transcript)
        agent.drain()
        for cost, line in (("1.50", 2.4), ("2.45", 2.45)):
            assert agent.line(cost) == line
            agent.shows(cost)
            agent.drain()
            assert agent.cost() == line

    def test_a_session_that_has_shown_no_counter_yet(self, agent: Agent, transcript: Path) -> None:
        transcript.write_text(message(1, 20_000))
        agent.stops(transcript)
        agent.drain()
        assert (agent.line("0.10"), agent.line("0.31")) == (0.3, 0.31)

    def test_of_two_terminals_each_has_its_counter(self, agent: Agent) -> None:
        agent.shows("5.00", since=1)
        agent.shows("1.00", since=9)
        agent.drain()
        assert (agent.line("5.25", since=1), agent.line("1.25", since=9), agent.line("0.25", since=20)) == (6.25,) * 3

    def test_what_comes_late_changes_nothing(self, agent: Agent) -> None:
        agent.shows("5.00", since=1, duration_ms=90_000)
        agent.shows("1.00", since=9, duration_ms=50_000)
        agent.drain()
        for cost, since, duration_ms, line in (
            ("3.00", 1, 80_000, 6.0),
            ("0.90", 9, 55_000, 6.0),
            ("0.90", 9, 55_001, 6.9),  # it was reset
            ("1.10", 9, 60_000, 6.1),
        ):
            assert agent.line(cost, since=since, duration_ms=duration_ms) == line

    @pytest.mark.parametrize("named", ["w-2", None])
    def test_a_session_goes_on_in_the_workflow_that_has_it(self, agent: Agent, named: str | None) -> None:
        agent.shows("1.00", workflow_id="w-1")
        agent.drain()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("COSTLEDGER_WORKFLOW", raising=False)
            if named is not None:
                patch.setenv("COSTLEDGER_WORKFLOW", named)
            for cost in ("1.00", "1.25", "1.50"):
                told = {"session_id": S, "cost": {"total_cost_usd": cost, "total_duration_ms": 1}}
                assert _told(agent.spool, told) == f"w-1 · ${cost}"
                agent.drain()
        assert list(agent.store.workflow_ids()) == ["w-1"]
        assert agent.cost("w-1") == 1.5
        said = f"session {S} counts in w-1, which has it, and not in w-2"
        assert agent.log().count(said) == (1 if named else 0)

    def test_notes_of_a_version_before_say_rather_too_little(self, agent: Agent) -> None:
        path = Path(agent.spool.note_path(S))
        path.parent.mkdir(parents=True)
        path.write_text('{"counter_usd":"0.10","since_ms":1000,"cost_usd":"2.39","cost_basis":"reported"}')
        assert (agent.line("1.50"), agent.line("2.45")) == (2.39, 2.45)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_whatever_stands_in_the_ledger(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        """Sessions with messages, sub-agents and counters, totals above them, ends and new runs, in any order."""
        agent = Agent(tmp_path_factory.mktemp("live"))
        agent.store.append([workflow_started("w")])
        durations = st.none() | st.integers(1, 100_000)
        amounts = st.integers(0, 300).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")
        names = st.sampled_from(["main", "sub", None])
        for number in range(data.draw(st.integers(1, 10))):
            session_id = data.draw(st.sampled_from([S, "s-2"]))
            cost, since, name = data.draw(amounts), data.draw(st.integers(0, 2)), data.draw(names)
            final = data.draw(st.booleans())
            match data.draw(st.sampled_from(["counter", "message", "total", "above", "end", "start"])):
                case "counter":
                    duration_ms = data.draw(durations)
                    more = {"session_id": session_id, "workflow_id": "w", "agent": name, "duration_ms": duration_ms}
                    agent.shows(cost, since=since, **more)
                case "message":
                    agent.store.append(
                        [
                            cost_observed(
                                "w",
                                agent=name,
                                session_id=session_id,
                                model="m",
                                message_id=f"m-{number}",
                                cost_usd=cost,
                            )
                        ]
                    )
                case "total":
                    agent.store.append([cost_observed("w", agent=name, session_id=session_id, cost_usd=cost)])
                case "above":
                    agent.store.append([cost_observed("w", agent=name, cost_usd=cost, final=final)])
                case "end":
                    agent.store.append([workflow_ended("w", "completed")])
                case "start":
                    agent.store.append([workflow_started("w")])
        agent.shows("0.00", session_id=S, workflow_id="w")
        agent.drain()
        cost, since, duration_ms = data.draw(amounts), data.draw(st.integers(0, 2)), data.draw(durations)
        line = agent.line(cost, since=since, workflow_id="w", duration_ms=duration_ms)
        before = project(agent.store, "w").row
        agent.now = datetime(2100, 1, 1, tzinfo=UTC)
        agent.shows(cost, since=since, workflow_id="w", duration_ms=duration_ms)
        agent.drain()
        after = project(agent.store, "w").row
        if after.event_count > before.event_count:
            assert line == pytest.approx(after.actual_cost_total)


@given(st.from_regex(r"[+-]?[0-9]{0,11}\.?[0-9]{0,11}([eE][+-]?[0-9]{0,5})?", fullmatch=True) | st.text())
@example("1e400")
@example("-1.5")
@example("nan")
def test_the_line_takes_for_an_amount_what_the_ledger_takes(text: str) -> None:
    try:
        _counter({"cost": {"total_cost_usd": text}})
        taken = True
    except _NotRecorded:
        taken = False
    try:
        assert taken or not 0 < money.parse(text) < money.NANOUSD_MAX - 1000  # "-0", and what a float cannot tell apart
    except InvalidMoney:
        assert not taken


@given(st.text(st.characters()) | st.text(min_size=510))
def test_the_line_takes_for_a_name_what_the_ledger_takes(text: str) -> None:
    try:
        check_name(text)
    except ValueError:
        assert not _is_name(text)
    else:
        assert _is_name(text)


@pytest.mark.parametrize(
    ("said", "note", "line"),
    [
        ({}, {}, "unknown"),
        ({}, {"cost_usd": "0.00", "cost_basis": None}, "unknown"),
        ({}, {"cost_usd": "0.00", "cost_basis": "partial"}, "unpriced"),
        ({}, {"cost_usd": "0.00", "cost_basis": "reported"}, "$0.00"),
        ({"counter_usd": "0"}, {}, "$0.00"),
        ({}, {"cost_usd": "1.50", "cost_basis": "partial"}, "at least $1.50"),
    ],
)
def test_the_line_shows_nothing_as_a_figure_only_if_something_was_read(
    said: dict[str, str], note: dict[str, str | None], line: str
) -> None:
    assert _line({"session_id": "s"} | said, note, {}) == f"s · {line}"
