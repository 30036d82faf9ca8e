"""A ledger rewritten, by a salvage, a renewal, or after a failed sync: the same place, for the same people."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import LedgerUnavailable
from ledger.events.event import cost_observed
from ledger.maintenance.origin_renewal import renew
from ledger.maintenance.salvage import salvage
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile, fence_path, set_fence


def filled(folder: Path) -> DirectoryStore:
    store = DirectoryStore(folder, durability="none")
    store.append([cost_observed("w", agent=f"a{number}", cost_usd=number, id=f"e{number}") for number in range(4)])
    return store


def salvaged(store: DirectoryStore) -> None:
    path = store.ledger_path("w")
    path.write_bytes(path.read_bytes().replace(b'"1.00"', b'"9.00"'))
    salvage(store, "w")


def renewed(store: DirectoryStore) -> None:
    assert renew(store).problems == {}


def copied(store: DirectoryStore) -> None:
    set_fence(Files(), store.ledger_path("w"))
    DirectoryStore(store.path).append([cost_observed("w", cost_usd=1)])
    assert not fence_path(store.ledger_path("w")).exists()


every_rewrite = pytest.mark.parametrize("rewritten", [salvaged, renewed, copied])


@every_rewrite
def test_its_mode_and_owner_stay(tmp_path: Path, rewritten: Callable[[DirectoryStore], None]) -> None:
    store = filled(tmp_path)
    path = store.ledger_path("w")
    before = path.stat()
    if os.geteuid() == 0:  # the cron job of root, and agents of a user and a group of their own
        os.chown(path, 12345, 54321)
    path.chmod(0o664)
    owned = path.stat()
    old = os.umask(0o077)
    try:
        rewritten(store)
    finally:
        os.umask(old)
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o664, owned.st_uid, owned.st_gid)


@every_rewrite
def test_a_symbolic_link_stays_one_and_its_target_is_replaced(
    tmp_path: Path, rewritten: Callable[[DirectoryStore], None]
) -> None:
    store = filled(tmp_path / "data")
    path, target = store.ledger_path("w"), tmp_path / "elsewhere" / "real.jsonl"
    target.parent.mkdir()
    path.rename(target)
    path.symlink_to(target)
    before = target.stat().st_ino
    rewritten(store)
    assert path.is_symlink()
    assert target.stat().st_ino != before
    assert {"e0", "e2", "e3"} <= {line["id"] for line in DirectoryStore(tmp_path / "data").read("w")}


class Killed(BaseException):
    pass


class Killing(Files):
    """The process is killed before a new ledger takes the old one's place: nothing more is done, not even undone."""

    killed = False

    def replace(self, old: Path, new: Path) -> None:
        self.killed = new.suffix == ".jsonl"
        self.remove(old) if self.killed else super().replace(old, new)

    def remove(self, path: Path) -> None:
        if self.killed:
            raise Killed
        super().remove(path)


@every_rewrite
def test_what_a_killed_one_left_behind_is_removed_by_the_next(
    tmp_path: Path, rewritten: Callable[[DirectoryStore], None]
) -> None:
    store = filled(tmp_path)
    path = store.ledger_path("w")
    with pytest.raises(Killed):
        renew(DirectoryStore(tmp_path), files=Killing())
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["w.jsonl", "w.jsonl.copy"]
    rewritten(store)
    assert list(path.parent.glob("*.copy")) == []


def test_a_backup_that_is_restored_meanwhile_stays(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = store.ledger_path("w")
    backup = tmp_path / "backup"
    backup.write_bytes(path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b'"1.00"', b'"9.00"'))
    whole = backup.read_bytes()

    class Restoring(Files):
        def sync(self, file: OpenFile) -> None:
            super().sync(file)
            backup.rename(path)

    with pytest.raises(LedgerUnavailable, match="replaced by hand"):
        salvage(store, "w", files=Restoring())
    assert path.read_bytes() == whole
    assert list(path.parent.glob("*.copy")) == []
