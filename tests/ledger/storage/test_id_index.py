"""What a journal remembers of the ids it has looked through: never a wrong "no", seldom a needless "maybe"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import ConflictingEvent
from ledger.events.event import cost_observed, event, workflow_started
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.id_index import IdIndex, index_path
from ledger.storage.line import chain_hash, following

PATH = Path("w.jsonl")
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(str.isprintable)


OPENED = b"{" + following("0" * 64)
"""What stands before the first line; it need only end as a line does."""


def extended(ledger: bytes, *ids: str) -> bytes:
    for id in ids:
        body = b'{"v":1,"seq":2,"id":%b,"type":"cost_observed","hash":"' % orjson.dumps(id)
        ledger += body + following(chain_hash(ledger[-67:], body))
    return ledger


@pytest.fixture(params=[1000, 100_000])
def look_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """How much is looked through at once: some lines of these small ledgers, or all. The index goes to `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ledger.storage.id_index._INDEXED_BYTES", request.param)
    return int(request.param)


@pytest.mark.usefixtures("look_bytes")
@given(st.lists(IDS, unique=True, min_size=40, max_size=120), st.lists(st.integers(1, 30), max_size=8))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_there_is_found_and_nothing_else(ids: list[str], steps: list[int]) -> None:
    seen, ledger, at = IdIndex(), OPENED, 0
    for step in [*steps, len(ids)]:
        ledger = extended(ledger, *ids[at : at + step])
        at += step
        assert seen.find(ledger, len(ledger), {*ids, "absent "}, PATH).keys() == set(ids[:at])
        assert seen.find(ledger, len(ledger), {ids[0], ids[-1]}, PATH).keys() == {ids[0], ids[-1]} & set(ids[:at])


class Watched(bytes):
    """A ledger that counts the bytes in which something is looked for."""

    searched = 0

    def find(self, sub: bytes, start: int = 0) -> int:  # type: ignore[override]
        Watched.searched += len(self) - start
        return super().find(sub, start)


@pytest.mark.usefixtures("look_bytes")
def test_a_ledger_looked_through_is_seldom_searched_again_however_far_it_grows() -> None:
    seen, plain, searched = IdIndex(), OPENED, 0
    Watched.searched = 0
    for seq in range(4000):
        plain = extended(plain, f"e{seq}")
        seen.find(Watched(plain), len(plain), {f"absent{seq}"}, PATH)
        searched += len(plain)
    assert Watched.searched < searched / 10


@pytest.mark.parametrize("how", ["append", "replace", "cut and grow", "write another"])
def test_what_others_did_to_the_file_is_seen(tmp_path: Path, how: str) -> None:
    """One process remembers; another appends, or the file is replaced, or cut and grown again behind its back."""
    mine, other = DirectoryStore(tmp_path, durability="none"), DirectoryStore(tmp_path, durability="none")
    path = mine.ledger_path("w")
    for number in range(60):
        mine.append([cost_observed("w", cost_usd=1, id=f"mine{number}")])
    whole = path.read_bytes()
    if how == "append":
        other.append([cost_observed("w", cost_usd=1, id="theirs")])
    elif how == "replace":
        other.append([cost_observed("w", cost_usd=1, id="theirs")])
        new = tmp_path / "new"
        new.write_bytes(path.read_bytes())
        new.replace(path)
    elif how == "cut and grow":
        mine._journal("w")._tail = None  # noqa: SLF001 (as after an error of its own)
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:30]))
        for number in range(60):
            DirectoryStore(tmp_path, durability="none").append([cost_observed("w", cost_usd=1, id=f"{number}")])
        other = DirectoryStore(tmp_path, durability="none")
        other.append([cost_observed("w", cost_usd=1, id="theirs")])
    else:
        other.append([cost_observed("w", cost_usd=1), cost_observed("w", cost_usd=1, id="theirs")])
    assert mine.append([cost_observed("w", cost_usd=1, id="theirs")])[0].duplicate
    assert mine.append([cost_observed("w", cost_usd=1, id="mine1")])[0].duplicate
    assert not mine.append([cost_observed("w", cost_usd=1, id="new")])[0].duplicate


LIKE_OURS: dict[str, object] = {
    "types": [{"type": "workflow_"}] * 2_000,
    "ids": [{"a": 1, "id": "x", "type": "cost_observed"}] * 2_000,
    "lines": [{"v": 1, "seq": 2, "id": "x", "type": "workflow_started", "run": 7}] * 1_500,
    "text": '{"v":1,"seq":2,"id":"x","type":"workflow_started","run":7}' * 1_500,
}


@pytest.mark.parametrize("name", LIKE_OURS)
def test_a_callers_own_fields_that_look_like_ours_are_passed_over_once_a_line(name: str, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, durability="none")
    reading = {"type": "cost_observed", "workflow_id": "w", "cost_usd": "1", "own": LIKE_OURS[name]}
    store.append([event(reading | {"id": f"e{number}"}) for number in range(300)])
    again = DirectoryStore(tmp_path, durability="none")
    parsed = Counter[str]()

    def counting(text: bytes) -> object:
        parsed["lines"] += 1
        return orjson.loads(text)

    with pytest.MonkeyPatch.context() as patch:
        own = SimpleNamespace(loads=counting, dumps=orjson.dumps, JSONDecodeError=ValueError)
        patch.setattr("ledger.storage.append.orjson", own)
        (started,) = again.append([workflow_started("w")])
        (taken,) = again.append([event(reading | {"id": "x"})])
        many = again.append([event(reading | {"id": f"new{number}"}) for number in range(20)])
    assert (started.duplicate, taken.duplicate, any(receipt.duplicate for receipt in many)) == (False, False, False)
    assert parsed["lines"] < 10, "a line is parsed when it is the one that is looked for"
    assert [line["run"] for line in again.read("w") if line["type"] == "workflow_started"] == [1]
    assert again.append([event(reading | {"id": "e299"})])[0].duplicate
    assert again.append([event(reading | {"id": "x"})])[0].duplicate


def test_the_id_of_the_opening_line_is_taken(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd=1)])
    opened = next(iter(store.read("w")))["id"]
    for _ in range(3):
        with pytest.raises(ConflictingEvent):
            store.append([cost_observed("w", cost_usd=2, id=opened)])
        store.append([cost_observed("w", cost_usd=2)])


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of some lines has a stored index."""
    monkeypatch.setattr("ledger.storage.id_index._INDEXED_BYTES", 2000)


def append(folder: Path, *ids: str) -> list[bool]:
    """Append as so many processes, one event each; return which events were there before."""
    events = [cost_observed("w", cost_usd=1, id=id) for id in ids]
    return [DirectoryStore(folder, durability="none").append([event])[0].duplicate for event in events]


def many(folder: Path, prefix: str = "e") -> list[str]:
    ids = [f"{prefix}{number}" for number in range(60)]
    assert not any(append(folder, *ids))
    return ids


@pytest.mark.usefixtures("small_parts")
def test_the_next_process_searches_only_what_the_stored_index_lacks(tmp_path: Path) -> None:
    ids = many(tmp_path)
    path = DirectoryStore(tmp_path).ledger_path("w")
    ledger, index = path.read_bytes(), IdIndex()
    Watched.searched = 0
    assert index.find(Watched(ledger), len(ledger), {"absent"}, path) == {}
    assert Watched.searched < 5000 < len(ledger)
    assert all(append(tmp_path, *ids))
    assert append(tmp_path, "new", "new") == [False, True]


def flipped(stored: bytes, ledger: bytes) -> bytes:  # noqa: ARG001
    return stored[:-1] + bytes([stored[-1] ^ 1])


def torn(stored: bytes, ledger: bytes) -> bytes:  # noqa: ARG001
    return stored[: len(stored) // 2]


def empty(stored: bytes, ledger: bytes) -> bytes:  # noqa: ARG001
    return b""


def nuls(stored: bytes, ledger: bytes) -> bytes:  # noqa: ARG001
    return bytes(4)


def another_ledgers_line(stored: bytes, ledger: bytes) -> bytes:
    return ledger[: len(stored)]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("damage", [flipped, torn, empty, nuls, another_ledgers_line])
def test_a_damaged_index_is_not_used_and_made_again(tmp_path: Path, damage: Callable[[bytes, bytes], bytes]) -> None:
    ids = many(tmp_path)
    path = DirectoryStore(tmp_path).ledger_path("w")
    stored = index_path(path).read_bytes()
    index_path(path).write_bytes(damage(stored, path.read_bytes()))
    assert all(append(tmp_path, *ids))
    assert index_path(path).read_bytes()[:100].partition(b"format")[1] == b"format"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("change", ["cut", "other", "restored"])
def test_the_index_of_other_bytes_is_not_used(tmp_path: Path, change: str) -> None:
    """A ledger that was cut and grew again, one of another directory, and an older copy under a newer index."""
    ids = many(tmp_path / "a")
    path = DirectoryStore(tmp_path / "a").ledger_path("w")
    if change == "other":
        ids = many(tmp_path / "b", "f")
        path.write_bytes(DirectoryStore(tmp_path / "b").ledger_path("w").read_bytes())
    else:
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:30]))
        ids = ids[:29]
    if change == "cut":
        ids += many(tmp_path / "a", "g")
    assert all(append(tmp_path / "a", *ids))
    assert append(tmp_path / "a", "e59", "e59") == [False, True]


@pytest.mark.usefixtures("small_parts")
def test_an_index_that_cannot_be_stored_costs_time_and_nothing_else(tmp_path: Path) -> None:
    append(tmp_path, "first")
    path = DirectoryStore(tmp_path).ledger_path("w")
    index_path(path).mkdir()
    ids = many(tmp_path)
    assert all(append(tmp_path, "first", *ids))
    assert sorted(file.name for file in path.parent.iterdir()) == ["w.jsonl", "w.jsonl.ids"]
