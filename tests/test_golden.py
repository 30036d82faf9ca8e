"""Invariant 9: ledgers of every format version fold to the same rows for ever.

`tests/golden/format-<n>/` holds a ledger written by the version that introduced format n, and the row it made;
`format-1/b6c91c06.jsonl` one with the fields `counter`, `subagent`, `skill` and `plugin`, `format-1/c7da2d17.jsonl` one
with moves. These files are never changed; a new format adds a folder.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from ledger.events.event import FORMAT_VERSION, cost_observed
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project

GOLDEN = sorted((Path(__file__).parent / "golden").iterdir())


def test_every_format_version_has_its_golden_ledger() -> None:
    assert [folder.name for folder in GOLDEN] == [f"format-{number}" for number in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_a_golden_ledger_folds_to_its_row(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ledgers").mkdir()
    shutil.copy(folder / "a5b80595.jsonl", tmp_path / "ledgers")
    store = DirectoryStore(tmp_path)
    assert asdict(project(store, "a5b80595").row) == json.loads((folder / "row.json").read_text())
    assert store.append([cost_observed("a5b80595", cost_usd="0.09", agent="plan", id="e2")])[0].duplicate
    assert store.append([cost_observed("a5b80595", cost_usd="9.00")])[0].seq > 1


def test_attempts_and_sub_agents_fold_to_their_row(tmp_path: Path) -> None:
    (tmp_path / "ledgers").mkdir()
    shutil.copy(GOLDEN[0] / "b6c91c06.jsonl", tmp_path / "ledgers")
    expected = json.loads((GOLDEN[0] / "b6c91c06.row.json").read_text())
    row = asdict(project(DirectoryStore(tmp_path), "b6c91c06").row)
    assert {name: row[name] for name in expected} == expected


def test_moves_fold_to_their_row(tmp_path: Path) -> None:
    (tmp_path / "ledgers").mkdir()
    shutil.copy(GOLDEN[0] / "c7da2d17.jsonl", tmp_path / "ledgers")
    expected = json.loads((GOLDEN[0] / "c7da2d17.row.json").read_text())
    found = project(DirectoryStore(tmp_path), "c7da2d17")
    assert [list(move) for move in found.moves] == expected["moves"]
    row = asdict(found.row)
    assert {name: row[name] for name in expected["row"]} == expected["row"]
