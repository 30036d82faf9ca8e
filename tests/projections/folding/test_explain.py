from __future__ import annotations

import os
import tracemalloc
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.events.event import Line, cost_observed
from ledger.events.typed_line import TypedLine, typed
from ledger.storage.directory_store import DirectoryStore
from projections.cli.app import cli
from projections.folding.explain import steps
from tests.projections.lines import ended, events, folded, numbered, reading, started


def in_chunks(lines: Iterable[Line], size: int = 1) -> Iterator[list[TypedLine]]:
    """Lines as a ledger's reader yields them, so many at a time."""
    rest = map(typed, lines)
    while chunk := list(islice(rest, size)):
        yield chunk


@given(events)
def test_the_steps_lead_without_a_gap_from_nothing_to_the_total(sequence: list[dict[str, Any]]) -> None:
    moved = list(steps(in_chunks(numbered(sequence))))
    figures = [None, *(step.to_nanousd for step in moved)]
    assert [step.from_nanousd for step in moved] == figures[:-1]
    assert (figures[-1] or 0) == folded(*sequence).cost_nanousd
    assert all(step.from_nanousd != step.to_nanousd and step.why for step in moved)


@given(events, st.integers(1, 5), st.integers(1, 8))
def test_pages_of_any_size_have_every_step_once(sequence: list[dict[str, Any]], limit: int, size: int) -> None:
    lines, paged, after = numbered(sequence), [], 0
    while page := list(islice(steps(in_chunks(lines, size), after=after), limit)):
        paged += page
        after = page[-1].seq
    assert paged == list(steps(in_chunks(lines)))


def test_memory_does_not_grow_with_the_steps() -> None:
    def rising(count: int) -> Iterator[Line]:
        for number in range(1, count + 1):
            yield numbered([reading(f"{number}.00", agent="plan")])[0] | {"seq": number}

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        try:
            (last,) = deque(steps(in_chunks(rising(count))), maxlen=1)
            assert last.to_nanousd == count * 10**9
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(100)  # what is made once
    few, many = peak_bytes(100), peak_bytes(3_000)
    assert many < few + 100_000, "a list of the steps would have more than a megabyte"


def test_the_command_prints_steps_as_they_are_made(tmp_path: Path) -> None:
    def peak_bytes(count: int) -> int:
        ledgers = DirectoryStore(tmp_path / f"{count}", durability="none")
        ledgers.append(
            [cost_observed("w", agent="plan", cost_usd=usd, reason="r" * 800) for usd in range(1, count + 1)]
        )
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            command = ["--data", str(ledgers.path), "explain", "w", "--json"]
            cli.main(command, standalone_mode=False)  # which makes the row, too
            tracemalloc.start()
            try:
                cli.main(command, standalone_mode=False)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    few, many = peak_bytes(4_000), peak_bytes(8_000)  # of both several megabytes are read, one at a time
    assert many < few + 3_000_000, "a list of 4,000 more steps would have seven megabytes"


def test_each_step_says_what_why_and_where() -> None:
    place = {"source": {"kind": "claude_stream", "file": "raw_output.jsonl", "line": 128}}
    sequence = [
        started(1),
        reading("0.09", agent="plan", session_id="s", **place),
        reading("0.05", agent="plan", session_id="s"),
        reading("5.00", agent="plan", session_id="s", partial=True, cost_source="priced", price_book="b 1"),
        reading("2.37", final=True, reason="invoice"),
        ended("completed", 1),
        started(2),
    ]
    shown = [(s.seq, s.meter, s.why, s.file, s.line) for s in steps(in_chunks(numbered(sequence)))]
    assert shown == [
        (2, "agent plan, session s", "first reading, $0.0900", "raw_output.jsonl", 128),
        (4, "agent plan, session s", "reads $5.0000, was $0.0900 (partial, priced by b 1)", None, None),
        (6, "workflow", "completed: the last readings count", None, None),
    ]


def test_a_step_names_the_counter_and_the_sub_agent_and_what_that_counter_read_before() -> None:
    sequence = [
        reading("0.50", agent="plan", counter="one"),
        reading("0.40", agent="plan", counter="two"),
        reading("0.60", agent="plan", counter="one"),
        reading("0.10", agent="plan", message_id="m1", subagent="explore"),
        reading("3.00", agent="plan"),
    ]
    shown = [(step.meter, step.why, (step.to_nanousd or 0) // 10**7) for step in steps(in_chunks(numbered(sequence)))]
    assert shown == [
        ("agent plan, counter one", "first reading, $0.5000", 50),
        ("agent plan, counter two", "first reading, $0.4000", 90),
        ("agent plan, counter one", "reads $0.6000, was $0.5000", 100),
        ("agent plan", "first reading, $3.0000", 300),
    ]
    (called,) = steps(in_chunks(numbered(sequence[3:4])))
    assert called.meter == "agent plan, message m1, sub-agent explore"


def test_a_late_reading_that_moves_an_ended_workflow_says_so() -> None:
    late = list(
        steps(in_chunks(numbered([reading("0.09"), ended(), reading("0.20", reason="late invoice", final=True)])))
    )[-1]
    assert late.why == "reads $0.2000, was $0.0900 (final, after the end, late invoice)"


def test_a_first_reading_of_nothing_makes_the_cost_known() -> None:
    first, second = steps(
        in_chunks(numbered([started(), reading("0.00"), reading("0.00", agent="a"), reading("0.50")]))
    )
    assert (first.from_nanousd, first.to_nanousd, first.why) == (None, 0, "first reading, $0.0000")
    assert (second.from_nanousd, second.to_nanousd) == (0, 500_000_000)


def test_usage_without_a_figure_does_not_make_the_cost_known() -> None:
    used = reading(None, model="m", usage={"input_tokens": 1})
    assert not list(steps(in_chunks(numbered([started(), used, reading("0.00", partial=True), ended()]))))
