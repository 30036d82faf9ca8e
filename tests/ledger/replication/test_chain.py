"""A chain takes what extends it, and subjects carry every id."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BrokenChain, InvalidInput
from ledger.events.event import cost_observed
from ledger.events.workflow_ids import WORKFLOW_ID_PATTERN
from ledger.replication.chain import Chain
from ledger.replication.replica import PARTITIONS, partition_of
from ledger.replication.subjects import chain_of, subject_of
from ledger.storage.memory_store import MemoryStore

IDS = st.from_regex(WORKFLOW_ID_PATTERN, fullmatch=True)


def lines_of(count: int, origin: str = "a1") -> list[bytes]:
    store = MemoryStore(origin=origin)
    store.append([cost_observed("w", cost_usd=n) for n in range(count - 1)])
    return b"".join(store.read("w").raw_chunks()).splitlines(keepends=True)


@given(st.integers(2, 12), st.randoms(use_true_random=False))
def test_a_chain_is_whole_whatever_repeats_or_comes_early_as_long_as_its_order_came_once(n: int, rng: Random) -> None:
    lines, chain, taken = lines_of(n), Chain("w", "a1"), []
    for due in lines:
        sent = [*rng.choices(lines, k=rng.randrange(4)), due]
        taken += [raw for raw in sent if chain.take(raw) == "next"]
    assert taken == lines
    assert chain.head.seq == n
    assert chain.head.size == sum(map(len, lines))


def test_what_should_be_next_and_does_not_fit_has_diverged() -> None:
    lines, other = lines_of(5), lines_of(5)
    chain = Chain("w", "a1")
    assert [chain.take(raw) for raw in (lines[0], lines[2], lines[0])] == ["next", "early", "repeated"]
    for wrong in (other[1], lines[1][:-9] + b'0000000"}\n', b"no\n", b"[]\n", b'{"seq":"2"}\n'):
        with pytest.raises(BrokenChain, match=r"seq 2: .*; `costledger replicate --repair`"):
            chain.take(wrong)
    assert chain.take(lines[1]) == "next"
    with pytest.raises(BrokenChain, match="another origin"):
        Chain("w", "b2").take(lines[0])
    with pytest.raises(BrokenChain, match="not the opening line"):
        Chain("v", "a1").take(lines[0])


@given(IDS)
def test_every_workflow_id_is_one_token_and_comes_back(workflow_id: str) -> None:
    subject = subject_of(workflow_id, "0123456789abcdef")
    tokens = subject.split(".")
    assert len(tokens) == 4
    assert not set(subject) & set(" \t\r\n*>")
    assert tokens[1] == f"{partition_of(workflow_id):02}"
    assert chain_of(subject) == (workflow_id, "0123456789abcdef")


def test_partitions_never_move() -> None:
    assert [partition_of(name) for name in ("a5b80595", "w", "--skip-e2e")] == [61, 16, 46]
    counts = [0] * PARTITIONS
    for n in range(6400):
        counts[partition_of(f"workflow-{n}")] += 1
    assert min(counts) > 50
    assert max(counts) < 150


@pytest.mark.parametrize("bad", ["costledger.00.w.a1", "x.34.w.a1", "costledger.16.w", "costledger.16.w.a1.b", "", "a"])
def test_no_other_subject_is_a_chain(bad: str) -> None:
    with pytest.raises(InvalidInput):
        chain_of(bad)
    with pytest.raises(InvalidInput):
        subject_of("w", "a.b")
