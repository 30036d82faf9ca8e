"""Codex CLI's rollouts, record by record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.importer import import_source
from ledger.sources import transcript
from ledger.sources.transcript import BEGINNING, Extract
from ledger.storage.memory_store import MemoryStore
from projections.replay.refresh import project
from tests.ledger.transcript_lines import counted, events_of, meta, raw, read_at, recorded, tokens, turn, write

SAMPLE = Path(__file__).parents[1] / "samples" / "codex"


def read(path: Path) -> Extract:
    return transcript("codex").read(path, BEGINNING)


def test_the_sample_gives_exactly_its_events() -> None:
    store = MemoryStore()
    import_source(store, "codex", SAMPLE)
    assert events_of(store) == json.loads((SAMPLE / "events.json").read_text())


def test_a_call_is_what_the_total_grew_by(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.jsonl",
        meta("s"),
        turn("gpt-5"),
        counted(),
        counted(1000, 200, 50, 10),
        counted(1000, 200, 50, 10),
        turn("gpt-5-mini"),
        counted(2500, 1100, 90, 20),
    )
    one, two = read(path).messages
    assert one.usage == {"input_tokens": 800, "cache_read_tokens": 200, "output_tokens": 50}
    assert two.usage == {"input_tokens": 600, "cache_read_tokens": 900, "output_tokens": 40}
    assert (one.model, two.model, one.session_id, one.line) == ("gpt-5", "gpt-5-mini", "s", 4)


def test_a_counter_that_falls_started_again_from_zero(tmp_path: Path) -> None:
    again = [counted(900, 0, 40), counted(300, 0, 7), counted(900, 0, 40)]
    calls = read(write(tmp_path / "r.jsonl", meta("s"), turn(), *again)).messages
    assert [(call.usage["input_tokens"], call.usage["output_tokens"]) for call in calls] == [
        (900, 40),
        (300, 7),
        (600, 33),
    ]
    assert len({call.message_id for call in calls}) == 3, "the same total after a restart is another call"


def test_counters_that_take_turns_are_two_and_a_total_that_was_read_before_is_a_repeat(tmp_path: Path) -> None:
    one = [tokens(900, 0, 40), tokens(1900, 800, 60)]
    other = [tokens(300, 0, 7), tokens(700, 250, 17)]
    first, second = tokens(1000, 800, 20), tokens(400, 250, 10)
    lines = [
        read_at(one[0], one[0]),
        read_at(other[0], other[0]),
        read_at(one[0], one[0]),
        read_at(one[1], first),
        read_at(other[1], second),
        counted(),
        read_at(one[1], first),
        read_at(other[1], second),
    ]
    calls = read(write(tmp_path / "r.jsonl", meta("s"), turn(), *lines)).messages
    assert [call.usage["output_tokens"] for call in calls] == [40, 7, 20, 10]
    assert sum(call.usage.get("cache_read_tokens", 0) for call in calls) == 800 + 250


def test_a_counter_that_begins_higher_than_another_stands_is_one_of_its_own(tmp_path: Path) -> None:
    lines = [read_at(tokens(3000), tokens(3000)), read_at(tokens(10000), tokens(10000))]
    calls = read(write(tmp_path / "r.jsonl", meta("s"), turn(), *lines)).messages
    assert [call.usage["input_tokens"] for call in calls] == [3000, 10000]


def test_a_reading_that_was_lost_shows_in_the_next_one(tmp_path: Path) -> None:
    lines = [read_at(tokens(1000), tokens(1000)), read_at(tokens(5000), tokens(1500))]
    calls = read(write(tmp_path / "r.jsonl", meta("s"), turn(), *lines)).messages
    assert [call.usage["input_tokens"] for call in calls] == [1000, 4000]


def test_a_record_of_a_response_is_a_call_and_the_reading_that_repeats_it_is_none(tmp_path: Path) -> None:
    first, last = tokens(7542, 3584, 340, 72, writes=1979), tokens(17596, 8320, 352, 117, writes=4638)
    total = {name: first[name] + last[name] for name in first}
    lines = [recorded("resp_1", first, first), read_at(first, first), recorded("resp_2", total, last)]
    extract = read(write(tmp_path / "r.jsonl", meta("s"), turn(), *lines, read_at(total, last)))
    assert extract.skipped == [], "records are supported"
    assert [call.usage for call in extract.messages] == [
        {"input_tokens": 1979, "cache_write_tokens": 1979, "cache_read_tokens": 3584, "output_tokens": 340},
        {"input_tokens": 4638, "cache_write_tokens": 4638, "cache_read_tokens": 8320, "output_tokens": 352},
    ]
    without = read(write(tmp_path / "w.jsonl", meta("s"), turn(), read_at(first, first), read_at(total, last)))
    assert [call.message_id for call in without.messages] == [call.message_id for call in extract.messages]
    turned = [read_at(first, first), recorded("resp_1", first, first), *lines[2:]]
    assert len(read(write(tmp_path / "t.jsonl", meta("s"), turn(), *turned)).messages) == 2, (
        "whichever line comes first"
    )


def test_two_responses_that_used_the_same_are_two_calls(tmp_path: Path) -> None:
    used = tokens(100, 0, 5)
    lines = [recorded("resp_1", used, used), read_at(used, used), recorded("resp_2", used, used), read_at(used, used)]
    lines += [lines[0]]
    calls = read(write(tmp_path / "r.jsonl", meta("s"), turn(), *lines)).messages
    assert len({call.message_id for call in calls}) == len(calls) == 2


def test_a_record_of_an_unknown_shape_is_reported(tmp_path: Path) -> None:
    line = recorded("resp_1", tokens(100), {"tokens_in": 100})
    (skipped,) = read(write(tmp_path / "r.jsonl", meta("s"), turn(), line)).skipped
    assert "it looks like usage, in a shape that this version does not know" in skipped.reason


def test_a_fork_that_repeats_nothing_goes_on_from_its_parents_counter(tmp_path: Path) -> None:
    total, last = tokens(45666, 30464, 2518), tokens(9828, 4736, 541)
    spawned = {"subagent": {"thread_spawn": {"parent_thread_id": "p"}}}
    children: list[dict[str, Any]] = [{"parent": "p"}, {"source": spawned, "session_id": "p"}]
    for more in children:
        calls = read(write(tmp_path / "r.jsonl", meta("c", **more), turn(), read_at(total, last))).messages
        assert [call.usage["output_tokens"] for call in calls] == [541]
        lines = [meta("c", **more), turn(), recorded("r", total, last, "c"), read_at(total, last)]
        calls = read(write(tmp_path / "r.jsonl", *lines)).messages
        assert [call.usage["output_tokens"] for call in calls] == [541]


def test_a_sub_agent_that_repeats_its_parents_lines_repeats_its_calls(tmp_path: Path) -> None:
    spawned = {"subagent": {"thread_spawn": {"parent_thread_id": "p"}}}
    first, second = read_at(tokens(900), tokens(900)), read_at(tokens(1200), tokens(300))
    parent = read(write(tmp_path / "p.jsonl", meta("p"), turn(), first))
    child = read(write(tmp_path / "c.jsonl", meta("c", source=spawned), meta("p"), turn(), first, second))
    assert child.messages[0].message_id == parent.messages[0].message_id
    assert len(child.messages) == 2


def test_forks_whose_parents_file_is_missing_share_their_beginning(tmp_path: Path) -> None:
    shared, one, other = read_at(tokens(900), tokens(900)), tokens(1000), tokens(1300)
    a = write(tmp_path / "a.jsonl", meta("a", parent="gone"), turn(), shared, read_at(one, tokens(100)))
    b = write(tmp_path / "b.jsonl", meta("b", parent="gone"), turn(), shared, read_at(other, tokens(400)))
    for order in ([tmp_path], [a, b], [b, a]):
        store = MemoryStore()
        for path in order:
            import_source(store, "codex", path)
        rows = [project(store, workflow_id).row for workflow_id in store.workflow_ids()]
        assert sum(row.input_tokens for row in rows) == 900 + 100 + 400


def test_a_tier_that_was_only_asked_for_is_a_lower_bound(tmp_path: Path) -> None:
    def cost(tier: str | None) -> tuple[int, str | None]:
        settings = {"model": "gpt-5"} | ({"service_tier": tier} if tier else {})
        applied = {"type": "event_msg", "payload": {"type": "thread_settings_applied", "thread_settings": settings}}
        used, store = tokens(15682, 13696, 230), MemoryStore()
        record = recorded("resp_1", used, used) | {"timestamp": "2026-11-28T19:15:27.805Z"}
        lines = [turn("gpt-5"), applied, record, read_at(used, used)]
        import_source(store, "codex", write(tmp_path / "r.jsonl", meta("s"), *lines))
        row = project(store, "s").row
        return row.actual_cost_nanousd, row.cost_basis

    assert cost(None) == cost("default") == (6_494_500, "priced")
    assert cost("priority") == cost("fast") == (6_494_500, "partial"), "it may have cost twice as much, or not"
    assert cost("flex") == (3_247_250, "partial"), "left out of the request, it cost twice as much"
    assert cost("a-tier-to-come") == (0, "partial")


def test_the_same_rollout_under_another_name_has_the_same_calls(tmp_path: Path) -> None:
    lines = [meta("s"), turn(), counted(900, 0, 40)]
    one, two = (read(write(tmp_path / name / "r.jsonl", *lines)) for name in ("sessions", "archived_sessions"))
    assert one.messages == two.messages


def test_a_fork_of_a_fork_has_the_calls_of_the_first_session(tmp_path: Path) -> None:
    first, second, third = counted(10, 0, 1), counted(20, 0, 2), counted(30, 0, 3)
    root = read(write(tmp_path / "a.jsonl", meta("a"), turn(), first))
    child = read(write(tmp_path / "b.jsonl", meta("b", parent="a"), meta("a"), turn(), first, second))
    grandchild = read(
        write(
            tmp_path / "c.jsonl", meta("c", parent="b"), meta("b", parent="a"), meta("a"), turn(), first, second, third
        )
    )
    ids = [[call.message_id for call in extract.messages] for extract in (root, child, grandchild)]
    assert ids[1][:1] == ids[0]
    assert ids[2][:2] == ids[1]
    assert {call.session_id for call in grandchild.messages} == {"c"}


def test_a_fork_that_copied_only_its_parents_last_turn_does_not_count_what_came_before(tmp_path: Path) -> None:
    child = [meta("c", parent="p"), turn(), counted(5000, 0, 400, last=(100, 0, 9)), counted(5200, 0, 450)]
    calls = read(write(tmp_path / "c.jsonl", *child)).messages
    assert [call.usage["input_tokens"] for call in calls] == [100, 200]
    own = read(write(tmp_path / "own.jsonl", meta("s"), turn(), counted(5000, 0, 400, last=(100, 0, 9)))).messages
    assert [call.usage["input_tokens"] for call in own] == [5000]


def test_a_sub_agents_thread_is_a_session_that_works_for_another_and_has_a_name(tmp_path: Path) -> None:
    spawned = {"subagent": {"thread_spawn": {"parent_thread_id": "s"}}}
    named = meta("t", session_id="s", source=spawned, agent_nickname="Scout")
    older = meta("u", parent_thread_id="s", source={"subagent": "review"})
    for line, thread, agent in ((named, "t", "Scout"), (older, "u", "u")):
        (call,) = read(write(tmp_path / "r.jsonl", line, turn(), counted(9, 0, 9))).messages
        assert (call.session_id, call.root, call.subagent) == (thread, "s", agent)


def test_a_service_tier_of_the_thread_is_kept(tmp_path: Path) -> None:
    def applied(tier: str) -> dict[str, object]:
        return {
            "type": "event_msg",
            "payload": {"type": "thread_settings_applied", "thread_settings": {"service_tier": tier}},
        }

    lines = [meta("s"), turn(), applied("priority"), counted(9, 0, 9), applied("default"), counted(19, 0, 19)]
    assert [call.service_tier for call in read(write(tmp_path / "r.jsonl", *lines)).messages] == ["priority", None]


def test_bad_records_are_told_with_their_line_and_the_rest_is_read(tmp_path: Path) -> None:
    odd = counted(5, 0, 5)
    odd["payload"]["info"]["total_token_usage"]["output_tokens"] = "many"
    path = write(
        tmp_path / "r.jsonl",
        counted(5, 0, 5),
        {"type": "session_meta", "payload": {"timestamp": "x"}},
        meta("s"),
        {"type": "turn_context", "payload": 7},
        {"type": "event_msg", "payload": {"type": "token_count", "info": {"total_token_usage": None}}},
        odd,
        {"type": "a_type_of_the_future", "payload": {"token_count": 1}},
        raw(counted(7, 0, 7))[:40] + b"\n",
        counted(17, 9, 17, 3),
    )
    extract = read(path)
    assert sorted(skipped.line or 0 for skipped in extract.skipped) == [1, 2, 6, 8]
    (call,) = extract.messages
    assert (call.model, call.usage["output_tokens"]) == (None, 12)


def test_default_places_and_the_folders_of_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    assert transcript("codex").existing_folders() == []
    write(tmp_path / "history.jsonl", {"text": "x"})
    files = [write(tmp_path / "archived_sessions" / "a.jsonl", meta("a"))]
    files += [write(tmp_path / "sessions" / "2026" / "08" / "01" / "b.jsonl", meta("b"))]
    assert transcript("codex").existing_folders() == [tmp_path]
    assert transcript("codex").files(tmp_path) == files
    assert transcript("codex").identify(tmp_path)
    assert not transcript("claude").identify(tmp_path)


def searched(kind: str = "search", **more: Any) -> dict[str, Any]:
    """A web search, or the opening of a page, as a version with an id writes it and as one without."""
    payload = {"type": "web_search_call", "status": "completed", "action": {"type": kind}, **more}
    return {"type": "response_item", "timestamp": "2026-08-01T08:00:01.000Z", "payload": payload}


def test_a_web_search_costs_its_fee_once_before_or_after_its_tokens_and_in_a_fork(tmp_path: Path) -> None:
    parent = [turn(), searched(id="ws_1"), counted(1000), searched("open_page"), searched()]
    write(tmp_path / "codex" / "parent.jsonl", meta("s", cli_version="0.171.0"), *parent)
    copied = [meta("fork", 5, parent="s", cli_version="0.171.0"), meta("s"), *parent, searched(), counted(1800)]
    write(tmp_path / "codex" / "fork.jsonl", *copied)
    store = MemoryStore()
    import_source(store, "codex", tmp_path / "codex")
    rows = [project(store, id).row for id in sorted(store.workflow_ids())]
    assert sum(row.actual_cost_nanousd for row in rows) == 1800 * 1250 + 3 * 10_000_000
    assert {row.cost_basis for row in rows} == {"priced"}


@pytest.mark.parametrize(("version", "basis"), [("0.58.0", "partial"), ("0.63.0", "priced"), (None, "priced")])
def test_versions_without_a_trace_of_web_searches_are_lower_bounds(
    tmp_path: Path, version: str | None, basis: str
) -> None:
    store = MemoryStore()
    named: dict[str, Any] = {} if version is None else {"cli_version": version}
    lines = [meta("s", **named), turn(), counted(1000)]
    import_source(store, "codex", write(tmp_path / "r.jsonl", *lines))
    assert project(store, "s").row.cost_basis == basis
