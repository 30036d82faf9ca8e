"""For agents in Python."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger import MemoryStore, workflow
from ledger.errors import InvalidWorkflowId, LedgerUnavailable
from projections.replay import project


def test_a_workflow_is_started_observed_and_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLEDGER_DATA", str(tmp_path))
    usage = SimpleNamespace(input_tokens=1_000_000, output_tokens=1_000_000)
    with workflow("a5b80595", issue_number=17, project="shop") as wf:
        wf.observe(agent="plan", cost_usd="0.09")
        wf.charge(agent="build", model="claude-sonnet-4-5", usage={"output_tokens": 10}, message_id="msg_1")
        wf.charge(agent="build", model="claude-opus-4-5", usage=usage, message_id="msg_2")
        wf.charge(agent="build", model="claude-opus-4-5", usage=usage, message_id="msg_2")
        wf.charge(agent="build", cost_usd=0.5)
        wf.charge(agent="build", cost_usd=0.5)
    from ledger import DirectoryStore

    row = project(DirectoryStore(tmp_path), "a5b80595").row
    assert (row.status, row.issue_number, row.project) == ("completed", 17, "shop")
    assert row.cost_basis == "partial", "a million tokens in one call are more than the model's listed context"
    assert row.actual_cost_nanousd == 90_000_000 + 150_000 + 30_000_000_000 + 1_000_000_000


def test_an_exception_leaves_it_failed_with_its_message() -> None:
    store = MemoryStore()

    def run() -> None:
        with workflow("w", store=store) as wf:
            wf.observe(cost_usd="0.09")
            raise ValueError("no\ud800 plan")

    with pytest.raises(ValueError, match="plan"):
        run()
    row = project(store, "w").row
    assert (row.status, row.actual_cost_total, row.error_message) == ("failed", 0.09, "ValueError: no? plan")


def test_ctrl_c_leaves_it_cancelled() -> None:
    store = MemoryStore()

    def run() -> None:
        with workflow("w", store=store):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert project(store, "w").row.status == "cancelled"


def test_a_second_run_goes_on_from_the_first() -> None:
    store = MemoryStore()
    for cost in ("0.90", "0.30"):
        with workflow("w", store=store) as wf:
            wf.charge(agent="build", cost_usd=cost)
    assert project(store, "w").row.actual_cost_total == 1.2


def test_a_correction_is_the_last_word() -> None:
    store = MemoryStore()
    with workflow("w", store=store) as wf:
        wf.observe(cost_usd=5)
        wf.correct(cost_usd="2.37", reason="invoice")
    assert project(store, "w").row.actual_cost_total == 2.37


def test_a_ledger_that_cannot_be_written_never_hides_the_agents_own_error(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def run() -> None:
        with workflow("w", data=data) as wf:
            shutil.rmtree(data)
            data.touch()  # a file where the folder was
            wf.observe(cost_usd=1)

    with pytest.raises(LedgerUnavailable) as caught:
        run()
    assert any("could not record the end" in note for note in caught.value.__notes__)


def test_a_hostile_id_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkflowId), workflow("../x", data=tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
