"""Kept folds give the same rows as a replay from the first line, whatever was kept or let go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import DamagedLedger, ReplacedLedger
from ledger.events.event import cost_observed, event, workflow_ended
from ledger.maintenance.salvage import salvage
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import Head
from ledger.storage.memory_store import MemoryStore
from projections.replay.fold_cache import FoldCache
from projections.replay.refresh import project
from tests.conftest import SteppingClock
from tests.projections.lines import ended, paths, reading, started

events = st.one_of(
    st.builds(lambda path, cost: reading(f"{cost}.00", **path), paths, st.integers(0, 9)),
    st.just(ended()),
    st.just(started()),
)


def opened(fields: dict[str, Any], workflow_id: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "run"} | {"workflow_id": workflow_id}


@given(st.lists(st.tuples(st.sampled_from("ab"), events), max_size=30), st.sampled_from([0, 3, 1000]))
def test_kept_folds_end_at_the_same_rows_as_a_replay(steps: list[tuple[str, dict[str, Any]]], meters_max: int) -> None:
    ledgers, folds = MemoryStore(clock=SteppingClock()), FoldCache(meters_max)
    for workflow_id, fields in steps:
        ledgers.append([event(opened(fields, workflow_id))])
        assert folds.project(ledgers, workflow_id) == project(ledgers, workflow_id)


def test_a_salvaged_ledger_is_replayed_anew(tmp_path: Path) -> None:
    ledgers, folds = DirectoryStore(tmp_path), FoldCache()
    ledgers.append([cost_observed("w", cost_usd="1", agent="a"), cost_observed("w", cost_usd="2", agent="b")])
    assert folds.project(ledgers, "w").row.actual_cost_nanousd == 3_000_000_000
    path = ledgers.ledger_path("w")
    path.write_bytes(path.read_bytes().replace(b'"cost_usd":"2.00"', b'"cost_usd":"9.00"'))
    with pytest.raises(DamagedLedger):
        FoldCache().project(ledgers, "w")
    salvage(ledgers, "w")
    ledgers.append([workflow_ended("w", "completed")])
    assert folds.project(ledgers, "w").row.actual_cost_nanousd == 1_000_000_000


def test_a_loss_is_found_again_until_it_is_accepted(tmp_path: Path) -> None:
    ledgers, folds = DirectoryStore(tmp_path), FoldCache()
    ledgers.append([cost_observed("w", cost_usd="1", agent="a"), cost_observed("w", cost_usd="2", agent="b")])
    row_read = folds.project(ledgers, "w").head
    path = ledgers.ledger_path("w")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))

    def cost(checkpoint: Head) -> int:
        return folds.ask(ledgers, "w", lambda state, head: state.cost_nanousd, checkpoint=lambda _: checkpoint)  # noqa: ARG005

    for _ in range(2):
        with pytest.raises(ReplacedLedger):
            cost(row_read)
    assert cost(project(ledgers, "w").head) == 1_000_000_000
