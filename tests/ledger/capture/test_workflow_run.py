"""Runs that are started and ended by blocks and by calls, and workflows that are joined."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ledger
import projections
from ledger import DirectoryStore, MemoryStore
from ledger.errors import InvalidConfig, InvalidInput, InvalidWorkflowId, LedgerUnavailable, UnknownWorkflow
from projections.replay.refresh import project
from tests.conftest import PROJECT

FACES = [ledger, projections]


def status(store: MemoryStore) -> tuple[str, str | None]:
    row = project(store, "w").row
    return row.status, row.error_message


def ends(store: MemoryStore) -> list[str]:
    return [line["type"] for line in store.read("w") if line["type"].startswith("workflow_")]


@pytest.mark.parametrize("face", FACES)
def test_a_notebook_starts_and_finishes_by_calls(face: Any) -> None:
    store = MemoryStore()
    wf = face.workflow("w", issue_number=17, store=store).start()
    wf.observe(cost_usd="0.50")
    assert (status(store)[0], wf.ended_at) == ("running", None)
    with pytest.raises(InvalidInput, match=r"'w' is running: finish\(\), fail\(\) or cancel\(\) it first"):
        wf.start()
    wf.finish()
    assert (status(store)[0], wf.ended_at is None) == ("completed", False)
    wf.finish()
    assert ends(store).count("workflow_completed") == 1, "the same end again appends nothing"
    with pytest.raises(InvalidInput, match=r"'w' is not running: start\(\) it first"):
        wf.fail("another end")
    wf.start().observe(cost_usd="0.40")
    wf.fail("tests fail")
    assert status(store) == ("failed", "tests fail")
    wf.start()
    wf.fail(ValueError("no plan"))
    assert status(store) == ("failed", "ValueError: no plan")
    wf.start().cancel("enough")
    assert (status(store)[0], project(store, "w").row.actual_cost_total) == ("cancelled", 0.9)


def test_what_is_ended_inside_its_block_is_not_ended_again() -> None:
    store = MemoryStore()
    with ledger.workflow("w", store=store) as wf:
        wf.fail("no plan")
    assert ends(store) == ["workflow_started", "workflow_failed"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SystemExit(0), "completed"),
        (SystemExit(), "completed"),
        (SystemExit(1), "failed"),
        (SystemExit("no plan"), "failed"),
        (KeyboardInterrupt(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (ValueError("no plan"), "failed"),
    ],
)
def test_how_a_block_is_left_says_how_it_ended(error: BaseException, expected: str) -> None:
    store = MemoryStore()

    def run() -> None:
        with ledger.workflow("w", store=store):
            raise error

    with pytest.raises(type(error)) as left:
        run()
    assert (left.value is error, ends(store)) == (True, ["workflow_started", f"workflow_{expected}"])


def test_a_generator_that_is_not_read_to_its_end_has_not_failed() -> None:
    store = MemoryStore()

    def answers() -> Iterator[int]:
        with ledger.workflow("w", store=store):
            yield from range(9)

    for _ in answers():
        break
    assert status(store) == ("cancelled", None)


@pytest.mark.parametrize("face", FACES)
def test_an_async_block_starts_and_ends(face: Any) -> None:
    store = MemoryStore()

    async def run(error: Exception | None = None) -> None:
        async with face.workflow("w", store=store) as wf:
            wf.observe(cost_usd="0.50")
            await asyncio.sleep(0)
            if error is not None:
                raise error

    asyncio.run(run())
    assert status(store)[0] == "completed"
    with pytest.raises(ValueError, match="no plan"):
        asyncio.run(run(ValueError("no plan")))
    assert status(store) == ("failed", "ValueError: no plan")


def test_a_cancelled_task_cancels_its_workflow_wherever_it_is() -> None:
    async def run(store: MemoryStore, pauses: int) -> None:
        entered = asyncio.Event()

        async def work() -> None:
            async with ledger.workflow("w", store=store):
                entered.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        if pauses:
            await entered.wait()
        else:
            await asyncio.sleep(0)  # its start is on the way
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for pauses in (0, 1):
        store = MemoryStore()
        asyncio.run(run(store, pauses))
        assert ends(store) == ["workflow_started", "workflow_cancelled"]


def program(folder: Path, text: str, **environment: str) -> subprocess.Popen[str]:
    variables = os.environ | {"PYTHONPATH": str(PROJECT)} | environment
    command = [sys.executable, "-c", text]
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


PLAIN = """
import time
from ledger import workflow
with workflow("w", data="data"):
    print("in the block", flush=True)
    time.sleep(60)
"""
ASYNC = """
import asyncio
from ledger import workflow
async def main():
    async with workflow("w", data="data"):
        print("in the block", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("text", [PLAIN, ASYNC])
def test_ctrl_c_cancels_a_program(tmp_path: Path, text: str) -> None:
    with program(tmp_path, text) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "in the block\n"
        running.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in running.communicate()[1]
    assert project(DirectoryStore(tmp_path / "data"), "w").row.status == "cancelled"


def test_a_program_that_exits_well_has_completed(tmp_path: Path) -> None:
    text = "import sys\nfrom ledger import workflow\nwith workflow('w', data='data'):\n    sys.exit({})"
    for code, expected in ((0, "completed"), (3, "failed")):
        with program(tmp_path, text.format(code)) as running:
            running.communicate()
        assert running.returncode == code
        assert project(DirectoryStore(tmp_path / "data"), "w").row.status == expected


CHILD = """
from projections import join
with join() as wf:
    wf.observe(agent="plan", cost_usd="0.40")
    wf.charge(agent="build", cost_usd="1.00")
    print(wf.workflow_id, wf.cost)
"""


def test_a_child_process_joins_and_adds_its_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path("costledger.toml").write_text("[budgets]\ndefault_usd = '5'\n")
    with projections.workflow("w", data="data") as wf:
        wf.observe(agent="plan", cost_usd="0.50")
        variables = wf.environment()
        assert variables == {
            "COSTLEDGER_WORKFLOW": "w",
            "COSTLEDGER_DATA": str(tmp_path / "data"),
            "COSTLEDGER_CONFIG": str(tmp_path / "costledger.toml"),
        }
        children = [program(elsewhere, CHILD, **variables) for _ in range(2)]
        for child in children:
            out, err = child.communicate()
            assert (child.returncode, err) == (0, ""), err
            assert out.startswith("w ")
        assert str(wf.cost) == "3.30"
        assert str(wf.left) == "1.70"
    lines = list(DirectoryStore("data").read("w"))
    assert [line["type"] for line in lines if line["type"].startswith("workflow_")] == [
        "workflow_started",
        "workflow_completed",
    ]


def test_a_forked_child_adds_and_does_not_end(tmp_path: Path) -> None:
    text = """
import os
from ledger import join, workflow
with workflow("w", data="data") as wf:
    wf.observe(agent="plan", cost_usd="0.50")
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    else:
        with join("w", data="data") as joined:
            joined.observe(agent="plan", cost_usd="0.40")
            wf.charge(agent="build", cost_usd="1.00")
        try:
            wf.finish()
        except Exception as error:
            wf.observe(agent=str(error)[-29:], cost_usd="0.10")
if pid:
    wf.observe(agent="late", cost_usd="0.01")
"""
    with program(tmp_path, text) as running:
        assert running.communicate()[1] == ""
    lines = list(DirectoryStore(tmp_path / "data").read("w"))
    agents = [line.get("agent") or line["type"] for line in lines]
    by_child = ["plan", "build", "was started by another process"[-29:]]
    assert agents == ["ledger_opened", "workflow_started", "plan", *by_child, "workflow_completed", "late"]
    row = project(DirectoryStore(tmp_path / "data"), "w").row
    assert (row.status, row.actual_cost_total) == ("completed", 2.01)


@pytest.mark.parametrize("face", FACES)
def test_what_can_be_joined(face: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.delenv("COSTLEDGER_WORKFLOW", raising=False)
    with pytest.raises(InvalidInput, match=r"join\(\) has no workflow: give its id, or start .* COSTLEDGER_WORKFLOW"):
        face.join(store=store)
    with pytest.raises(InvalidWorkflowId):
        face.join("../w", store=store)
    monkeypatch.setenv("COSTLEDGER_WORKFLOW", "w")
    with pytest.raises(UnknownWorkflow):
        face.join(store=store).correct(cost_usd="1", reason="invoice")
    assert store.size("w") is None
    with face.workflow("v", store=store) as wf, pytest.raises(InvalidInput, match="its ledger is in no directory"):
        wf.environment()
    face.join(store=store).observe(cost_usd="0.50")
    with face.join(store=store) as wf:
        wf.observe(cost_usd="0.50")
    assert (status(store)[0], project(store, "w").row.actual_cost_total, ends(store)) == ("running", 1.0, [])
    assert wf.ended_at is not None

    async def run() -> None:
        async with face.join("w", store=store) as wf:
            wf.observe(cost_usd="0.50")

    asyncio.run(run())
    assert (project(store, "w").row.actual_cost_total, ends(store)) == (1.5, [])


@pytest.mark.parametrize("face", FACES)
def test_a_misspelt_argument_says_what_is_meant(face: Any) -> None:
    store = MemoryStore()
    wf = face.workflow("w", store=store)
    for call, given, hint in (
        (face.workflow, "issue_nr", "did you mean 'issue_number'?"),
        (face.workflow, "issue", "did you mean 'issue_number'?"),
        (face.workflow, "template", "did you mean 'workflow_template'?"),
        (face.workflow, "budget", "did you mean 'budget_usd'?"),
        (face.join, "dta", "did you mean 'data'?"),
        (wf.observe, "cost", "did you mean 'cost_usd'?"),
        (wf.observe, "agnet", "did you mean 'agent'?"),
        (wf.charge, "session", "did you mean 'session_id'?"),
        (wf.charge, "zzz", "it takes cost_usd, usage, agent, session_id, model"),
        (wf.correct, "why", "it takes cost_usd, reason, agent"),
    ):
        with pytest.raises(TypeError) as refused:
            call(**{given: "1"})
        assert str(refused.value).startswith(f"{call.__name__}() got an unexpected argument {given!r}; {hint}")
    assert store.size("w") is None


def test_a_configuration_that_cannot_be_used_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "costledger.toml").write_text("[budget]\n")
    with pytest.raises(InvalidConfig):
        ledger.workflow("w", data=tmp_path)
    assert not (tmp_path / "ledgers").exists()


def test_charges_that_wait_are_recorded_before_a_failure_ends_the_block(tmp_path: Path) -> None:
    data = tmp_path / "data"
    answer = {
        "id": "msg_1",
        "type": "message",
        "model": "claude-opus-4-5",
        "usage": {"input_tokens": 9, "output_tokens": 9},
    }

    def run(mended: bool) -> None:
        with ledger.workflow("w", data=data) as wf:
            (data / "ledgers").rename(data / "away")
            (data / "ledgers").write_text("")
            wf.charge_later(answer)
            if mended:
                (data / "ledgers").unlink()
                (data / "away").rename(data / "ledgers")
            raise ValueError("no plan")

    with pytest.raises(ValueError, match="no plan"):
        run(mended=True)
    row = project(DirectoryStore(data), "w").row
    assert (row.status, row.actual_cost_nanousd > 0) == ("failed", True)
    with pytest.raises(ValueError, match="no plan") as left:
        run(mended=False)
    assert len([note for note in left.value.__notes__ if "could not record the" in note]) == 2


def test_a_run_whose_charges_are_missing_is_not_finished(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wf = ledger.workflow("w", data=data).start()
    (data / "ledgers").rename(data / "away")
    (data / "ledgers").write_text("")
    wf.charge_later({"id": "m", "model": "claude-opus-4-5", "usage": {"input_tokens": 9, "output_tokens": 9}})
    with pytest.raises(LedgerUnavailable):
        wf.finish()
    assert wf.ended_at is None
    (data / "ledgers").unlink()
    (data / "away").rename(data / "ledgers")
    wf.finish()
    assert project(DirectoryStore(data), "w").row.status == "completed"


def test_an_end_that_its_block_has_appended_is_not_appended_again() -> None:
    store = MemoryStore()
    with ledger.workflow("w", store=store) as wf:
        pass
    wf.finish()
    with pytest.raises(InvalidInput, match="is not running"):
        ledger.workflow("w", store=store).finish()
    assert ends(store) == ["workflow_started", "workflow_completed"]


@pytest.mark.parametrize("name", ["start", "finish", "fail", "cancel"])
def test_a_joined_workflow_says_that_it_is_neither_started_nor_ended(name: str) -> None:
    joined = ledger.join("w", store=MemoryStore())
    with pytest.raises(AttributeError, match="neither starts nor ends a workflow, as workflow"):
        getattr(joined, name)()
    with pytest.raises(AttributeError, match=r"'JoinedWorkflow' object has no attribute 'nope'$"):
        joined.nope  # type: ignore[attr-defined]  # noqa: B018
