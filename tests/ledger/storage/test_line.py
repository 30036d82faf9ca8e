"""The position of the hash in a line, as one module knows it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.events.event import cost_observed
from ledger.storage.line import (
    ENDING_BYTES,
    body_of,
    chain_hash,
    ending_of,
    following,
    hash_of,
    possible_ends,
    problem_of,
)
from ledger.storage.memory_store import MemoryStore

names = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1, max_size=40)


@given(st.lists(names, min_size=1, max_size=5))
def test_a_line_is_its_body_and_its_ending_and_follows_the_line_before(agents: list[str]) -> None:
    store = MemoryStore()
    receipts = store.append([cost_observed("w", cost_usd=1, agent=agent) for agent in agents])
    first, *lines = store.read("w").raw_lines()
    before = ending_of(first)
    for raw, receipt in zip(lines, receipts, strict=True):
        assert body_of(raw) + ending_of(raw) == raw
        assert hash_of(raw) == receipt.hash == chain_hash(before, body_of(raw))
        assert ending_of(raw) == following(receipt.hash)
        assert len(ending_of(raw)) == ENDING_BYTES
        assert problem_of(raw, before, "w") is None
        before = ending_of(raw)


@given(st.lists(names, min_size=1, max_size=4), st.binary(max_size=80))
def test_the_end_of_a_whole_line_is_found_before_any_other_bytes(agents: list[str], more: bytes) -> None:
    store = MemoryStore()
    store.append([cost_observed("w", cost_usd=1, agent=agent) for agent in agents])
    for raw in store.read("w").raw_lines():
        whole = raw.removesuffix(b"\n")
        assert len(whole) in possible_ends(whole + more, 0, len(whole + more))
        assert [*possible_ends(whole[:-1], 0, len(whole) - 1)] == []


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_have_a_problem_and_no_error(raw: bytes) -> None:
    assert problem_of(raw, b"", "w") is not None
    assert isinstance(hash_of(raw), str)
