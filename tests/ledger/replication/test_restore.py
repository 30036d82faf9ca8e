"""Restore: the ledgers of a lost host from the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import DamagedLedger, InvalidInput
from ledger.replication.replica import ChainHead, ChainSegment
from ledger.replication.restore import restore
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.origin import keep_origin
from tests.ledger.replication.faulty_replica import append, caught_up, ledgers
from tests.ledger.replication.memory_replica import MemoryReplica


def test_a_lost_host_is_restored_byte_for_byte_and_goes_on(tmp_path: Path) -> None:
    store, replica = DirectoryStore(tmp_path / "lost"), MemoryReplica()
    for name in ("w", "v.1", "--skip-e2e"):
        append(store, name, 40)
    caught_up(store, replica)
    first = store.ledger_path("w").read_bytes().split(b"\n")[:3]
    replica.repeat(ChainSegment(ChainHead("w", store.origin, 0, ""), [line + b"\n" for line in first]))
    done = restore(replica, tmp_path / "new")
    new = DirectoryStore(tmp_path / "new")
    assert ledgers(new) == ledgers(store)
    assert (done.origin, done.ledgers, done.events, done.problems) == (store.origin, 3, 123, [])
    assert new.origin == store.origin
    assert caught_up(new, replica)[0].lines == 38, "the chain of w ends with what was repeated, and is completed"
    append(new, "w")
    assert caught_up(new, replica)[0].lines == 1
    with pytest.raises(InvalidInput, match="has ledgers already"):
        restore(replica, tmp_path / "new")


def test_a_restore_names_the_origins_and_what_it_could_not_restore(tmp_path: Path) -> None:
    one, two, replica = DirectoryStore(tmp_path / "1"), DirectoryStore(tmp_path / "2"), MemoryReplica()
    with pytest.raises(InvalidInput, match="has no ledgers"):
        restore(replica, tmp_path / "new")
    append(one, "w", 5)
    append(two, "v", 1)
    caught_up(one, replica)
    caught_up(two, replica)
    with pytest.raises(InvalidInput, match=f"{two.origin} \\(1 ledger\\)"):
        restore(replica, tmp_path / "new")
    for mistyped in ("", one.origin[:-1], "../*", "*"):
        with pytest.raises(InvalidInput, match=f"no ledgers of origin .*it has: .*{one.origin} \\(1 ledger\\)"):
            restore(replica, tmp_path / "new", origin=mistyped)
    assert not (tmp_path / "new").exists(), "nothing was written"
    replica.stored = [line for line in replica.stored if line.head.seq != 3]
    done = restore(replica, tmp_path / "new", origin=one.origin)
    (problem,) = done.problems
    assert isinstance(problem.error, DamagedLedger)
    assert problem.error.line == 3
    new = DirectoryStore(tmp_path / "new")
    assert ledgers(one)["w"].startswith(ledgers(new)["w"])
    keep_origin(new.path)
