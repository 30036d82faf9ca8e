"""Ledgers that lost what their rows were folded from: refused until an operator accepts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import ReplacedLedger
from ledger.events.event import cost_observed, workflow_ended
from ledger.maintenance.anchors import anchor, broken
from ledger.maintenance.salvage import salvage
from ledger.storage.directory_store import DirectoryStore
from projections.history.memory import MemoryHistory
from projections.history.store import HistoryStore
from projections.replay.rebuild import rebuild
from projections.replay.refresh import RefreshReport, refresh, resync
from projections.replay.verify import Proof, verify
from tests.command import Done, costledger

STEP = "restore it, or accept it as it is: costledger resync --force -- w"

Accepting = Callable[[DirectoryStore, HistoryStore], RefreshReport]


def filled(folder: Path) -> DirectoryStore:
    store = DirectoryStore(folder / "data", durability="none")
    for number in range(4):
        store.append([cost_observed("w", agent=f"a{number}", cost_usd=f"0.{number + 1}0", id=f"e{number}")])
    store.append([cost_observed("other", cost_usd=1)])
    return store


def salvaged(store: DirectoryStore) -> None:
    """A salvage of which this history knows nothing: killed after its rename, or of another history."""
    path = store.ledger_path("w")
    path.write_bytes(path.read_bytes().replace(b'"0.20"', b'"9.20"'))
    salvage(store, "w")


def restored(store: DirectoryStore) -> None:
    """A backup from before the last two events."""
    path = store.ledger_path("w")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))


def said_again(store: DirectoryStore) -> None:
    """A backup in which the lost events were said again, so that its size is as before."""
    restored(store)
    again = DirectoryStore(store.path, durability="none")
    for number in (2, 3):
        again.append([cost_observed("w", agent=f"a{number}", cost_usd=f"0.{number + 1}1", id=f"e{number}")])


ACCEPTING: dict[str, Accepting] = {
    "resync": lambda store, history: resync(store, history, workflow_ids=["w"], force=True),
    "rebuild": rebuild,
}


@pytest.mark.parametrize("how", ["resync", "rebuild"])
@pytest.mark.parametrize(("lose", "cost"), [(salvaged, 800), (restored, 300), (said_again, 1020)])
def test_a_refresh_refuses_and_the_step_that_it_names_leads_out(
    tmp_path: Path, history: HistoryStore, lose: Callable[[DirectoryStore], None], cost: int, how: str
) -> None:
    store = filled(tmp_path)
    refresh(store, history)
    before, size = history.rows(), store.size("w")
    lose(store)
    assert (store.size("w") == size) == (lose is said_again)
    refused = refresh(store, history, workflow_ids=["w"])
    assert [type(problem.error) for problem in refused.problems] == [ReplacedLedger]
    assert STEP in str(refused.problems[0].error)
    assert history.rows() == before
    assert STEP[STEP.index("accept") :] in next(verify(store, history, Proof())).next_step

    report = ACCEPTING[how](store, history)
    assert report.problems == []
    assert [(one.workflow_id, one.old_nanousd, one.new_nanousd) for one in report.accepted] == [
        ("w", 10**9, cost * 10**6)
    ]
    assert history.stored()["w"].cost_nanousd == cost * 10**6
    assert list(verify(store, history, Proof(), unread_too=True)) == []
    reason = history.audit("w")[-1].reason
    assert reason.startswith(("resync --force: ", "rebuild: "))
    assert reason.endswith("the ledger no longer holds what the row was folded from")
    again = refresh(store, history)
    assert (again.problems, again.folded) == ([], [])


def test_a_ledger_that_does_not_verify_decides_nothing(tmp_path: Path) -> None:
    store, history = filled(tmp_path), MemoryHistory()
    refresh(store, history)
    path = store.ledger_path("w")
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-1]).replace(b'"0.20"', b'"9.20"'))
    before = history.rows()
    for accepting in ACCEPTING.values():
        report = accepting(store, history)
        assert (len(report.problems), report.accepted) == (1, [])
        assert "salvage" in str(report.problems[0].error)
    assert history.rows() == before


def test_an_ended_workflow_and_an_anchor_still_show_the_loss(tmp_path: Path) -> None:
    store, history = filled(tmp_path), MemoryHistory()
    store.append([workflow_ended("w", "completed")])
    refresh(store, history)
    kept = anchor(store)
    restored(store)
    rebuild(store, history)
    assert [name for name, _ in broken(store, kept)] == ["w"]


def test_the_commands_name_each_such_workflow_with_both_costs(tmp_path: Path) -> None:
    def run(*arguments: str) -> Done:
        return costledger(tmp_path, "--data", str(store.path), *arguments)

    store = filled(tmp_path)
    for arguments in (["rebuild"], ["resync", "--force", "w"]):
        assert run("refresh").code == 0
        restored(store)
        refused = run("refresh")
        assert refused.code == 3
        assert STEP in refused.err
        done = run(*arguments)
        assert done.code == 0, done.err
        (line,) = [line for line in done.out.splitlines() if "accepted as it is" in line]
        assert line.startswith("w: its ledger no longer holds what its row was folded from (was cut: ")
        assert "before" in line
        assert run("verify").code == 0
        DirectoryStore(store.path).append([cost_observed("w", cost_usd=2, agent="a9"), cost_observed("w", cost_usd=3)])
