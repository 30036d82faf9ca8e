"""Bytes that no writer meant: bit rot in a ledger that has a row, any bytes as a ledger, endless lines and nesting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import DamagedLedger
from ledger.events.event import cost_observed, workflow_ended
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.reader import LedgerReader
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from tests.conftest import PROJECT, SteppingClock

FLIPS = (0x01, 0x80)


def test_every_flipped_byte_is_found_and_no_row_changes_silently(tmp_path: Path) -> None:
    clock = SteppingClock()
    store = DirectoryStore(tmp_path, durability="none", clock=clock)
    for agent, cost in (("plan", "0.09"), ("build", "2.28")):
        store.append([cost_observed("w", agent=agent, cost_usd=cost, usage={"output_tokens": 7})])
        store.append([cost_observed("other", agent=agent, cost_usd=cost)])
    store.append([workflow_ended("w", "completed")])
    history = MemoryHistory()
    refresh(store, history)
    row, path = history.row("w"), store.ledger_path("w")
    raw = path.read_bytes()
    found = 0
    for at in range(len(raw)):
        for flip in FLIPS:
            path.write_bytes(raw[:at] + bytes([raw[at] ^ flip]) + raw[at + 1 :])
            fresh = DirectoryStore(tmp_path, durability="none", clock=clock)
            findings = {finding.workflow_id for finding in verify(fresh, history, Proof())}
            assert findings == {"w"}, f"byte {at}"
            looked = refresh(fresh, history, unchanged_too=True)  # since the size is as before
            assert [problem.workflow_id for problem in looked.problems] == ["w"], f"byte {at}"
            assert history.row("w") == row
            found += 1
    assert found == len(FLIPS) * len(raw)
    path.write_bytes(raw)
    assert list(verify(store, history, Proof())) == []


def test_damage_below_a_new_event_is_found_before_it_reaches_the_row(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for agent in ("plan", "build", "test"):
        store.append([cost_observed("w", agent=agent, cost_usd="0.09")])
    history = MemoryHistory()
    refresh(store, history)
    row, path = history.row("w"), store.ledger_path("w")
    raw = path.read_bytes()
    at = raw.index(b'"0.09"') + 3
    path.write_bytes(raw[:at] + b"9" + raw[at + 1 :])
    DirectoryStore(tmp_path).append([cost_observed("w", agent="review", cost_usd="1.00")])  # sees the last lines only
    report = refresh(DirectoryStore(tmp_path), history)
    assert [type(problem.error) for problem in report.problems] == [DamagedLedger]
    assert history.row("w") == row


@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([b"\n", b'{"v":1,"seq":1,', b',"hash":"', b'"}\n', b"\0" * 9]))
)
@example([b"\0" * 300_000])
@settings(max_examples=200)
def test_any_bytes_as_a_ledger_are_read_or_refused_and_never_lost(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    raw = b"".join(parts)
    reader = LedgerReader("w", Path("w.jsonl"), lambda at, count: raw[at : at + count], len(raw))
    try:
        assert list(reader) == []
        assert reader.torn_bytes == len(raw)
    except DamagedLedger as error:
        assert 0 <= error.byte <= len(raw)
    store = DirectoryStore(tmp_path_factory.mktemp("any"), durability="none")
    path = store.ledger_path("w")
    path.parent.mkdir()
    path.write_bytes(raw)
    try:
        store.append([cost_observed("w", cost_usd=1)])
        aside = path.with_name("w.jsonl.torn-1")
        assert (aside.read_bytes() if aside.exists() else b"") == raw.rstrip(b"\0")
    except DamagedLedger:
        assert path.read_bytes() == raw


BOUNDED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (900_000_000, 900_000_000))
from ledger.errors import DamagedLedger
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
folder = Path(sys.argv[1])
store = DirectoryStore(folder / "data")
report = import_source(store, "claude-stream", folder / "endless.jsonl", workflow_id="w")
assert [skipped.line for skipped in report.skipped] == [1], report.skipped
try:
    list(store.read("long"))
except DamagedLedger as error:
    print("refused:", error.problem)
"""


@pytest.mark.campaign
def test_a_line_of_a_gigabyte_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    ledger = tmp_path / "data/ledgers/long.jsonl"
    ledger.parent.mkdir(parents=True)
    for path in (tmp_path / "endless.jsonl", ledger):
        with path.open("wb") as file:
            for _ in range(1024):
                file.write(b'{"a":"' + b"y" * (1024 * 1024 - 6))
    command = [sys.executable, "-c", BOUNDED, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("refused: no line ends within")
