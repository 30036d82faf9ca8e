"""What every `LedgerStore` promises, run over each adapter, and as a state machine against a plain model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger.errors import (
    ConflictingEvent,
    DamagedLedger,
    InvalidEvent,
    InvalidInput,
    InvalidWorkflowId,
    LedgerMoved,
    UnknownWorkflow,
)
from ledger.events.event import cost_observed, event, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import Head
from ledger.storage.memory_store import MemoryStore
from ledger.storage.store import LedgerStore
from tests.conftest import SteppingClock

Make = Callable[[], LedgerStore]


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LedgerStore:
    return MemoryStore() if request.param == "memory" else DirectoryStore(tmp_path / "data")


def lines(store: LedgerStore, workflow_id: str = "w") -> list[dict[str, Any]]:
    return list(store.read(workflow_id))


def test_the_first_append_opens_the_ledger_and_names_its_origin(store: LedgerStore) -> None:
    assert store.size("w") is None
    assert list(store.workflow_ids()) == []
    receipt = store.append([cost_observed("w", cost_usd="0.09")])[0]
    assert (receipt.seq, receipt.duplicate) == (2, False)
    first, second = lines(store)
    assert (first["type"], first["format"], first["origin"]) == ("ledger_opened", 1, store.origin)
    assert second["hash"] == receipt.hash
    assert second["id"] == receipt.id
    assert list(store.workflow_ids()) == ["w"]
    assert store.size("w") == len(b"".join(store.read("w").raw_chunks()))


def test_the_head_after_an_append_is_the_one_that_is_read(store: LedgerStore) -> None:
    first = store.append([cost_observed("w", cost_usd="0.09"), cost_observed("w", cost_usd="0.10")])
    reader = store.read("w")
    assert len(list(reader)) == 3
    assert store.head_after(first[-1]) == reader.head
    assert store.head_after(first[0]) is None
    store.append([cost_observed("w", cost_usd="0.11")])
    assert store.head_after(first[-1]) is None


def test_the_same_id_again_gives_the_first_receipt(store: LedgerStore) -> None:
    first = store.append([cost_observed("w", cost_usd="0.09", id="a", agent="plan")])[0]
    store.append([cost_observed("w", cost_usd="0.10", id="b")])
    again = store.append([cost_observed("w", cost_usd="0.09", id="a", agent="plan")])[0]
    assert (again.seq, again.hash, again.duplicate) == (first.seq, first.hash, True)
    assert len(lines(store)) == 3


def test_the_same_id_with_other_content_is_refused_and_the_fields_named(store: LedgerStore) -> None:
    store.append([cost_observed("w", cost_usd="0.09", id="a", agent="plan")])
    with pytest.raises(ConflictingEvent) as caught:
        store.append([cost_observed("w", cost_usd="2.37", id="a", agent="build"), cost_observed("w", cost_usd=1)])
    assert set(caught.value.fields) == {"cost_usd", "agent"}
    assert len(lines(store)) == 2


def test_the_place_it_was_read_from_and_a_derived_price_do_not_make_a_conflict(store: LedgerStore) -> None:
    fields = {"type": "cost_observed", "workflow_id": "w", "id": "a", "model": "m", "usage": {"output_tokens": 1}}
    price = {"cost_usd": "1.00", "cost_source": "priced", "price_book": "b 1"}
    store.append([event(fields | price | {"source": {"kind": "k", "file": "a", "line": 1}}, derived=frozenset(price))])
    dearer = price | {"cost_usd": "2.00", "price_book": "b 2"}
    again = event(fields | dearer | {"source": {"kind": "k", "file": "b", "line": 9}}, derived=frozenset(price))
    assert store.append([again])[0].duplicate
    assert store.append([event(fields)])[0].duplicate


def test_an_id_repeated_within_one_append_counts_once(store: LedgerStore) -> None:
    one, two = store.append([cost_observed("w", cost_usd=1, id="a"), cost_observed("w", cost_usd=1, id="a")])
    assert (one.seq, one.duplicate) == (two.seq, False)
    assert two.duplicate
    with pytest.raises(ConflictingEvent):
        store.append([cost_observed("w", cost_usd=1, id="b"), cost_observed("w", cost_usd=2, id="b")])
    assert len(lines(store)) == 2


@pytest.mark.parametrize("count", [3, 40])
def test_ids_of_every_spelling_are_found_again(store: LedgerStore, count: int) -> None:
    ids = [f'"id":"{n}' + 'é\\"😀,"id":"' for n in range(count)]
    store.append([cost_observed("w", cost_usd=1, id=id, agent=ids[0]) for id in ids])
    assert all(r.duplicate for r in store.append([cost_observed("w", cost_usd=1, id=id) for id in ids]))


def test_an_append_can_be_made_conditional(store: LedgerStore) -> None:
    store.append([cost_observed("w", cost_usd=1)], expected_seq=0)
    with pytest.raises(LedgerMoved) as caught:
        store.append([cost_observed("w", cost_usd=1)], expected_seq=0)
    assert caught.value.actual_seq == 2
    assert store.append([cost_observed("w", cost_usd=1)], expected_seq=2)[0].seq == 3


def test_all_or_none_and_never_two_workflows(store: LedgerStore) -> None:
    assert store.append([]) == []
    with pytest.raises(InvalidInput, match="one workflow"):
        store.append([cost_observed("w", cost_usd=1), cost_observed("v", cost_usd=1)])
    long = event({"type": "cost_observed", "workflow_id": "w", "cost_usd": "1.00", "note": "x" * 300_000})
    with pytest.raises(InvalidEvent, match="262,144 bytes"):
        store.append([cost_observed("w", cost_usd=1), long])
    with pytest.raises(InvalidEvent, match="not plain JSON"):
        store.append([event({"type": "workflow_started", "workflow_id": "w", "x": {"y": "\ud800"}})])
    assert list(store.workflow_ids()) == []


def test_starts_and_ends_get_their_run(store: LedgerStore) -> None:
    def append(*kinds: str) -> None:
        for kind in kinds:
            start = workflow_started("w") if kind == "started" else workflow_ended("w", kind)
            store.append([start])

    append("started", "started", "failed", "completed", "started", "started", "cancelled")
    assert [line.get("run") for line in lines(store)] == [None, 1, 1, 1, 1, 2, 2, 2]
    store.append([workflow_started("w", run=7)])
    append("completed", "started")
    assert [line["run"] for line in lines(store)[8:]] == [7, 7, 8]


def test_a_clock_that_jumps_back_never_dates_a_line_before_the_one_above(tmp_path: Path) -> None:
    clock = SteppingClock()
    for store in (MemoryStore(clock=clock), DirectoryStore(tmp_path, clock=clock)):
        store.append([cost_observed("w", cost_usd=1)])
        clock.moment = clock.moment.replace(year=2001)
        store.append([cost_observed("w", cost_usd=2)])
        times = [line["recorded_at"] for line in store.read("w")]
        assert times == sorted(times)
        clock.moment = clock.moment.replace(year=2026)


def test_unknown_fields_come_back_as_they_went_in(store: LedgerStore) -> None:
    extra = {"sprint": {"name": "héllo", "n": [1, None, 2.5, 2**63]}}
    store.append([event({"type": "workflow_started", "workflow_id": "w"} | extra)])
    assert lines(store)[1]["sprint"] == extra["sprint"]


def test_reading_on_from_a_head_gives_only_what_came_after(store: LedgerStore) -> None:
    store.append([cost_observed("w", cost_usd="0.09")])
    reader = store.read("w")
    list(reader)
    store.append([cost_observed("w", cost_usd="0.10"), cost_observed("w", cost_usd="0.11")])
    later = store.read("w", start=reader.head)
    assert [line["seq"] for line in later] == [3, 4]
    assert later.head == Head(4, store.size("w") or 0, lines(store)[-1]["hash"])
    with pytest.raises(DamagedLedger, match="was rewritten"):
        store.read("w", start=Head(reader.head.seq, reader.head.size, "0" * 64))


def test_reading_below_a_checkpoint_that_does_not_fit_is_refused(store: LedgerStore) -> None:
    store.append([cost_observed("w", cost_usd=1)])
    reader = store.read("w")
    list(reader)
    store.append([cost_observed("w", cost_usd=2)])
    assert len(list(store.read("w", checkpoint=reader.head))) == 3
    with pytest.raises(DamagedLedger, match="was rewritten"):
        store.read("w", checkpoint=Head(reader.head.seq, reader.head.size, "0" * 64))
    with pytest.raises(DamagedLedger, match="was cut"):
        store.read("w", checkpoint=Head(9, reader.head.size + 100_000, "0" * 64))


def test_what_is_not_there_is_unknown_and_a_hostile_id_never_a_path(store: LedgerStore) -> None:
    with pytest.raises(UnknownWorkflow, match="no workflow 'w'"):
        store.read("w")
    for hostile in ("../x", "", "a/b"):
        with pytest.raises(InvalidWorkflowId):
            store.read(hostile)
        with pytest.raises(InvalidWorkflowId):
            store.size(hostile)


IDS = st.sampled_from(["a", "b", "c", None])
COSTS = st.integers(0, 5)
WORKFLOWS = st.sampled_from(["v", "w"])


class StoreMachine(RuleBasedStateMachine):
    """Appends, repetitions, torn tails and reopened stores, against a dict of lists."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryStore()
        self.model: dict[str, list[tuple[str | None, str]]] = {}
        self.reopen()

    @rule()
    def reopen(self) -> None:
        self.store = DirectoryStore(self.folder.name, durability="none")

    @rule(workflow_id=WORKFLOWS, batch=st.lists(st.tuples(IDS, COSTS), min_size=1, max_size=4))
    def append(self, workflow_id: str, batch: list[tuple[str | None, int]]) -> None:
        expected = self.model.get(workflow_id, [])
        new, conflict = list(expected), False
        for id, cost in batch:
            known = next((text for known_id, text in new if id is not None and known_id == id), None)
            conflict |= known is not None and known != f"{cost}.00"
            if known is None:
                new.append((id, f"{cost}.00"))
        events = [cost_observed(workflow_id, cost_usd=cost, id=id) for id, cost in batch]
        for store in (self.store, self.memory):
            if conflict:
                with pytest.raises(ConflictingEvent):
                    store.append(events)
            else:
                assert len(store.append(events)) == len(batch)
        if not conflict:
            self.model[workflow_id] = new

    @rule(workflow_id=WORKFLOWS, tail=st.sampled_from([b"\0" * 9, b"{", b'{"v":1,"seq":2,"id":"a","type":', b"x\0\0"]))
    def tear(self, workflow_id: str, tail: bytes) -> None:
        path = self.store.ledger_path(workflow_id)
        if path.exists():
            with path.open("ab") as file:
                file.write(tail)

    @rule(workflow_id=WORKFLOWS)
    def lose_the_last_newline(self, workflow_id: str) -> None:
        path = self.store.ledger_path(workflow_id)
        if path.exists() and path.read_bytes().endswith(b"\n"):
            path.write_bytes(path.read_bytes()[:-1])
            self.reopen()
            self.append(workflow_id, [(None, 1)])

    @invariant()
    def both_hold_what_the_model_says(self) -> None:
        for workflow_id, expected in self.model.items():
            for store in (self.store, self.memory):
                read = [line for line in store.read(workflow_id) if line["type"] == "cost_observed"]
                assert [line["cost_usd"] for line in read] == [text for _, text in expected]
                assert all(line["id"] == id for line, (id, _) in zip(read, expected, strict=True) if id is not None)
        assert list(self.memory.workflow_ids()) == sorted(self.model)

    def teardown(self) -> None:
        self.folder.cleanup()


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestStoreMachine = StoreMachine.TestCase
