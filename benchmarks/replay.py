"""Replay of one workflow, verified, against eventsourcing's replay of the same readings from SQLite.

eventsourcing gets an aggregate that adds up the latest cost of each message and its tokens: less than our row, and
without hashes. It gets no snapshots, as we take none. Alternating; processor time, medians.
Usage: python benchmarks/replay.py [FOLDER] [events] [rounds]
"""

from __future__ import annotations

import shutil
import sys
import time
from decimal import Decimal
from pathlib import Path
from statistics import median

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.rebuild import fill
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project

FIELDS = ("agent", "session_id", "model", "message_id", "cost_usd", "usage")
NAME = f"{0:08x}"


class Totals(Aggregate):  # type: ignore[misc]
    """What a workflow cost, and its tokens of each kind."""

    def __init__(self) -> None:
        self.cost, self.calls, self.tokens = Decimal(0), dict[tuple[str, ...], Decimal](), dict[str, int]()

    @event("CostObserved")  # type: ignore[untyped-decorator]
    def observe(
        self,
        agent: str,
        session_id: str,
        model: str,
        message_id: str,
        cost_usd: str,
        usage: dict[str, int],
    ) -> None:
        """Take in a reading; the latest of a message counts."""
        call, cost = (agent, session_id, model, message_id), Decimal(cost_usd)
        self.cost += cost - self.calls.get(call, Decimal(0))
        self.calls[call] = cost
        for name, count in usage.items():
            self.tokens[name] = self.tokens.get(name, 0) + count


def main(folder: Path, events: int, rounds: int) -> None:
    """Print events per second of processor time, and the ratio."""
    data = folder / "bench-replay"
    shutil.rmtree(data, ignore_errors=True)
    store = DirectoryStore(data, durability="none")
    fill(store, 1, events)
    totals = Totals()
    for line in store.read(NAME):
        if line["type"] == "cost_observed":
            totals.observe(**{field: line[field] for field in FIELDS})
    app = Application({"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(data / "es.db")})
    app.save(totals)
    ours, theirs = [], []
    for _ in range(rounds):
        start = time.process_time()
        found = app.repository.get(totals.id)
        theirs.append(time.process_time() - start)
        start = time.process_time()
        row = project(store, NAME).row
        ours.append(time.process_time() - start)
        assert found.cost * 10**9 == row.actual_cost_nanousd
    app.close()
    shutil.rmtree(data)
    ratios = [slow / fast for slow, fast in zip(theirs, ours, strict=True)]
    print(f"costledger    {events / median(ours):>10,.0f} events/s of processor time")
    print(f"eventsourcing {events / median(theirs):>10,.0f}")
    print(f"replay at {median(ratios):.1f} of the speed of eventsourcing ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:]]
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), *(*numbers, *(20_000, 7)[len(numbers) :]))
