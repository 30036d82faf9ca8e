"""The file system refuses calls wherever hypothesis says: no receipt is wrong, and the next attempt works."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import CostledgerError, LedgerUnavailable, NothingToSalvage
from ledger.events.event import cost_observed
from ledger.importing.importer import import_source
from ledger.maintenance.origin_renewal import renew
from ledger.maintenance.salvage import salvage
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile
from ledger.storage.origin import misplaced
from projections.history.memory import MemoryHistory
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from tests.ledger.logs import init, message, result, write

CALLS: Final = frozenset(name for name, value in vars(Files).items() if callable(value))
"""All of the seam."""

FAULTS: Final = st.sampled_from([errno.EIO, errno.ENOSPC, errno.EINTR, errno.EDQUOT, 0])
"""What the call fails with; 0: a write that is short, and no fault of any other call."""


class Refusing(Files):
    """The operating system's files, of whose calls, counted over all kinds, some fail."""

    def __init__(self, faults: dict[int, int]) -> None:
        self.faults, self.calls = faults, 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self._refused(name, found) if name in CALLS else found

    def _refused(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def refused(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            code = self.faults.get(self.calls)
            if code:
                raise OSError(code, os.strerror(code))
            if code == 0 and name == "write":
                return call(args[0], args[1][: len(args[1]) // 2])
            return call(*args, **kwargs)

        return refused


IDS = st.lists(st.sampled_from([f"e{number}" for number in range(9)]), min_size=1, max_size=12)
ACTIONS = st.lists(st.sampled_from(["append", "import", "refresh", "rebuild", "salvage", "renew"]), max_size=8)


@given(
    actions=ACTIONS.map(lambda actions: ["append", *actions, "append"]),
    ids=st.lists(IDS, min_size=10, max_size=10),
    faults=st.dictionaries(st.integers(1, 90), FAULTS, min_size=1, max_size=4),
)
@settings(max_examples=60)
def test_whatever_is_refused_nothing_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str], ids: list[list[str]], faults: dict[int, int]
) -> None:
    folder = tmp_path_factory.mktemp("refused")
    agents = folder / "agents"
    write(agents / "w/plan/raw_output.jsonl", init(), message("m1", 9), result(0.25, sonnet=0.25))
    files, history = Refusing(faults), MemoryHistory()
    store, acknowledged = DirectoryStore(folder / "data", files=files), set[str]()

    def done(action: str, names: list[str]) -> None:
        if action == "append":
            receipts = store.append([cost_observed("w", agent=name, cost_usd=1, id=name) for name in names])
            assert [receipt.id for receipt in receipts] == names
            acknowledged.update(names)
        elif action == "import":
            import_source(store, "adw", agents)
        elif action == "salvage":
            with pytest.raises(NothingToSalvage):
                salvage(store, "w", files=files)
        elif action == "renew":
            assert renew(store, files=files).problems == {}
        else:
            assert (refresh if action == "refresh" else rebuild)(store, history).problems == []

    def attempt(action: str, names: list[str]) -> None:
        try:
            done(action, names)
        except (CostledgerError, AssertionError, pytest.fail.Exception):
            if not any(number <= files.calls for number in files.faults):
                raise
        lines = [line["id"] for line in DirectoryStore(folder / "data").read("w")] if acknowledged else []
        assert acknowledged <= set(lines)
        assert len(set(lines)) == len(lines)

    for action, names in zip(actions, ids, strict=False):
        attempt(action, names)
    files.faults = {}
    for action in (*actions, "append", "import", "refresh"):
        done(action, ids[-1])
    if misplaced(folder / "data") is not None:
        done("renew", [])
        done("refresh", [])
    assert list(verify(store, history, Proof(), unread_too=True)) == []
    assert misplaced(folder / "data") is None
    assert import_source(store, "adw", agents).appended == 0


def test_a_disk_that_cannot_read_one_ledger_leaves_the_others_to_be_refreshed(tmp_path: Path) -> None:
    """As a bad sector does; found above by refusing a read."""
    for name in ("u", "v", "w"):
        DirectoryStore(tmp_path).append([cost_observed(name, cost_usd=1)])

    class BadSector(Files):
        def read(self, file: OpenFile, offset: int, count: int) -> bytes:
            if os.path.samestat(os.fstat(file.fd), os.stat(tmp_path / "ledgers/v.jsonl")):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(file, offset, count)

    history = MemoryHistory()
    report = refresh(DirectoryStore(tmp_path, files=BadSector()), history)
    assert [(problem.workflow_id, type(problem.error)) for problem in report.problems] == [("v", LedgerUnavailable)]
    assert [row.adw_id for row in history.rows()] == ["u", "w"]


def test_an_error_that_is_kept_keeps_no_ledger_locked(tmp_path: Path) -> None:
    """Its traceback keeps the file open; found above as a wait without an end."""
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])

    class Stuck(Files):
        def size(self, file: OpenFile) -> int:  # noqa: ARG002
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def unlock(self, file: OpenFile) -> None:  # noqa: ARG002
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(LedgerUnavailable) as kept:
        DirectoryStore(tmp_path, files=Stuck()).read("w")
    assert DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=2)])[0].seq == 3
    assert kept.value.path == tmp_path / "ledgers/w.jsonl"


def test_a_lock_that_cannot_be_unlocked_is_let_go_after_the_sync_that_failed_too(tmp_path: Path) -> None:
    """The error of the sync keeps the file open; found above as a wait without an end."""
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])

    class Stuck(Files):
        fenced: ClassVar[set[Path]] = set()  # its own, as another process has

        def unlock(self, file: OpenFile) -> None:  # noqa: ARG002
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def sync(self, file: OpenFile) -> None:  # noqa: ARG002
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(LedgerUnavailable) as kept:
        DirectoryStore(tmp_path, files=Stuck()).append([cost_observed("w", cost_usd=2, id="a")])
    assert DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=2, id="a")])[0].seq == 3
    assert kept.value.path == tmp_path / "ledgers/w.jsonl"
