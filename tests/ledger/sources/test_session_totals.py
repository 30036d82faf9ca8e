"""Agents whose logs have one total for each session: public logs, and what is special to each."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.sources.agent_samples import readings

NANO: Final = Decimal("1e-9")
SHARED: Final = {"crush": ("crush", "{id}")}
"""By kind the folder of public logs, and how a session of its `EXPECTED.json` is called in a ledger."""


@pytest.mark.parametrize("kind", SHARED)
def test_public_totals_are_those_that_the_logs_name(kind: str, shared_data: Path, tmp_path: Path) -> None:
    name, _ = SHARED[kind]
    folder, store = shared_data / name, DirectoryStore(tmp_path, durability="none")
    report = import_source(store, kind, folder)
    assert report.problems == []
    wanted = json.loads((folder / "EXPECTED.json").read_text())["sessions"]
    own = {id: each for id, each in wanted.items() if not each.get("inside_parent")}
    got = {line["session_id"]: line for line in readings(store).values()}
    costs = {id: Decimal(each["cost_usd"]).quantize(NANO) for id, each in own.items() if "cost_usd" in each}
    unknown = {id for id, each in own.items() if each.get("cost_zero_with_calls")}
    assert {id: Decimal(line["cost_usd"]) for id, line in got.items() if "cost_usd" in line} == costs
    assert {id for id, line in got.items() if "cost_usd" not in line} == unknown
    assert all(line["partial"] for line in got.values())
