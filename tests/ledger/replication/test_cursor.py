from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import (
    CostledgerError,
    DamagedLedger,
    Diverged,
    LedgerUnavailable,
    ReplicaRefused,
    ReplicaUnavailable,
)
from ledger.replication.cursor import BlockedLedger, Cursor, blocked_by, cursor_path, last_replica
from ledger.storage.line import Head

NAMES = st.sampled_from("abc")
steps = st.lists(
    st.tuples(st.just("acknowledge"), st.dictionaries(NAMES, st.integers(1, 9), min_size=1))
    | st.tuples(st.just("block"), st.dictionaries(NAMES, st.sampled_from(["parted", "damaged"]), min_size=1)),
    max_size=6,
)


def cursor(data: Path, identity: str = "engine", origin: str = "o") -> Cursor:
    return Cursor(cursor_path(data), identity, origin, "nats://h")


@settings(max_examples=30)
@given(steps)
def test_what_was_stored_is_there_when_it_is_opened_again(
    tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[str, dict[str, int | str]]]
) -> None:
    data = tmp_path_factory.mktemp("data")
    heads: dict[str, Head] = {}
    blocked: dict[str, BlockedLedger] = {}
    for kind, names in taken:
        with closing(cursor(data)) as at:
            if kind == "acknowledge":
                more = {name: Head(int(seq), 10 * int(seq), "h") for name, seq in names.items()}
                at.acknowledge(more, "2026-01-01T00:00:00.000000Z")
                heads |= more
                blocked = {name: one for name, one in blocked.items() if name not in more}
            else:
                one_each = [BlockedLedger(name, str(why), "p") for name, why in names.items()]
                at.block(one_each)
                blocked |= {one.workflow_id: one for one in one_each}
    with closing(cursor(data)) as at:
        assert (at.heads, at.blocked) == (heads, blocked)
    replica, stored, held = last_replica(data, "o")
    assert replica is not None
    assert (replica.identity, replica.address, stored, held) == ("engine", "nats://h", heads, blocked)


def test_another_replica_and_another_origin_have_acknowledged_nothing(tmp_path: Path) -> None:
    with closing(cursor(tmp_path)) as at:
        at.acknowledge({"w": Head(3, 30, "h")}, "2026-01-01T00:00:00.000000Z")
    for other in (("engine 2", "o"), ("engine", "o2")):
        with closing(cursor(tmp_path, *other)) as at:
            assert at.heads == {}
    assert last_replica(tmp_path, "o")[1] == {"w": Head(3, 30, "h")}


def test_a_problem_is_stored_until_it_is_over(tmp_path: Path) -> None:
    with closing(cursor(tmp_path)) as at:
        for problem in ("away", "away", None):
            at.set_problem(problem)
            replica = last_replica(tmp_path, "o")[0]
            assert replica is not None
            assert replica.problem == problem


def test_without_a_file_nothing_is_made_and_a_file_of_others_is_an_error(tmp_path: Path) -> None:
    assert last_replica(tmp_path, "o") == (None, {}, {})
    assert list(tmp_path.iterdir()) == []
    cursor_path(tmp_path).write_bytes(b"no database" * 100)
    with pytest.raises(ReplicaUnavailable):
        last_replica(tmp_path, "o")
    with pytest.raises(ReplicaUnavailable):
        cursor(tmp_path)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Diverged("w", "o", 3, "p"), "parted"),
        (ReplicaRefused("nats://h", "p"), "refused"),
        (DamagedLedger(Path("w.jsonl"), 1, 0, "p"), "damaged"),
        (LedgerUnavailable(Path("w.jsonl"), "read", OSError(13, "denied")), "unreadable"),
    ],
)
def test_an_error_says_why_a_ledger_is_blocked(error: CostledgerError, why: str) -> None:
    assert blocked_by("w", error) == BlockedLedger("w", why, str(error))
