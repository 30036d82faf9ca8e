"""Power loss and failing syncs, simulated: what was acknowledged is there, once, whatever the disk kept of the rest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from ledger.errors import LedgerUnavailable
from ledger.events import cost_observed
from ledger.files import Files
from ledger.journal import Journal
from ledger.reader import LedgerReader
from tests.conftest import SteppingClock
from tests.faults.disk import SimulatedDisk

PATH = Path("/data/ledgers/w.jsonl")
IDS = st.sampled_from([f"e{number}" for number in range(12)])


def journal(disk: Files) -> Journal:
    return Journal(PATH, "w", origin=lambda: "0a", clock=SteppingClock(), files=disk, durability="always")


def ids(disk: SimulatedDisk) -> list[str]:
    inode = disk.entries.get(PATH)
    if inode is None:
        return []
    content = bytes(inode.seen)
    reader = LedgerReader("w", PATH, lambda at, count: content[at : at + count], len(content))
    return [line["id"] for line in reader if line["type"] == "cost_observed"]


class PowerLossMachine(RuleBasedStateMachine):
    """Two processes append to one ledger on a disk that fails and loses power."""

    @initialize()
    def boot(self) -> None:
        self.disk = SimulatedDisk()
        self.acknowledged: set[str] = set()
        self.start()

    @rule()
    def start(self) -> None:
        self.journals = [journal(self.disk), journal(self.disk)]

    @rule(who=st.integers(0, 1), names=st.lists(IDS, min_size=1, max_size=3))
    def append(self, who: int, names: list[str]) -> None:
        try:
            receipts = self.journals[who].append([cost_observed("w", cost_usd=1, id=name) for name in names])
        except LedgerUnavailable:
            return
        assert [receipt.id for receipt in receipts] == names
        self.acknowledged |= set(names)

    @rule(
        kind=st.sampled_from(["sync", "sync", "write", "sync_directory"]),
        who=st.integers(0, 1),
        names=st.lists(IDS, min_size=1, max_size=2),
    )
    def append_while_the_disk_fails(self, kind: str, who: int, names: list[str]) -> None:
        self.disk.fail = kind
        self.append(who, names)
        self.disk.fail = None

    @rule(seed=st.integers(0, 2**32))
    def lose_power(self, seed: int) -> None:
        self.disk.lose_power(random.Random(seed))
        self.start()

    @rule(seed=st.integers(0, 2**32), who=st.integers(0, 1), name=IDS)
    def lose_power_right_after_a_receipt(self, seed: int, who: int, name: str) -> None:
        self.append(who, [name])
        self.lose_power(seed)

    @invariant()
    def what_was_acknowledged_is_there_once(self) -> None:
        found = ids(self.disk)
        assert len(found) == len(set(found))
        assert self.acknowledged <= set(found)

    def teardown(self) -> None:
        for name in sorted(self.acknowledged):
            assert self.journals[0].append([cost_observed("w", cost_usd=1, id=name)])[0].duplicate


PowerLossMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestPowerLoss = PowerLossMachine.TestCase


@pytest.mark.campaign
def test_power_loss_for_some_minutes() -> None:
    long = settings(max_examples=6000, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(PowerLossMachine, settings=long)


def test_the_simulated_disk_would_show_a_receipt_given_too_early() -> None:
    """The machine can fail: a journal that does not sync loses what it acknowledged."""
    lost = 0
    for seed in range(50):
        disk = SimulatedDisk()
        careless = Journal(PATH, "w", origin=lambda: "0a", clock=SteppingClock(), files=disk, durability="none")
        careless.append([cost_observed("w", cost_usd=1, id="a")])
        disk.lose_power(random.Random(seed))
        lost += "a" not in ids(disk)
    assert lost > 10


def test_the_simulated_disk_would_show_a_sync_that_is_believed_after_it_failed() -> None:
    disk = SimulatedDisk()
    file = disk.create(PATH)
    disk.write(file, b"x" * 600)
    disk.fail = "sync"
    with pytest.raises(OSError, match="simulated"):
        disk.sync(file)
    disk.sync(file)
    disk.sync_directory(PATH.parent)
    disk.lose_power(random.Random(1))
    assert disk.read(disk.open_read(PATH), 0, 600) == bytes(600)
