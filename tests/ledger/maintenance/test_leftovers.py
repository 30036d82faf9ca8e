from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import DirectoryStore, cost_observed
from ledger.maintenance.leftovers import Leftovers, leftovers_in

names = st.sampled_from(
    ["w.jsonl", "w.jsonl.fenced", "v.jsonl.torn-1", "v.jsonl.torn-12", "w.jsonl.damaged-2", "w.jsonl.copy", "notes.txt",
     "jsonl.torn", "w.jsonl.torn-x"]
)  # fmt: skip


@settings(max_examples=30)
@given(st.sets(names))
def test_each_leftover_is_listed_under_its_kind_and_nothing_else_is(
    tmp_path_factory: pytest.TempPathFactory, made: set[str]
) -> None:
    data = tmp_path_factory.mktemp("data")
    (data / "ledgers").mkdir()
    for name in made:
        (data / "ledgers" / name).touch()
    found = leftovers_in(data)
    assert found.fenced == sorted(made & {"w.jsonl.fenced"})
    assert found.torn == sorted(made & {"v.jsonl.torn-1", "v.jsonl.torn-12"})
    assert found.damaged == sorted(made & {"w.jsonl.damaged-2"})


def test_a_directory_without_failures_has_none(tmp_path: Path) -> None:
    assert leftovers_in(tmp_path) == Leftovers()
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd="1")])
    assert leftovers_in(tmp_path) == Leftovers()


def test_a_torn_tail_that_the_next_writer_moved_is_listed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd="1")])
    with store.ledger_path("w").open("ab") as file:
        file.write(b'{"v":1,"seq":3,')
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd="2")])
    assert leftovers_in(tmp_path) == Leftovers(torn=["w.jsonl.torn-1"])
