"""Public logs of agents that write one total for each session or run."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.events.event import Line
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.sources.agent_samples import BUCKETS, readings

NANO: Final = Decimal("1e-9")
KINDS: Final = ("crush", "mini-swe-agent", "swe-agent")


def called(line: Line, folder: Path) -> str:
    """What `EXPECTED.json` calls a session: its id, or the file of one that has none."""
    file = Path(line["source"]["file"])
    return line["session_id"] or "" if file.suffix == ".db" else str(file.relative_to(folder))


def tokens(figures: dict[str, Any]) -> list[int]:
    return [figures.get(bucket, 0) for bucket in BUCKETS]


@pytest.mark.parametrize("kind", KINDS)
def test_public_totals_are_those_that_the_logs_name(kind: str, shared_data: Path, tmp_path: Path) -> None:
    folder, store = shared_data / kind, DirectoryStore(tmp_path, durability="none")
    assert import_source(store, kind, folder).problems == []
    sessions = json.loads((folder / "EXPECTED.json").read_text())["sessions"]
    wanted = {id: each for id, each in sessions.items() if not each.get("inside_parent")}
    got = {called(line, folder): line for line in readings(store).values()}
    costs = {id: Decimal(each["cost_usd"]).quantize(NANO) for id, each in wanted.items() if "cost_usd" in each}
    unknown = {id for id, each in wanted.items() if each.get("cost_zero_with_calls")}
    assert {id: Decimal(line["cost_usd"]) for id, line in got.items() if "cost_usd" in line} == costs
    assert {id for id, line in got.items() if "cost_usd" not in line} == unknown
    assert {id: tokens(line.get("usage", {})) for id, line in got.items()} == {id: tokens(wanted[id]) for id in got}
    assert all(got[id]["partial"] for id in unknown)
