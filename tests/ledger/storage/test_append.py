from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import cost_observed, workflow_ended, workflow_started
from ledger.errors import ConflictingEvent, DamagedLedger, InvalidInput, LedgerMoved
from ledger.events.event import Event
from ledger.events.runs import Runs
from ledger.storage.append import Composed, Tail, compose, drafts, find, ids_from, runs_of, tail_after, with_runs
from ledger.storage.line import ENDING_BYTES

PATH = Path("w.jsonl")
NOW = "2026-01-01T00:00:00.000000Z"
ids = st.text('ab",:{}\\\n"type"', min_size=1, max_size=12).filter(lambda text: "\n" not in text)


def composed(events: list[Event], tail: Tail, ledger: bytes = b"", expected_seq: int | None = None) -> Composed:
    batch = drafts(events)
    found = find(ledger, [draft.id for draft in batch if draft.search], PATH)
    return compose(
        batch,
        with_runs(tail, lambda: ledger),
        workflow_id="w",
        origin=lambda: "o",
        now=NOW,
        found=found,
        expected_seq=expected_seq,
        durability="none",
    )


@given(st.lists(st.lists(ids, max_size=12), max_size=3))
def test_each_id_has_one_line_and_is_found_by_its_first_receipt(batches: list[list[str]]) -> None:
    ledger, tail, receipts = b"", Tail(), dict[str, int]()
    for batch in batches:
        made = composed([cost_observed("w", agent=id, cost_usd="1", id=id) for id in batch], tail, ledger)
        ledger, tail = ledger + b"".join(made.lines), made.tail
        for receipt in made.receipts:
            assert receipts.setdefault(receipt.id, receipt.seq) == receipt.seq
    lines = [orjson.loads(line) for line in ledger.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert tail.head.size == len(ledger)
    assert sorted(line["id"] for line in lines[1:]) == sorted(receipts)
    assert {id: line["seq"] for id, line in find(ledger, list(receipts), PATH).items()} == receipts
    starts = [0, *(match.end() for match in re.finditer(b"\n", ledger))][: len(lines)]
    assert [at for _, at in ids_from(ledger, 0)] == starts
    assert find(ledger, ["absent"] * 1 + [f"absent {n}" for n in range(20)], PATH) == {}


@given(st.lists(ids, min_size=1, max_size=4), st.data())
def test_the_lines_of_others_are_followed_unless_a_byte_of_them_differs(agents: list[str], data: st.DataObject) -> None:
    first = composed([cost_observed("w", cost_usd="1")], Tail())
    others = composed([cost_observed("w", agent=agent, cost_usd="1") for agent in agents], first.tail)
    text = b"".join([*first.lines, *others.lines])[first.tail.head.size - ENDING_BYTES :]
    assert tail_after(first.tail, text, "w") == others.tail._replace(runs=None)
    assert tail_after(first.tail, text, "other") is None
    assert tail_after(first.tail, text[:ENDING_BYTES], "w") is None
    assert tail_after(first.tail, text + data.draw(st.sampled_from([b"x", b"\n", b"{}\n"])), "w") is None
    at = data.draw(st.integers(0, len(text) - 1))
    assert tail_after(first.tail, text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :], "w") is None


def test_the_lines_continue_the_chain_and_no_line_is_dated_before_the_one_above() -> None:
    first = composed([cost_observed("w", cost_usd="1")], Tail(recorded_at=""))
    later = Tail(first.tail.head, "2027-01-01T00:00:00.000000Z", first.tail.runs)
    (line,) = composed([cost_observed("w", cost_usd="2")], later, b"".join(first.lines)).lines
    assert orjson.loads(line)["recorded_at"] == "2027-01-01T00:00:00.000000Z"
    assert orjson.loads(line)["seq"] == 3


def test_an_append_at_another_position_is_refused_and_another_content_under_an_id_too() -> None:
    first = composed([cost_observed("w", cost_usd="1", id="a")], Tail())
    ledger = b"".join(first.lines)
    with pytest.raises(LedgerMoved, match="at seq 2, not at 1"):
        composed([cost_observed("w", cost_usd="1")], first.tail, ledger, expected_seq=1)
    with pytest.raises(ConflictingEvent, match="cost_usd"):
        composed([cost_observed("w", cost_usd="2", id="a")], first.tail, ledger)


def test_a_new_ledger_has_the_tags_of_the_environment_and_an_old_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLEDGER_TAGS", " user=alice, host=ci-3,team=")
    first = composed([cost_observed("w", cost_usd="1", id="a")], Tail())
    lines = list(map(orjson.loads, first.lines))
    assert [line["type"] for line in lines] == ["ledger_opened", "workflow_tagged", "cost_observed"]
    assert lines[1]["tags"] == {"user": "alice", "host": "ci-3"}
    assert [receipt.seq for receipt in first.receipts] == [3]
    assert len(composed([cost_observed("w", cost_usd="1")], first.tail, b"".join(first.lines)).lines) == 1
    for wrong, reason in (
        ("project=x", "spend has 'project' without a tag"),
        ("us er=x", "'us er' is no key of a tag"),
        ("user=ann,nonsense", "'nonsense' is no tag"),
    ):
        monkeypatch.setenv("COSTLEDGER_TAGS", wrong)
        with pytest.raises(InvalidInput, match=f"COSTLEDGER_TAGS: {reason}"):
            composed([], Tail())


def test_a_line_that_was_changed_gives_no_receipt() -> None:
    ledger = b"".join(composed([cost_observed("w", cost_usd="1", id="a")], Tail()).lines)
    with pytest.raises(DamagedLedger, match="its hash does not fit"):
        find(ledger.replace(b'"cost_usd":"1.00"', b'"cost_usd":"9.00"'), ["a"], PATH)


@given(st.lists(st.sampled_from(["start", "end"]), max_size=6))
def test_the_runs_of_a_ledger_are_those_that_its_appends_gave(kinds: list[str]) -> None:
    tail, ledger = Tail(), b""
    for kind in kinds:
        event = workflow_started("w") if kind == "start" else workflow_ended("w", "completed")
        made = composed([cost_observed("w", agent='"type":"workflow_started"', cost_usd="1"), event], tail, ledger)
        ledger, tail = ledger + b"".join(made.lines), made.tail
    assert runs_of(ledger) == (tail.runs or Runs())
    assert with_runs(Tail(tail.head), lambda: ledger).runs == (tail.runs or Runs())
