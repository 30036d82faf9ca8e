"""Salvage: what verifies is kept, what does not is named, and no receipt is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DamagedLedger, NothingToSalvage, NothingVerifies, UnknownWorkflow
from ledger.events.event import cost_observed, event, workflow_started
from ledger.maintenance.salvage import Salvage, salvage, salvaged_before
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify


def filled(folder: Path, count: int = 6) -> DirectoryStore:
    store = DirectoryStore(folder, durability="none")
    store.append([workflow_started("w", issue_number=17)])
    for number in range(count):
        store.append([cost_observed("w", agent=f"a{number}", cost_usd=f"0.{number}1", id=f"e{number}")])
    store.append([event({"type": "workflow_started", "workflow_id": "w", "sprint": {"n": [1, None]}, "id": "odd"})])
    return store


def costs_by_id(store: DirectoryStore) -> list[tuple[str, object]]:
    return [(line["id"], line.get("cost_usd")) for line in store.read("w") if line["type"] != "ledger_opened"]


def test_a_flipped_byte_costs_one_event(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path, before = store.ledger_path("w"), costs_by_id(store)
    damaged = path.read_bytes().replace(b'"0.31"', b'"9.31"')
    path.write_bytes(damaged)
    with pytest.raises(DamagedLedger):
        costs_by_id(store)
    done = salvage(store, "w")
    assert (done.kept, [lost.line for lost in done.left_out]) == (7, [6])
    assert done.damaged.read_bytes() == damaged
    assert costs_by_id(store) == [pair for pair in before if pair[0] != "e3"]
    assert DirectoryStore(tmp_path).append([cost_observed("w", agent="a1", cost_usd="0.11", id="e1")])[0].duplicate
    assert DirectoryStore(tmp_path).append([cost_observed("w", agent="a3", cost_usd="0.31", id="e3")])[0].seq == 9
    assert [line.get("sprint") for line in store.read("w")][-2] == {"n": [1, None]}


class Killed(BaseException):
    pass


class Killing(Files):
    """The process is killed at the n-th call: nothing more is done, not even undone."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self._counted(found) if name in vars(Files) and not name.startswith("_") else found

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls >= self.at:
                raise Killed
            return call(*args, **kwargs)

        return counted


def damaged(data: st.DataObject, raw: bytes) -> bytes:
    """A ledger with bytes flipped, cut or put in at one place."""
    content, at = bytearray(raw), data.draw(st.integers(0, len(raw) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "insert"]))
    if how == "flip":
        content[at] ^= 1
    elif how == "cut":
        del content[at : at + data.draw(st.integers(1, 40))]
    else:
        content[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    return bytes(content)


def shuffled(data: st.DataObject, raw: bytes, foreign: bytes) -> bytes:
    """A ledger of which a block of lines stands twice, elsewhere, or has lines of another one behind it."""
    lines = raw.splitlines(keepends=True)
    start = data.draw(st.integers(0, len(lines) - 1))
    block = lines[start : start + data.draw(st.integers(1, 6))]
    how = data.draw(st.sampled_from(["repeat", "move", "foreign"]))
    if how == "move":
        del lines[start : start + len(block)]
    elif how == "foreign":
        others = foreign.splitlines(keepends=True)
        block = others[data.draw(st.integers(0, len(others) - 1)) :]
    at = data.draw(st.integers(0, len(lines)))
    lines[at:at] = block
    return b"".join(lines)


@given(st.data())
@settings(max_examples=100)
def test_whatever_is_damaged_the_rest_is_kept(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Each event of the undamaged ledger at most once and in order, nothing else; what was only moved is all kept."""
    store, history = filled(tmp_path_factory.mktemp("salvage")), MemoryHistory()
    store.append([cost_observed("v", agent=name, cost_usd=5, id=name) for name in "abc"])
    refresh(store, history)
    path, before = store.ledger_path("w"), costs_by_id(store)
    raw, foreign = path.read_bytes(), store.ledger_path("v").read_bytes()
    for _ in range(data.draw(st.integers(0, 2))):
        raw = shuffled(data, raw, foreign)
    damages = data.draw(st.integers(0, 3))
    for _ in range(damages):
        raw = damaged(data, raw)
    path.write_bytes(raw)
    killed_at = data.draw(st.one_of(st.none(), st.integers(1, 60)))
    if killed_at is not None:
        with contextlib.suppress(Killed, NothingToSalvage, NothingVerifies):
            salvage(store, "w", files=Killing(killed_at))
    try:
        done: Salvage | None = salvage(store, "w")
    except NothingVerifies:
        assert path.read_bytes() == raw
        return
    except NothingToSalvage:
        checkpoint = history.checkpoints()["w"]
        done = salvaged_before(store, "w", checkpoint)  # None: at most its end was cut, which the next writer mends
        salvaged = next(iter(store.read("w"))).get("salvaged", False)
        assert (done is not None) == (salvaged and checkpoint.hash.encode() in raw)
    if done is None:
        DirectoryStore(store.path).open("w")
        kept = costs_by_id(store)
    else:
        assert done.damaged.read_bytes() == raw
        kept = costs_by_id(store)
        assert len(kept) == done.kept
        assert killed_at or len(before) - len(kept) <= 2 * len(done.left_out)
    history.forget("w")
    assert list(path.parent.glob("*.copy")) == []
    assert kept == [pair for pair in before if pair in kept], "each at most once, in order, and no other"
    assert kept == before or damages
    refresh(store, history, pure=True)
    assert [finding.problem for finding in verify(store, history, Proof())] == []
    assert DirectoryStore(store.path).append([cost_observed("w", cost_usd=1)])[0].seq == len(kept) + 2


def test_a_ledger_that_was_appended_to_itself_holds_each_event_once(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path, before = store.ledger_path("w"), costs_by_id(store)
    path.write_bytes(path.read_bytes() * 2)
    done = salvage(store, "w")
    assert costs_by_id(store) == before
    assert [lost.line for lost in done.left_out] == list(range(10, 19))
    assert (done.left_out[0].problem, done.left_out[2].problem) == ("opens the ledger once more", "repeats event 'e0'")


def test_blocks_that_stand_in_another_order_are_put_in_their_own(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path, before = store.ledger_path("w"), costs_by_id(store)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[5:7] + lines[2:5] + lines[7:]))
    assert salvage(store, "w").left_out == []
    assert costs_by_id(store) == before


def test_lines_of_another_workflow_are_left_out_and_named(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.append([cost_observed("v", agent=name, cost_usd=5, id=name) for name in "abc"])
    path, other, before = store.ledger_path("w"), store.ledger_path("v"), costs_by_id(store)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    done = salvage(store, "w")
    assert costs_by_id(store) == before
    assert [lost.line for lost in done.left_out] == [10, 11, 12, 13]
    assert done.left_out[0].problem == "is not the opening line of ledger 'w'"
    assert done.left_out[-1].problem == "is a line of ledger 'v'"
    copy = store.ledger_path("x")
    copy.write_bytes(other.read_bytes())
    with pytest.raises(NothingVerifies, match="restore the file from a backup"):
        salvage(store, "x")
    assert copy.read_bytes() == other.read_bytes()


def test_a_ledger_of_which_no_event_verifies_is_left_as_it_is(tmp_path: Path) -> None:
    store = filled(tmp_path, 0)
    path = store.ledger_path("w")
    opening, rest = path.read_bytes().split(b"\n", 1)
    for content in (b"{}\n" * 9, opening + b"\n" + rest.replace(b'"type"', b'"Type"').replace(b'"hash"', b'"Hash"')):
        path.write_bytes(content)
        with pytest.raises(NothingVerifies):
            salvage(store, "w")
        assert path.read_bytes() == content
    path.write_bytes(opening + b"X")  # nothing but an opening line was there, and its newline is lost
    assert (salvage(store, "w").kept, costs_by_id(store)) == (0, [])
    assert store.append([cost_observed("w", cost_usd=1)])[0].seq == 2


@pytest.mark.parametrize("end", [b"X", b"\r", b"\r\n", b"x" * 1_000_000, b"\nx" + b"x" * 1_000_000, b"x\n\n"])
def test_what_the_writer_refuses_is_mended_with_every_event(tmp_path: Path, end: bytes) -> None:
    """Also a last line whose newline was overwritten, or that another million bytes follow."""
    store = filled(tmp_path)
    path, before = store.ledger_path("w"), costs_by_id(store)
    path.write_bytes(path.read_bytes()[:-1] + end)
    with pytest.raises(DamagedLedger):
        DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])
    assert salvage(store, "w").left_out
    assert costs_by_id(store) == before
    assert DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])[0].seq == 10


def test_a_ledger_with_the_newlines_of_another_system_is_kept_whole(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path, before = store.ledger_path("w"), costs_by_id(store)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert {lost.size_bytes for lost in salvage(store, "w").left_out} == {1}
    assert costs_by_id(store) == before


def test_a_ledger_without_a_newline_is_kept_whole_however_large(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.append([cost_observed("w", agent="a" * 100 + str(number), cost_usd=1) for number in range(6000)])
    path, before = store.ledger_path("w"), costs_by_id(store)
    path.write_bytes(path.read_bytes().replace(b"\n", b" "))
    assert {lost.line for lost in salvage(store, "w").left_out} == {1}
    assert costs_by_id(store) == before


def test_a_whole_last_line_that_lacks_its_newline_is_kept_beside_damage_elsewhere(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path, before = store.ledger_path("w"), costs_by_id(store)
    path.write_bytes(path.read_bytes().replace(b'"0.31"', b'"9.31"')[:-1])
    salvage(store, "w")
    assert costs_by_id(store) == [pair for pair in before if pair[0] != "e3"]


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
    path, before = store.ledger_path("w"), costs_by_id(store)
    path.write_bytes(path.read_bytes().replace(b'"0.31"', b'"9.31"'))
    receipt = DirectoryStore(tmp_path).append([cost_observed("w", agent="later", cost_usd=7, id="later")])[0]
    with pytest.raises(DamagedLedger, match="salvage before you restore a backup") as found:
        costs_by_id(store)
    assert found.value.line < receipt.seq
    salvage(store, "w")
    assert costs_by_id(store) == [pair for pair in before if pair[0] != "e3"] + [("later", "7.00")]


def test_nothing_is_appended_to_a_damaged_last_line(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = store.ledger_path("w")
    raw = path.read_bytes()
    path.write_bytes(raw[:-90] + bytes([raw[-90] ^ 1]) + raw[-89:])
    with pytest.raises(DamagedLedger, match="the last line"):
        DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=7)])
