"""A data directory that was copied: it is noticed, agents go on, and a copy gets an origin of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DamagedLedger, LedgerUnavailable
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.maintenance.origin_renewal import renew
from ledger.maintenance.salvage import salvage
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile
from ledger.storage.origin import keep_origin, misplaced, origin_of
from ledger.storage.rewrite import before_renewal
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from tests.conftest import PROJECT


def filled(data: Path, names: tuple[str, ...] = ("v", "w")) -> DirectoryStore:
    store = DirectoryStore(data, durability="none")
    for name in names:
        store.append([workflow_started(name, issue_number=17), cost_observed(name, agent="a", cost_usd=1, id=name)])
        store.append([cost_observed(name, agent="b", cost_usd=2), workflow_ended(name, "completed")])
    return store


def opened_by(data: Path) -> set[str]:
    store = DirectoryStore(data)
    return {next(iter(store.read(name)))["origin"] for name in store.workflow_ids()}


@pytest.mark.parametrize("command", ["cp -a {0} {1}", "rsync -a {0}/ {1}", "mkdir {1}; tar -cC {0} . | tar -xC {1}"])
def test_a_copy_is_noticed_and_its_original_is_not(tmp_path: Path, command: str) -> None:
    if shutil.which(command.split(" ", 1)[0]) is None:
        pytest.skip(f"{command.split()[0]} is not installed")
    filled(tmp_path / "data")
    subprocess.run(command.format(tmp_path / "data", tmp_path / "copy"), shell=True, check=True)  # noqa: S602
    assert misplaced(tmp_path / "data") is None
    found = misplaced(tmp_path / "copy")
    assert found is not None
    assert "was copied, moved or restored" in found.problem
    assert f"--data {tmp_path / 'copy'} origin --renew" in found.next_step


def test_a_copy_of_hard_links_is_noticed(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "copy", copy_function=os.link)
    assert misplaced(tmp_path / "data") is None
    found = misplaced(tmp_path / "copy")
    assert found is not None
    assert "was copied" in found.problem


def test_ledgers_that_came_without_their_origin_are_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    origin = filled(tmp_path / "data").origin
    shutil.copytree(tmp_path / "data/ledgers", tmp_path / "other/ledgers")
    found = misplaced(tmp_path / "other")
    assert found is not None
    assert f"has no origin, and its ledgers name {origin}" in found.problem
    DirectoryStore(tmp_path / "other").append([cost_observed("new", cost_usd=1)])
    assert f"its ledgers name {origin}" in caplog.text
    found = misplaced(tmp_path / "other", every=True)
    assert found is not None
    assert f"ledgers in it name {origin}" in found.problem
    assert found.next_step.endswith("origin --renew")
    assert renew(DirectoryStore(tmp_path / "other")).problems == {}
    assert misplaced(tmp_path / "other", every=True) is None


def test_a_lost_origin_is_taken_from_the_ledgers(tmp_path: Path) -> None:
    origin = filled(tmp_path / "data").origin
    (tmp_path / "data/origin").unlink()
    keep_origin(tmp_path / "data")
    assert DirectoryStore(tmp_path / "data").origin == origin
    assert misplaced(tmp_path / "data", every=True) is None


def test_a_copy_on_a_fresh_tmpfs_with_the_same_inodes_is_noticed(tmp_path: Path) -> None:
    copies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        mount = ["mount", "-t", "tmpfs", "tmpfs", str(tmp_path / name)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("needs to mount a file system")
        copies.append(tmp_path / name / "data")
    try:
        filled(copies[0])
        text = (copies[0] / "origin").read_text()
        copies[1].mkdir()
        (copies[1] / "origin").write_text(text)
        inode, folder = (copies[1] / "origin").stat().st_ino, copies[1].stat().st_ino
        same = re.sub("inode [0-9]+ in [0-9]+", f"inode {inode} in {folder}", text)
        (copies[1] / "origin").write_text(same)
        assert misplaced(copies[0]) is None
        assert misplaced(copies[1]) is not None
    finally:
        for copy in copies:
            subprocess.run(["umount", "--lazy", copy.parent], check=True)


def test_a_rename_is_no_copy(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert misplaced(tmp_path / "elsewhere") is None


def test_appends_to_a_copy_succeed_and_warn_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path / "data")
    assert caplog.messages == []
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    for name in ("v", "new"):
        assert DirectoryStore(tmp_path / "copy").append([cost_observed(name, cost_usd=3)])[0].seq > 1
    assert [str(tmp_path / "copy") in message for message in caplog.messages] == [True]


def test_a_restored_backup_keeps_its_origin(tmp_path: Path) -> None:
    before = filled(tmp_path / "data").origin
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    keep_origin(tmp_path / "copy")
    assert misplaced(tmp_path / "copy") is None
    assert DirectoryStore(tmp_path / "copy").origin == before
    with pytest.raises(LedgerUnavailable):
        keep_origin(tmp_path / "nothing")


def test_an_origin_that_does_not_say_where_it_stands_learns_it_at_the_next_append(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled(tmp_path / "one")
    (tmp_path / "one/origin").write_text(f"{store.origin}\n")
    (tmp_path / "one").rename(tmp_path / "data")
    assert misplaced(tmp_path / "data") is None
    filled(tmp_path / "data")
    assert caplog.messages == []
    found = origin_of(tmp_path / "data")
    assert found is not None
    assert (found.id, found.inode) == (opened_by(tmp_path / "data").pop(), (tmp_path / "data/origin").stat().st_ino)


@pytest.mark.parametrize("text", ["", "\n", "hello\n", "0a\ninode\n", "0a\ninode 7\nmore\n", "\xff"])
def test_an_origin_that_is_none_stops_no_append_to_a_ledger(tmp_path: Path, text: str) -> None:
    filled(tmp_path / "data")
    (tmp_path / "data/origin").write_bytes(text.encode("latin-1"))
    assert DirectoryStore(tmp_path / "data").append([cost_observed("v", cost_usd=3)])[0].seq == 6
    with pytest.raises(LedgerUnavailable, match="it holds no origin"):
        DirectoryStore(tmp_path / "data").append([cost_observed("new", cost_usd=3)])
    found = misplaced(tmp_path / "data")
    assert found is not None
    assert "origin --moved, which takes the id from the ledgers" in found.next_step
    keep_origin(tmp_path / "data")
    assert misplaced(tmp_path / "data", every=True) is None
    DirectoryStore(tmp_path / "data").append([cost_observed("new", cost_usd=3)])
    assert {DirectoryStore(tmp_path / "data").origin} == opened_by(tmp_path / "data")


@given(times=st.integers(1, 3), salvaged=st.booleans(), costs=st.lists(st.integers(0, 99), max_size=6))
@settings(max_examples=30)
def test_a_renewed_ledger_holds_its_old_self_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, times: int, salvaged: bool, costs: list[int]
) -> None:
    data, history = tmp_path_factory.mktemp("renewed"), MemoryHistory()
    store = filled(data)
    path = store.ledger_path("w")
    if salvaged:
        path.write_bytes(path.read_bytes().replace(b'"cost_usd":"2.00"', b'"cost_usd":"9.00"'))
        salvage(store, "w")
    store.append([cost_observed("w", agent="é", cost_usd=cost, id=f"{cost} {n}") for n, cost in enumerate(costs)])
    refresh(store, history)
    old, rows = path.read_bytes(), history.rows()
    for _ in range(times):
        assert (renew(store).carried, misplaced(data)) == (2, None)
    assert opened_by(data) == {store.origin}

    lines = list(store.read("w").raw_lines())
    for _ in range(times):
        lines = list(before_renewal(lines))
    assert b"".join(lines) == old
    assert list(before_renewal(lines)) == []

    assert refresh(store, history).problems == []
    assert list(verify(store, history, Proof())) == []
    for before, after in zip(rows, history.rows(), strict=True):
        assert before.ledger_hash != after.ledger_hash
        assert {**vars_of(before), "ledger_hash": ""} == {**vars_of(after), "ledger_hash": ""}
    assert store.append([cost_observed("w", agent="a", cost_usd=1, id="w")])[0].duplicate


def vars_of(row: object) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}  # type: ignore[attr-defined]


def test_what_was_cut_before_a_renewal_still_shows_after_it(tmp_path: Path) -> None:
    store, history = filled(tmp_path), MemoryHistory()
    refresh(store, history)
    path = store.ledger_path("w")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    renew(store)
    assert [problem.workflow_id for problem in refresh(store, history).problems] == ["w"]


class Interrupted(Exception):
    pass


class Interrupting(Files):
    """Ends the program at the n-th call that changes something."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def _counted(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise Interrupted

    def create(self, path: Path) -> OpenFile:
        self._counted()
        return super().create(path)

    def write(self, file: OpenFile, data: bytes) -> int:
        self._counted()
        return super().write(file, data)

    def sync(self, file: OpenFile) -> None:
        self._counted()
        super().sync(file)

    def replace(self, old: Path, new: Path) -> None:
        self._counted()
        super().replace(old, new)

    def sync_directory(self, path: Path) -> None:
        self._counted()
        super().sync_directory(path)


def test_a_renewal_interrupted_anywhere_goes_on_with_the_same_origin(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    for at in count(1):
        data = tmp_path / f"copy{at}"
        shutil.copytree(tmp_path / "data", data)
        store = DirectoryStore(data, durability="none")
        recorded = {name: events_of(store, name) for name in ("v", "w")}
        try:
            renew(store, files=Interrupting(at))
        except Interrupted:
            pass
        else:
            break
        origin = origin_of(data)
        assert origin is not None
        if misplaced(data) is not None:  # all but the very last call, after which it is done
            assert store.append([cost_observed("v", agent="a", cost_usd=1, id="v")])[0].duplicate
            renew(store)
        assert misplaced(data) is None
        assert opened_by(data) == {store.origin}
        assert not origin.renewing or store.origin == origin.id
        assert {name: events_of(store, name) for name in ("v", "w")} == recorded
        assert sorted(path.name for path in data.rglob("*.copy")) == []
    assert at > 15


def events_of(store: DirectoryStore, name: str) -> list[dict[str, object]]:
    """The events of a ledger but for what a renewal changes."""
    return [{**line, "hash": ""} for line in store.read(name)][1:]


@pytest.mark.parametrize("kept", [-1, -9])
def test_a_ledger_that_a_crash_left_torn_is_mended_and_carried_over(tmp_path: Path, kept: int) -> None:
    store = filled(tmp_path)
    path = store.ledger_path("w")
    store.append([cost_observed("w", cost_usd=7, id="last")])
    path.write_bytes(path.read_bytes()[:kept])
    done = renew(store)
    assert (done.problems, opened_by(tmp_path)) == ({}, {done.origin})
    assert store.append([cost_observed("w", cost_usd=7, id="last")])[0].duplicate == (kept == -1)


def test_a_ledger_that_cannot_be_carried_over_is_named_and_the_others_are_carried(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = store.ledger_path("v")
    path.write_bytes(path.read_bytes().replace(b'"2.00"', b'"9.00"'))
    damaged = path.read_bytes()
    done = renew(store)
    assert (done.carried, [type(error) for error in done.problems.values()]) == (1, [DamagedLedger])
    assert path.read_bytes() == damaged
    found = misplaced(tmp_path)
    assert found is not None
    assert "may still name the old one" in found.problem
    salvage(store, "v")
    assert (renew(store).origin, misplaced(tmp_path)) == (done.origin, None)
    assert opened_by(tmp_path) == {done.origin}


def test_agents_append_while_their_directory_is_renewed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.ledger.appender", str(tmp_path)]
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=0)])
    agents = [
        subprocess.Popen([*command, f"p{number}", "300", "0"], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    opener = get_context("spawn").Process(target=open_many, args=(str(tmp_path),))
    opener.start()
    renewals = 0
    while any(agent.poll() is None for agent in agents) or opener.is_alive():
        assert renew(DirectoryStore(tmp_path)).problems == {}
        renewals += 1
    receipts = [line.split()[0] for agent in agents for line in agent.communicate()[0].splitlines()]
    opener.join()
    renew(DirectoryStore(tmp_path))
    ids = [line["id"] for line in DirectoryStore(tmp_path).read("w")]
    assert len(receipts) == 900
    assert renewals > 3
    assert len(ids) == 902
    assert set(receipts) <= set(ids)
    assert opened_by(tmp_path) == {DirectoryStore(tmp_path).origin}


def open_many(data: str) -> None:
    """An agent that opens one ledger after another."""
    store = DirectoryStore(data)
    for number in range(100):
        store.append([cost_observed(f"n{number}", cost_usd=1)])
