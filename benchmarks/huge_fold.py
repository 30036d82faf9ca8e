"""The fold of one workflow with very many events, each a call of its own: memory, and processor time.

Usage: python benchmarks/huge_fold.py [events]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

from ledger.events.typed_line import TypedLine, UsageCounts
from ledger.storage.line import Head
from projections.folding.fold import fold_lines, initial
from projections.folding.row import row, spend

CHUNK = 2000
"""Lines at a time, about as many as a reader yields."""


def chunks(events: int) -> Iterator[list[TypedLine]]:
    """Calls of seven agents, one a second."""
    for first in range(0, events, CHUNK):
        yield [
            TypedLine(
                v=1,
                seq=seq + 1,
                type="cost_observed",
                workflow_id="huge",
                recorded_at=(moment := f"2026-{1 + seq // 2_419_200:02d}-{1 + seq // 86_400 % 28:02d}T{clock(seq)}Z"),
                observed_at=moment,
                id="",
                hash="",
                agent=f"agent-{seq * 7 // events}",
                session_id="5a1c0000-0000-4000-8000-000000000000",
                model="claude-sonnet-4-5-20250929",
                message_id=f"msg_01{seq:022x}",
                cost_usd=f"0.{seq % 99_999:05d}1",
                usage=UsageCounts(input_tokens=5, cache_read_tokens=seq % 99_999, output_tokens=seq % 4_000),
            )
            for seq in range(first, min(events, first + CHUNK))
        ]


def clock(seq: int) -> str:
    """The time of day of an event."""
    return f"{seq // 3600 % 24:02d}:{seq // 60 % 60:02d}:{seq % 60:02d}.{seq % 1_000_000:06d}"


def megabytes() -> float:
    """The largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(events: int) -> None:
    """Print memory and processor time, with the time that making the lines takes alone."""
    start = time.process_time()
    for _ in chunks(events):
        pass
    making, before, state = time.process_time() - start, megabytes(), initial("huge")
    start = time.process_time()
    for lines in chunks(events):
        fold_lines(state, lines)
    seconds = time.process_time() - start - making
    print(f"fold: {seconds / events * 1e6:.2f} µs an event, {megabytes():,.0f} MB, {before:,.0f} MB before it")
    start = time.process_time()
    made, spent = row(state, Head(events, 1, "0" * 64)), spend(state)
    print(f"row and {len(spent):,} rows of spend: {time.process_time() - start:.2f} s; {made.event_count:,} events")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
