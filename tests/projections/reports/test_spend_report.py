"""The general query of spend: every view, split and filter of the same events adds up to the same nanodollar."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.config.schema import TagConfig
from ledger.errors import InvalidEvent, InvalidInput
from ledger.events.annotations import workflow_tagged
from ledger.events.event import WORKFLOW_TAGGED, Event, cost_observed, workflow_ended, workflow_started
from ledger.storage.memory_store import MemoryStore
from projections.folding.spend import AMOUNTS
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh
from projections.reports.dimensions import DIMENSIONS
from projections.reports.periods import PERIODS, quarters
from projections.reports.spend_report import (
    SESSIONS,
    Line,
    Report,
    SpendQuery,
    at_least,
    merged,
    sessions_by_activity,
    spend_report,
    total_tokens,
)
from projections.reports.tags import TagRules
from tests.conftest import SteppingClock
from tests.projections.reports.test_periods import zones

RULES: TagRules = (
    TagConfig(project="*/site", set={"team": "web", "cost_centre": "7"}),
    TagConfig(set={"team": "everyone"}),
)
NAMES = (*DIMENSIONS, "team", "cost_centre")

splits = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)
pers = st.sampled_from([None, *PERIODS])


@st.composite
def histories(draw: st.DrawFn) -> MemoryHistory:
    """Some workflows with readings, ends and unpriced usage over a few weeks around a change of clocks."""
    store = MemoryStore(clock=SteppingClock())
    start = datetime(2026, 10, 24, tzinfo=UTC)
    for name in draw(st.sampled_from([["w"], ["v", "w"], ["u", "v", "w"]])):
        store.append(
            [
                workflow_started(
                    name,
                    issue_number=draw(st.sampled_from([None, 17])),
                    workflow_template=draw(st.sampled_from([None, "sdlc"])),
                    project=draw(st.sampled_from([None, "/srv/site", "/srv/shop"])),
                    branch=draw(st.sampled_from([None, "main"])),
                )
            ]
        )
        if draw(st.booleans()):
            store.append([workflow_tagged(name, tags={"team": draw(st.sampled_from(["payments", "search"]))})])
        for number in range(draw(st.integers(0, 5))):
            fields: dict[str, Any] = {
                "agent": draw(st.sampled_from([None, "plan", "build"])),
                "session_id": draw(st.sampled_from([None, f"{name}-1", "shared"])),
                "model": draw(st.sampled_from([None, "opus", "who"])),
                "message_id": draw(st.sampled_from([None, f"m{number}"])),
                "usage": {"input_tokens": draw(st.integers(0, 99)), "output_tokens": draw(st.integers(1, 99))},
                "source": draw(st.sampled_from([None, {"kind": "codex"}, {"kind": "opencode"}])),
                "observed_at": start + timedelta(minutes=draw(st.integers(0, 60 * 24 * 20))),
            }
            cost = draw(st.sampled_from([None, "0.000000001", "0.3", "1.25"]))
            store.append([cost_observed(name, cost_usd=cost, **fields)])
        if draw(st.booleans()):
            ended_at = start + timedelta(days=draw(st.integers(0, 30)))
            store.append([workflow_ended(name, "completed", observed_at=ended_at)])
            if draw(st.booleans()):
                store.append([workflow_started(name), cost_observed(name, cost_usd="9.99", observed_at=ended_at)])
    history = MemoryHistory()
    assert refresh(store, history).problems == []
    return history


def made(
    history: MemoryHistory,
    by: tuple[str, ...] = (),
    per: Any = None,
    zone: tzinfo = UTC,
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    asked = tuple((name, (value,)) for name, value in where.items())
    return spend_report(history, SpendQuery(by, per, asked, *quarters(since, until, zone)), zone, rules=RULES)


def summed(lines: list[Line]) -> list[int]:
    return merged(lines).amounts


@settings(max_examples=60)
@given(histories(), splits, pers, zones)
def test_every_view_of_the_same_events_sums_to_the_rows(
    history: MemoryHistory, by: tuple[str, ...], per: Any, zone: ZoneInfo
) -> None:
    rows = history.rows()
    shown = made(history, by, per, zone)
    assert summed(shown.lines) == summed(shown.groups()) == shown.total.amounts
    assert shown.total.amounts[0] == sum(row.actual_cost_nanousd for row in rows)
    assert total_tokens(shown.total.amounts) == sum(row.total_tokens for row in rows)
    assert sum(events for events, _ in shown.unpriced.values()) == sum(row.unpriced_events for row in rows)
    assert shown.total.unknown == sum(row.cost_basis is None for row in rows)
    assert len({(line.period, line.group) for line in shown.lines}) == len(shown.lines)


@settings(max_examples=60)
@given(histories(), st.sampled_from(NAMES), splits, pers, zones)
def test_the_filters_for_each_value_of_a_dimension_divide_the_whole(
    history: MemoryHistory, name: str, by: tuple[str, ...], per: Any, zone: ZoneInfo
) -> None:
    lines = made(history, (name,), None, zone).lines
    values = ["" if line.group[0] is None else str(line.group[0]) for line in lines]
    parts = [made(history, by, per, zone, where={name: value}) for value in values]
    if name != "tool":  # a workflow of several tools is found by each of them
        assert [part.total.amounts for part in parts] == [line.amounts for line in lines]
    assert [summed(part.lines) for part in parts] == [part.total.amounts for part in parts]


@settings(max_examples=60)
@given(histories(), st.sampled_from([("workflow",), ("issue",), ("session",), SESSIONS]), st.integers(1, 3), zones)
def test_a_limit_leaves_the_first_lines_as_they_are_and_the_others_as_one(
    history: MemoryHistory, by: tuple[str, ...], limit: int, zone: ZoneInfo
) -> None:
    whole = spend_report(history, SpendQuery(by), zone)
    some = spend_report(history, SpendQuery(by), zone, limit=limit)
    if by == SESSIONS:
        whole = sessions_by_activity(history, whole, descending=True)
        some = sessions_by_activity(history, some, descending=True, limit=limit)
    cut = [(line.group, line.amounts, line.models, line.at) for line in some.lines[:limit]]
    assert cut == [(line.group, line.amounts, line.models, line.at) for line in whole.lines[:limit]]
    (count, others), (expected, all_others) = some.after(limit), whole.after(limit)
    assert (count, others.models) == (expected, all_others.models)
    assert (some.total, some.dated, some.unpriced) == (whole.total, whole.dated, whole.unpriced)


@settings(max_examples=40)
@given(histories(), zones, pers, st.dates(date(2026, 10, 20), date(2026, 11, 25)))
def test_two_ranges_that_meet_sum_to_the_whole_and_hold_only_their_days(
    history: MemoryHistory, zone: ZoneInfo, per: Any, day: date
) -> None:
    whole = made(history, (), per, zone).total
    before = made(history, (), per, zone, until=day - timedelta(days=1))
    after = made(history, (), per, zone, since=day)
    assert [one + other for one, other in zip(before.total.amounts, after.total.amounts, strict=True)] == whole.amounts
    assert before.total.unknown + after.total.unknown <= whole.unknown
    for line in made(history, (), "day", zone, until=day).lines:
        assert str(line.period) <= day.isoformat()
    for line in made(history, (), "day", zone, since=day).lines:
        assert str(line.period) >= day.isoformat()


def spent(*readings: tuple[str, str, str]) -> MemoryHistory:
    """Moment, model and USD that the model's meter then reads."""
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for moment, model, cost in readings:
        at = f"{moment}:00Z"
        store.append([cost_observed("w", model=model, cost_usd=cost, observed_at=at)])
    refresh(store, history)
    return history


def test_lines_go_up_or_down_in_time_and_within_a_day_by_cost() -> None:
    history = spent(
        ("2026-11-23T12:00", "a", "0.01"), ("2026-11-23T13:00", "b", "0.02"), ("2026-11-24T12:00", "a", "0.04")
    )
    query = SpendQuery(("model",), "day")
    up = [("2026-11-23", ("b",)), ("2026-11-23", ("a",)), ("2026-11-24", ("a",))]
    assert [(line.period, line.group) for line in spend_report(history, query, UTC).lines] == up
    down = spend_report(history, query, UTC, descending=True)
    assert [(line.period, line.group) for line in down.lines] == [up[2], *up[:2]]
    assert [line.group for line in made(history, ("model",)).lines] == [("a",), ("b",)]


def test_a_sum_is_a_lower_bound_where_something_in_it_is_one() -> None:
    def amounts(**given: int) -> list[int]:
        return [given.get(name, 1) for name in AMOUNTS[:-3]] + [given.get(name, 0) for name in AMOUNTS[-3:]]

    assert [at_least(amounts()), at_least(amounts(partial=2)), at_least(amounts(unpriced_events=1))] == [
        False,
        True,
        True,
    ]
    assert not at_least(amounts(unpriced_events=-1)), "a price that came later takes away"


def test_a_day_that_took_back_all_it_spent_has_no_line() -> None:
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for minute, cost in enumerate(["0.50", "0.20"]):
        at = datetime(2026, 11, 23, 12, minute, tzinfo=UTC)
        store.append([cost_observed("w", cost_usd=cost, observed_at=at)])
    store.append([workflow_ended("w", "completed", observed_at=datetime(2026, 11, 24, tzinfo=UTC))])
    refresh(store, history)
    shown = [(line.period, line.amounts[0]) for line in made(history, (), "day").lines]
    assert shown == [("2026-11-23", 500_000_000), ("2026-11-24", -300_000_000)]
    store.append([cost_observed("w", cost_usd="0", final=True, reason="free", observed_at="2026-11-23T12:05:00Z")])
    refresh(store, history)
    assert sum(line.amounts[0] for line in made(history, (), "day").lines) == history.rows()[0].actual_cost_nanousd


def test_a_session_is_shown_with_its_workflow_in_the_order_of_activity() -> None:
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for name, day in (("w", 23), ("w", 25), ("v", 24)):
        at = datetime(2026, 11, day, 12, tzinfo=UTC)
        store.append([cost_observed(name, session_id="s", model=f"m{day}", cost_usd="0.25", observed_at=at)])
    refresh(store, history)
    shown = sessions_by_activity(history, made(history, SESSIONS))
    assert [line.group for line in shown.lines] == [("s", "v"), ("s", "w")]
    assert sorted(shown.lines[1].models) == ["m23", "m25"]


def test_filters_take_numbers_globs_the_last_part_of_a_project_and_each_tool() -> None:
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    store.append(
        [workflow_started("v", issue_number=17, project="/srv/Shop"), workflow_tagged("v", tags={"team": "a"})]
    )
    store.append([workflow_started("w", project="/srv/other")])
    for name, kind, cost in (("v", "codex", "1"), ("v", "claude", "2"), ("w", "gemini", "4")):
        store.append([cost_observed(name, model=f"{kind}-1", agent=kind, cost_usd=cost, source={"kind": kind})])
    refresh(store, history)

    def usd(**where: str) -> float:
        return made(history, where=where).total.amounts[0] / 10**9

    assert [usd(issue="#17"), usd(issue="17"), usd(issue=""), usd(issue="18")] == [3, 3, 4, 0]
    assert [usd(project="shop"), usd(project="/srv/shop/"), usd(project="*o*")] == [3, 3, 7]
    assert [usd(tool="codex"), usd(tool="claude-code"), usd(tool="Gemini CLI")] == [3, 3, 4]
    assert [usd(model="*-1"), usd(model="CLAUDE*"), usd(model="claude"), usd(agent="codex", issue="17")] == [7, 2, 0, 1]
    assert [usd(team="a"), usd(team="everyone"), usd(cost_centre="")] == [3, 4, 7]
    either = SpendQuery(where=(("model", ("codex-1", "gemini-1")),))
    assert spend_report(history, either, UTC).total.amounts[0] == 5 * 10**9
    for where in ({"issue": "x"}, {"run": "-1"}, {"issue": "9" * 40}):
        with pytest.raises(InvalidInput, match="give a number"):
            usd(**where)


def test_a_tag_that_a_dimension_would_hide_is_refused_and_one_of_an_old_ledger_is_found_by_its_key() -> None:
    for name in DIMENSIONS:
        with pytest.raises(InvalidEvent, match=f"call this one something else, such as '{name}_tag'"):
            workflow_tagged("w", tags={name: "x"})
    store, history = MemoryStore(), MemoryHistory()
    old = Event("w", WORKFLOW_TAGGED, {"tags": {"project": "x"}})
    store.append([workflow_started("w", project="shop"), old, cost_observed("w", cost_usd="1")])
    refresh(store, history)
    made = spend_report(history, SpendQuery(("project", "tag:project")), UTC)
    assert [line.group for line in made.lines] == [("shop", "x")]
    store.append([workflow_tagged("w", tags={"project": ""})])  # it can still be removed
    refresh(store, history)
    assert history.row_values("tags") == [None]


def test_a_workflows_own_tags_are_found_without_rules() -> None:
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for name, cost in (("v", "1"), ("w", "2")):
        store.append([cost_observed(name, cost_usd=cost), workflow_tagged(name, tags={"team": name, "x": "1"})])
    store.append([workflow_tagged("w", tags={"team": "", "x": "2"})])
    refresh(store, history)
    query = SpendQuery(("team", "tag:x"))
    assert [line.group for line in spend_report(history, query, UTC).lines] == [(None, "2"), ("v", "1")]
    for asked, usd in (("v", 1), ("", 2), ("w", 0)):
        where = SpendQuery(where=(("team", (asked,)),))
        assert spend_report(history, where, UTC).total.amounts[0] == usd * 10**9


def test_a_name_that_nothing_has_is_refused_with_what_there_is() -> None:
    history = spent(("2026-11-23T12:00", "a", "0.01"))
    with pytest.raises(InvalidInput, match="did you mean 'model'"):
        spend_report(history, SpendQuery(("modle",)), UTC)
    with pytest.raises(InvalidInput, match="no log says it; set COSTLEDGER_TAGS"):
        spend_report(history, SpendQuery(("user",)), UTC, rules=RULES)
    with pytest.raises(InvalidInput, match="the tags cost_centre, team"):
        spend_report(history, SpendQuery(where=(("tag:colour", ("red",)),)), UTC, rules=RULES)


def test_each_run_of_a_workflow_has_its_own_cost() -> None:
    store, history = MemoryStore(clock=SteppingClock()), MemoryHistory()
    for run in range(3):
        store.append([workflow_started("w"), cost_observed("w", counter=f"c{run}", cost_usd=f"{run + 1}.00")])
        store.append([workflow_ended("w", "failed")])
    refresh(store, history)
    assert {line.group: line.amounts[0] // 10**9 for line in made(history, ("run",)).lines} == {
        (1,): 1,
        (2,): 2,
        (3,): 3,
    }
