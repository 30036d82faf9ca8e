"""Invariant 6: no byte before the head can change unseen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import DamagedLedger
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.line import LINE_BYTES_MAX, Head
from ledger.storage.memory_store import MemoryStore
from ledger.storage.reader import LedgerReader
from tests.conftest import SteppingClock


def sample() -> bytes:
    store = MemoryStore(clock=SteppingClock())
    store.append([workflow_started("w", issue_number=17)])
    for number in range(4):
        store.append([cost_observed("w", agent=f"agent-{number}", cost_usd=f"0.{number}1", id=f"é{number}")])
    store.append([workflow_ended("w", "completed")])
    return b"".join(store.read("w").raw_chunks())


RAW = sample()
LINES = RAW.splitlines(keepends=True)


def read(raw: bytes, *, start: Head | None = None) -> LedgerReader:
    path = Path("w.jsonl")
    if start is None:
        return LedgerReader("w", path, lambda at, count: raw[at : at + count], len(raw))
    return LedgerReader("w", path, lambda at, count: raw[at : at + count], len(raw), start=start)


def whole_before_the_last_newline(raw: bytes) -> bytes:
    return raw[: raw.rfind(b"\n") + 1]


def test_every_single_flipped_byte_is_detected() -> None:
    for at in range(len(RAW)):
        for flip in (0x01, 0x20, 0x80):
            damaged = RAW[:at] + bytes([RAW[at] ^ flip]) + RAW[at + 1 :]
            try:
                head = list(read(damaged))[-1]["seq"]
            except DamagedLedger as error:
                assert 0 <= error.byte <= at
                assert error.line <= RAW[:at].count(b"\n") + 1
            else:
                assert at == len(RAW) - 1, f"byte {at} ^ {flip:#x} was not seen"
                assert head == len(LINES) - 1  # the last newline alone: that line was cut, the writer mends it


def test_every_single_removed_or_doubled_byte_is_detected() -> None:
    for at in range(len(RAW) - 1):
        for damaged in (RAW[:at] + RAW[at + 1 :], RAW[: at + 1] + RAW[at:]):
            with pytest.raises(DamagedLedger):
                list(read(damaged))


def test_every_swapped_dropped_or_repeated_line_is_detected() -> None:
    for one in range(len(LINES)):
        for other in range(one + 1, len(LINES)):
            swapped = list(LINES)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            with pytest.raises(DamagedLedger):
                list(read(b"".join(swapped)))
        repeated = [*LINES[: one + 1], *LINES[one:]]
        with pytest.raises(DamagedLedger):
            list(read(b"".join(repeated)))
        if one < len(LINES) - 1:
            with pytest.raises(DamagedLedger):
                list(read(b"".join(LINES[:one] + LINES[one + 1 :])))


@given(st.integers(0, len(RAW)))
def test_a_cut_ledger_reads_to_its_last_whole_line_and_says_what_is_torn(size: int) -> None:
    reader = read(RAW[:size])
    lines = list(reader)
    assert len(lines) == RAW[:size].count(b"\n")
    assert reader.torn_bytes == size - len(whole_before_the_last_newline(RAW[:size]))


@given(st.integers(1, len(LINES)), st.integers(0, len(RAW)))
def test_below_a_checkpoint_the_loss_of_the_head_is_detected_too(seq: int, size: int) -> None:
    full = read(RAW)
    head = next(full.head for _ in full if full.head.seq == seq)
    if size < head.size:
        with pytest.raises(DamagedLedger, match="was cut"):
            read(RAW[:size], start=head)
    else:
        rest = read(RAW[:size], start=head)
        assert [line["seq"] for line in rest] == list(range(seq + 1, RAW[:size].count(b"\n") + 1))


def test_another_line_at_the_checkpoint_is_detected() -> None:
    with pytest.raises(DamagedLedger, match="was rewritten"):
        read(RAW, start=Head(2, len(LINES[0]) + len(LINES[1]), "0" * 64))


def test_a_ledger_under_another_name_is_detected() -> None:
    reader = LedgerReader("other", Path("other.jsonl"), lambda at, count: RAW[at : at + count], len(RAW))
    with pytest.raises(DamagedLedger, match="opening line of ledger 'other'"):
        list(reader)


@pytest.mark.parametrize("tail", [b"\0" * 3_000_000, b'{"v":1' + b"\0" * 2_000_000, b"x" * 100])
def test_a_torn_tail_of_any_length_is_not_read(tail: bytes) -> None:
    reader = read(RAW + tail)
    assert len(list(reader)) == len(LINES)
    assert reader.torn_bytes == len(tail)


@pytest.mark.parametrize("tail", [b"x" * (LINE_BYTES_MAX + 1), b"\0" * 3_000_000 + b"x", b"x" * 50_000_000])
def test_more_bytes_than_a_line_can_have_are_damage(tail: bytes) -> None:
    with pytest.raises(DamagedLedger):
        list(read(RAW + tail))
