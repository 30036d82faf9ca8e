"""Salvage: what verifies is kept, what does not is named, and nobody is told a wrong receipt."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DamagedLedger, NothingToSalvage, UnknownWorkflow
from ledger.events import cost_observed, event, workflow_started
from ledger.files import Files, OpenFile
from ledger.salvage import salvage
from ledger.store import DirectoryStore


def filled(folder: Path, count: int = 6) -> DirectoryStore:
    store = DirectoryStore(folder, durability="none")
    store.append([workflow_started("w", issue_number=17)])
    for number in range(count):
        store.append([cost_observed("w", agent=f"a{number}", cost_usd=f"0.{number}1", id=f"e{number}")])
    store.append([event({"type": "workflow_started", "workflow_id": "w", "branch": {"n": [1, None]}, "id": "odd"})])
    return store


def told(store: DirectoryStore) -> list[tuple[str, object]]:
    return [(line["id"], line.get("cost_usd")) for line in store.read("w") if line["type"] != "ledger_opened"]


def test_a_flipped_byte_costs_one_event(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path, before = store.ledger_path("w"), told(store)
    damaged = path.read_bytes().replace(b'"0.31"', b'"9.31"')
    path.write_bytes(damaged)
    with pytest.raises(DamagedLedger):
        told(store)
    done = salvage(store, "w")
    assert (done.kept, [lost.line for lost in done.left_out]) == (7, [6])
    assert done.damaged.read_bytes() == damaged
    assert told(store) == [pair for pair in before if pair[0] != "e3"]
    assert DirectoryStore(tmp_path).append([cost_observed("w", agent="a1", cost_usd="0.11", id="e1")])[0].duplicate
    assert DirectoryStore(tmp_path).append([cost_observed("w", agent="a3", cost_usd="0.31", id="e3")])[0].seq == 9
    assert [line.get("branch") for line in store.read("w")][-2] == {"n": [1, None]}


@given(st.data())
@settings(max_examples=60)
def test_whatever_is_damaged_the_rest_is_kept(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    store = filled(tmp_path_factory.mktemp("salvage"))
    path, before = store.ledger_path("w"), dict(told(store))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        how = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        if how == "flip":
            raw[at] ^= 1
        elif how == "cut":
            del raw[at : at + data.draw(st.integers(1, 40))]
        else:
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    path.write_bytes(raw)
    try:
        done = salvage(store, "w")
    except NothingToSalvage:
        return  # only the end was cut, which the next writer mends
    assert done.damaged.read_bytes() == raw
    if store.size("w") is None:
        return  # nothing verified at all
    kept = dict(told(store))
    assert len(kept) == done.kept
    assert kept.items() <= before.items(), "nothing is kept that was not there"
    assert len(before) - len(kept) <= 2 * len(done.left_out)
    assert DirectoryStore(store.path).append([cost_observed("w", cost_usd=1)])[0].seq == done.kept + 2


def test_a_whole_ledger_and_a_torn_tail_are_left_alone(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with pytest.raises(NothingToSalvage):
        salvage(store, "w")
    with store.ledger_path("w").open("ab") as file:
        file.write(b'{"v":1,"se')
    with pytest.raises(NothingToSalvage):
        salvage(store, "w")
    with pytest.raises(UnknownWorkflow):
        salvage(store, "v")


def test_a_writer_about_to_acknowledge_on_the_old_file_ends_with_a_right_receipt(tmp_path: Path) -> None:
    other = filled(tmp_path)
    path = other.ledger_path("w")

    class Salvaged(Files):
        """Between this writer's write and its sync, the ledger is damaged and salvaged."""

        done = False

        def sync(self, file: OpenFile) -> None:
            super().sync(file)
            if not self.done and b'"mine"' in path.read_bytes():
                self.done = True
                path.write_bytes(path.read_bytes().replace(b'"0.31"', b'"9.31"'))
                salvage(other, "w")

    receipt = DirectoryStore(tmp_path, files=Salvaged()).append([cost_observed("w", cost_usd=1, id="mine")])[0]
    line = next(line for line in other.read("w") if line["id"] == "mine")
    assert (receipt.seq, receipt.hash, receipt.duplicate) == (line["seq"], line["hash"], False)


def test_a_refused_call_replaces_nothing(tmp_path: Path) -> None:
    from ledger.errors import LedgerUnavailable

    store = filled(tmp_path)
    path = store.ledger_path("w")
    path.write_bytes(path.read_bytes().replace(b'"0.31"', b'"9.31"'))
    before = path.read_bytes()

    class Refusing(Files):
        def sync(self, file: OpenFile) -> None:  # noqa: ARG002
            raise OSError(5, "Input/output error")

    with pytest.raises(LedgerUnavailable):
        salvage(store, "w", files=Refusing())
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["w.jsonl"]


def test_events_that_were_appended_below_damage_are_kept_with_those_above_it(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path, before = store.ledger_path("w"), told(store)
    path.write_bytes(path.read_bytes().replace(b'"0.31"', b'"9.31"'))
    receipt = DirectoryStore(tmp_path).append([cost_observed("w", agent="later", cost_usd=7, id="later")])[0]
    with pytest.raises(DamagedLedger, match="salvage before restoring a backup") as found:
        told(store)
    assert found.value.line < receipt.seq
    salvage(store, "w")
    assert told(store) == [pair for pair in before if pair[0] != "e3"] + [("later", "7.00")]


def test_nothing_is_appended_to_a_damaged_last_line(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = store.ledger_path("w")
    raw = path.read_bytes()
    path.write_bytes(raw[:-90] + bytes([raw[-90] ^ 1]) + raw[-89:])
    with pytest.raises(DamagedLedger, match="the last line"):
        DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=7)])
