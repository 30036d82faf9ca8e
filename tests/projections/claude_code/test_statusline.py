"""The status line before its counter is appended: the stored row, and the growth of the counter since then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger import cost_observed, workflow_ended, workflow_started
from ledger.claude_code.spool import is_file_name
from ledger.errors import InvalidMoney
from ledger.events import money
from ledger.events.fields import check_name
from ledger.events.workflow_ids import is_workflow_id
from projections.claude_code.statusline import _counter, _is_name, _line, _NotRecorded, _recorded
from projections.replay.refresh import project
from tests.running_agent import Agent, S, message

AMOUNTS = st.integers(0, 300).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")
DURATIONS = st.none() | st.integers(1, 100_000)


def ledger_with_anything(agent: Agent, draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[set[str], bool]:
    """Append events of several kinds; return the kinds, and whether a final figure or an end is among them."""
    agent.store.append([workflow_started("w")])
    names = st.sampled_from(["main", "sub", None])
    kinds, decided = set[str](), False
    for number in range(draw(st.integers(1, 10))):
        session_id = draw(st.sampled_from([S, "s-2"]))
        cost, since, name, final = draw(AMOUNTS), draw(st.integers(0, 2)), draw(names), draw(st.booleans())
        kind = draw(st.sampled_from(["counter", "message", "total", "above", "end", "start"]))
        kinds.add(kind)
        decided |= kind == "end" or (kind == "above" and final)
        meter = {"agent": name, "session_id": session_id}
        match kind:
            case "counter":
                agent.shows(cost, since=since, workflow_id="w", duration_ms=draw(DURATIONS), **meter)
            case "message":
                message_id = f"m-{number}"
                agent.store.append([cost_observed("w", **meter, model="m", message_id=message_id, cost_usd=cost)])
            case "total":
                agent.store.append([cost_observed("w", **meter, cost_usd=cost)])
            case "above":
                agent.store.append([cost_observed("w", agent=name, cost_usd=cost, final=final)])
            case "end":
                agent.store.append([workflow_ended("w", "completed")])
            case "start":
                agent.store.append([workflow_started("w")])
    return kinds, decided


class TestTheLineBeforeTheAppend:
    """It shows the stored row and the growth of the counter since then; never less than the row."""

    def test_messages_ahead_of_the_counter_are_not_added_to_it(self, agent: Agent, transcript: Path) -> None:
        agent.shows("0.10")
        transcript.write_text(message(1, 160_000))  # $2.40
        agent.stops(transcript)
        agent.drain()
        for cost, line in (("1.50", 2.4), ("2.45", 2.45)):
            assert agent.line(cost) == pytest.approx(line)
            agent.shows(cost)
            agent.drain()
            assert agent.cost() == line

    def test_a_session_that_has_shown_no_counter_yet(self, agent: Agent, transcript: Path) -> None:
        transcript.write_text(message(1, 20_000))
        agent.stops(transcript)
        agent.drain()
        assert (agent.line("0.10"), agent.line("0.31")) == (0.3, 0.31)

    def test_of_two_terminals_the_last_one_stored_has_its_growth_shown(self, agent: Agent) -> None:
        agent.shows("5.00", since=1)
        agent.shows("1.00", since=9)
        agent.drain()
        assert (agent.line("1.25", since=9), agent.line("5.25", since=1), agent.line("0.25", since=20)) == (6.25, 6, 6)
        agent.shows("5.25", since=1)
        agent.drain()
        assert (agent.line("5.50", since=1), agent.cost()) == (6.5, 6.25)

    def test_a_late_line_changes_nothing_and_a_reset_shows_once_it_is_appended(self, agent: Agent) -> None:
        agent.shows("5.00", since=1, duration_ms=90_000)
        agent.shows("1.00", since=9, duration_ms=50_000)
        agent.drain()
        for cost, since, duration_ms, line in (
            ("3.00", 1, 80_000, 6.0),
            ("0.90", 9, 55_000, 6.0),
            ("0.90", 9, 55_001, 6.0),  # it was reset
            ("1.10", 9, 60_000, 6.1),
        ):
            assert agent.line(cost, since=since, duration_ms=duration_ms) == pytest.approx(line)
        agent.shows("0.90", since=9, duration_ms=55_001)
        agent.drain()
        assert agent.line("0.95", since=9, duration_ms=56_000) == pytest.approx(6.95)

    def test_a_counter_that_reports_no_start(self, agent: Agent) -> None:
        agent.spool.add({"at": "2026-11-23T18:00:00.000000Z", "session_id": S, "counter_usd": "1.00"})
        agent.drain()
        assert agent.line("1.25", since_ms=None) == 1.25

    @pytest.mark.parametrize("named", ["w-2", None])
    def test_a_session_goes_on_in_the_workflow_that_has_it(self, agent: Agent, named: str | None) -> None:
        agent.shows("1.00", workflow_id="w-1")
        agent.drain()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("COSTLEDGER_WORKFLOW", raising=False)
            if named is not None:
                patch.setenv("COSTLEDGER_WORKFLOW", named)
            for cost in ("1.00", "1.25", "1.50"):
                given = {"session_id": S, "cost": {"total_cost_usd": cost, "total_duration_ms": 1}}
                assert _recorded(agent.spool, given) == f"w-1 · ${cost}"
                agent.drain()
        assert list(agent.store.workflow_ids()) == ["w-1"]
        assert agent.cost("w-1") == 1.5
        logged = f"session {S} counts in w-1, which has it, and not in w-2"
        assert agent.log().count(logged) == (1 if named else 0)

    def test_a_resumed_process_counts_from_its_first_line_though_that_shows_what_the_last_one_did(
        self, agent: Agent
    ) -> None:
        common = {"session_id": S, "version": "2.1.280"}
        for cost, duration_ms, line in (("0.00", 90_000, 0), ("1.00", 90_100, 1), ("1.00", 10, 1), ("1.25", 20, 1.25)):
            given = common | {"cost": {"total_cost_usd": cost, "total_duration_ms": duration_ms}}
            assert _recorded(agent.spool, given) == f"1f3c9a52… · ${line:.2f}"
            agent.drain()
        row = project(agent.store, S).row
        assert (row.actual_cost_total, row.cost_basis) == (1.25, "reported")

    def test_the_cache_of_an_earlier_version_shows_rather_too_little(self, agent: Agent) -> None:
        path = Path(agent.spool.session_path(S))
        path.parent.mkdir(parents=True)
        path.write_text('{"counter_usd":"0.10","since_ms":1000,"cost_usd":"2.39","cost_basis":"reported"}')
        assert (agent.line("1.50"), agent.line("2.45")) == (2.39, 2.45)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_it_is_never_less_than_the_row(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        """Sessions with messages, sub-agents and counters, totals above them, ends and new runs, in any order.

        A counter that continues shows at least what the row shows once it is appended, unless a final figure or an end
        decides; exactly that while the session has one counter and no total above the session covers it.
        """
        agent = Agent(tmp_path_factory.mktemp("live"))
        kinds, decided = ledger_with_anything(agent, data.draw)
        cost, since, duration_ms = data.draw(AMOUNTS), data.draw(st.integers(0, 2)), data.draw(DURATIONS)
        agent.shows("0.00", session_id=S, workflow_id="w", since=since)
        agent.drain()
        cached = agent.cached()
        line = agent.line(cost, since=since, workflow_id="w", duration_ms=duration_ms)
        before = project(agent.store, "w").row
        assert line >= before.actual_cost_total - 1e-9
        agent.now = datetime(2100, 1, 1, tzinfo=UTC)
        agent.shows(cost, since=since, workflow_id="w", duration_ms=duration_ms)
        agent.drain()
        after = project(agent.store, "w").row
        continues = cached["since_ms"] == 1_000 + 60_000 * since and float(cost) >= float(cached["counter_usd"])
        if after.event_count > before.event_count and continues and not decided:
            assert line >= after.actual_cost_total - 1e-9
            assert line == pytest.approx(after.actual_cost_total) or kinds & {"above", "counter"}


@given(st.from_regex(r"[+-]?[0-9]{0,11}\.?[0-9]{0,11}([eE][+-]?[0-9]{0,5})?", fullmatch=True) | st.text())
@example("1e400")
@example("-1.5")
@example("nan")
@example("1000000.01")
@example("999999.99")
def test_the_line_takes_for_an_amount_what_the_ledger_takes(text: str) -> None:
    try:
        _counter({"cost": {"total_cost_usd": text}})
        taken = True
    except _NotRecorded:
        taken = False
    try:
        assert (
            taken or not 0 < money.parse(text) < money.READING_NANOUSD_MAX - 1000
        )  # "-0", and what a float cannot tell apart
    except InvalidMoney:
        assert not taken


@given(st.from_regex(r"[A-Za-z0-9._-]{0,130}", fullmatch=True) | st.text())
def test_the_line_takes_for_a_workflow_id_what_the_ledger_takes(text: str) -> None:
    assert is_file_name(text) == is_workflow_id(text)


@given(st.text(st.characters()) | st.text(min_size=510))
def test_the_line_takes_for_a_name_what_the_ledger_takes(text: str) -> None:
    try:
        check_name(text)
    except ValueError:
        assert not _is_name(text)
    else:
        assert _is_name(text)


@pytest.mark.parametrize(
    ("entry", "session", "line"),
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
    entry: dict[str, str], session: dict[str, str | None], line: str
) -> None:
    assert _line({"session_id": "s"} | entry, session, {}) == f"s · {line}"
