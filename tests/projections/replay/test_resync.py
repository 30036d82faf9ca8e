"""A resync that another process overtakes still reports the old and the new cost, and who wrote the row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.importing.source_registry import SourceEntry
from ledger.storage.directory_store import DirectoryStore
from projections.history.memory import MemoryHistory
from projections.history.store import CostChange
from projections.replay.dry_run import copied
from projections.replay.refresh import refresh, resync
from projections.replay.resync import resync_sources


class Meanwhile:
    """Sources without an entry; while they are read, another process does something."""

    def __init__(self, does: Callable[[], object]) -> None:
        self._does = does

    def entries(self) -> list[SourceEntry]:
        self._does()
        return []


@pytest.fixture
def ledgers(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "data")
    store.append([cost_observed("w", cost_usd="0.09"), workflow_ended("w", "completed")])
    return store


def test_who_wrote_the_row_in_the_meantime_is_the_reason(ledgers: DirectoryStore) -> None:
    history = MemoryHistory()
    refresh(ledgers, history)
    others: list[tuple[str, str, Callable[[], object]]] = [
        ("1.00", "refresh", lambda: refresh(ledgers, history)),
        ("2.00", "resync", lambda: resync(ledgers, history, workflow_ids=["w"])),
        ("3.00", "resync --force", lambda: resync(ledgers, history, workflow_ids=["w"], force=True)),
    ]
    shown = 90_000_000
    for usd, reason, does in others:
        ledgers.append([cost_observed("w", cost_usd=usd, final=True)])
        done = resync_sources(ledgers, history, Meanwhile(does), workflow_id="w", force=True)
        now = history.stored()["w"].cost_nanousd
        assert done.report.changes == [CostChange("w", shown, now, "completed", reason)]
        assert [entry.reason for entry in history.audit("w")][-1] == reason, "as the audit log has it"
        shown = now


def test_a_resync_that_nobody_overtakes_is_its_own_reason(ledgers: DirectoryStore) -> None:
    history = MemoryHistory()
    refresh(ledgers, history)
    ledgers.append([cost_observed("w", cost_usd="2.37", final=True)])
    done = resync_sources(ledgers, history, Meanwhile(lambda: None), workflow_id="w", force=True)
    assert [(change.new_nanousd, change.reason) for change in done.report.changes] == [
        (2_370_000_000, "resync --force")
    ]


def test_a_trial_shows_that_a_running_figure_falls_as_the_resync_will(ledgers: DirectoryStore) -> None:
    history = MemoryHistory()
    ledgers.append([cost_observed("going", cost_usd="2.00")])
    refresh(ledgers, history)
    ended = workflow_ended("going", "failed")
    ledgers.append([cost_observed("going", cost_usd="1.00"), ended, workflow_started("going")])
    with copied(ledgers, history) as trial:
        foreseen = resync(trial.ledgers, trial.history, workflow_ids=["going"]).changes
    assert foreseen == [CostChange("going", 2_000_000_000, 1_000_000_000, "running", "resync")]
    assert resync(ledgers, history, workflow_ids=["going"]).changes == foreseen
