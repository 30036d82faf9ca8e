"""Codex CLI's rollouts, record by record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.importing import import_source
from ledger.sources import transcript
from ledger.sources.transcript import BEGINNING, Extract
from ledger.store import MemoryStore
from tests.ledger.transcript_lines import counted, events_of, meta, raw, turn, write

SAMPLE = Path(__file__).parent / "samples" / "codex"


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
    one, two = read(path).seen
    assert one.usage == {"input_tokens": 800, "cache_read_tokens": 200, "output_tokens": 50}
    assert two.usage == {"input_tokens": 600, "cache_read_tokens": 900, "output_tokens": 40}
    assert (one.model, two.model, one.session_id, one.line) == ("gpt-5", "gpt-5-mini", "s", 4)


def test_a_counter_that_falls_started_again_from_zero(tmp_path: Path) -> None:
    again = [counted(900, 0, 40), counted(300, 0, 7), counted(900, 0, 40)]
    seen = read(write(tmp_path / "r.jsonl", meta("s"), turn(), *again)).seen
    assert [(call.usage["input_tokens"], call.usage["output_tokens"]) for call in seen] == [
        (900, 40),
        (300, 7),
        (600, 33),
    ]
    assert len({call.message_id for call in seen}) == 3, "the same total after a restart is another call"


def test_the_same_rollout_under_another_name_has_the_same_calls(tmp_path: Path) -> None:
    lines = [meta("s"), turn(), counted(900, 0, 40)]
    one, two = (read(write(tmp_path / name / "r.jsonl", *lines)) for name in ("sessions", "archived_sessions"))
    assert one.seen == two.seen


def test_a_fork_of_a_fork_has_the_calls_of_the_first_session(tmp_path: Path) -> None:
    first, second, third = counted(10, 0, 1), counted(20, 0, 2), counted(30, 0, 3)
    root = read(write(tmp_path / "a.jsonl", meta("a"), turn(), first))
    child = read(write(tmp_path / "b.jsonl", meta("b", parent="a"), meta("a"), turn(), first, second))
    grandchild = read(
        write(
            tmp_path / "c.jsonl", meta("c", parent="b"), meta("b", parent="a"), meta("a"), turn(), first, second, third
        )
    )
    ids = [[call.message_id for call in extract.seen] for extract in (root, child, grandchild)]
    assert ids[1][:1] == ids[0]
    assert ids[2][:2] == ids[1]
    assert {call.session_id for call in grandchild.seen} == {"c"}


def test_a_fork_that_copied_only_its_parents_last_turn_does_not_count_what_came_before(tmp_path: Path) -> None:
    child = [meta("c", parent="p"), turn(), counted(5000, 0, 400, last=(100, 0, 9)), counted(5200, 0, 450)]
    seen = read(write(tmp_path / "c.jsonl", *child)).seen
    assert [call.usage["input_tokens"] for call in seen] == [100, 200]
    own = read(write(tmp_path / "own.jsonl", meta("s"), turn(), counted(5000, 0, 400, last=(100, 0, 9)))).seen
    assert [call.usage["input_tokens"] for call in own] == [5000]


def test_a_sub_agents_thread_belongs_to_its_session_and_has_a_name(tmp_path: Path) -> None:
    spawned = {"subagent": {"thread_spawn": {"parent_thread_id": "s"}}}
    named = meta("t", session_id="s", source=spawned, agent_nickname="Scout")
    older = meta("u", parent_thread_id="s", source={"subagent": "review"})
    for line, agent in ((named, "Scout"), (older, "u")):
        (call,) = read(write(tmp_path / "r.jsonl", line, turn(), counted(9, 0, 9))).seen
        assert (call.session_id, call.agent) == ("s", agent)


def test_a_service_tier_of_the_thread_is_kept(tmp_path: Path) -> None:
    def applied(tier: str) -> dict[str, object]:
        return {
            "type": "event_msg",
            "payload": {"type": "thread_settings_applied", "thread_settings": {"service_tier": tier}},
        }

    lines = [meta("s"), turn(), applied("priority"), counted(9, 0, 9), applied("default"), counted(19, 0, 19)]
    assert [call.service_tier for call in read(write(tmp_path / "r.jsonl", *lines)).seen] == ["priority", None]


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
    (call,) = extract.seen
    assert (call.model, call.usage["output_tokens"]) == (None, 12)


def test_default_places_and_the_folders_of_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    assert transcript("codex").places() == []
    write(tmp_path / "history.jsonl", {"text": "x"})
    kept = [write(tmp_path / "archived_sessions" / "a.jsonl", meta("a"))]
    kept += [write(tmp_path / "sessions" / "2026" / "08" / "01" / "b.jsonl", meta("b"))]
    assert transcript("codex").places() == [tmp_path]
    assert transcript("codex").files(tmp_path) == kept
    assert transcript("codex").identify(tmp_path)
    assert not transcript("claude").identify(tmp_path)
