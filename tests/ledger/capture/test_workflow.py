"""For agents in Python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger import DirectoryStore, MemoryStore, Workflow, workflow
from ledger.errors import InvalidWorkflowId, LedgerUnavailable
from projections.replay.refresh import project
from tests.conftest import PROJECT


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


def attempt(wf: Workflow, plan: str, build: str) -> None:
    wf.observe(agent="plan", cost_usd="0.10")
    wf.observe(agent="plan", cost_usd=plan)
    wf.observe(agent="build", cost_usd=build)


def test_a_retry_counts() -> None:
    store = MemoryStore()

    def fail() -> None:
        with workflow("w", store=store) as wf:
            attempt(wf, "0.50", "2.00")
            raise ValueError("tests fail")

    with pytest.raises(ValueError, match="tests fail"):
        fail()
    with workflow("w", store=store) as wf:
        attempt(wf, "0.40", "1.50")
        assert project(store, "w").row.actual_cost_total == 4.4
    row = project(store, "w").row
    assert (row.status, row.actual_cost_total, row.cost_basis) == ("completed", 4.4, "reported")


def test_a_retry_of_a_program_that_was_killed_counts(tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from ledger import workflow\n"
        "with workflow('w', data='data') as wf:\n"
        "    wf.observe(agent='plan', cost_usd='0.50')\n"
        "    wf.observe(agent='build', cost_usd='2.00')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    killed = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    store = DirectoryStore(tmp_path / "data")
    assert project(store, "w").row.status == "running"
    with workflow("w", data=tmp_path / "data") as wf:
        attempt(wf, "0.40", "1.50")
    row = project(store, "w").row
    assert (row.status, row.actual_cost_total) == ("completed", 4.4)


def test_concurrent_blocks_count_each_for_itself() -> None:
    store = MemoryStore()
    with workflow("w", store=store) as one:
        one.observe(agent="plan", cost_usd="0.50")
        with workflow("w", store=store) as two:
            two.observe(agent="plan", cost_usd="0.40")
        with workflow("w", store=store) as three:
            three.observe(agent="plan", cost_usd="0.10")
            one.observe(agent="plan", cost_usd="0.70")
    assert project(store, "w").row.actual_cost_total == 1.2


def test_a_program_that_reports_a_carried_on_total_says_so() -> None:
    store = MemoryStore()
    for cost in ("0.50", "2.37"):
        with workflow("w", store=store, cumulative=True) as wf:
            wf.observe(cost_usd=cost)
    assert project(store, "w").row.actual_cost_total == 2.37


def test_only_what_has_no_meter_of_its_own_and_is_no_correction_has_a_counter() -> None:
    store = MemoryStore()
    with workflow("w", store=store) as wf:
        wf.observe(cost_usd=1)
        wf.observe(agent="plan", model="opus", usage={"output_tokens": 1})
        wf.observe(session_id="s", cost_usd=1)
        wf.observe(message_id="m", cost_usd=1)
        wf.charge(agent="plan", cost_usd=1)
        wf.correct(cost_usd=2, reason="invoice")
    counters = [line.get("counter") for line in store.read("w") if line["type"] == "cost_observed"]
    assert counters == [wf.counter, wf.counter, None, None, None, None]


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
