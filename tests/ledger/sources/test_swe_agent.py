"""Trajectories: which files are one run, and what a run costs while its file is written again."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.sources.agent_samples import readings, sample

CART: Final = "trajectories/ann/default__claude/shop__cart-1/shop__cart-1.traj"
MINI: Final = "last_mini_run.traj.json"


def cost(store: DirectoryStore) -> Decimal:
    return sum((Decimal(line.get("cost_usd", 0)) for line in readings(store).values()), Decimal(0))


def changed(file: Path, **stats: Any) -> None:
    run = json.loads(file.read_text())
    run["info"]["model_stats"] |= stats
    file.write_text(json.dumps(run))


def test_a_run_that_goes_on_costs_what_it_cost_last(tmp_path: Path) -> None:
    logs, store = sample("swe-agent", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "swe-agent", logs / CART)
    assert cost(store) == Decimal("0.25")
    changed(logs / CART, instance_cost=0.375, tokens_sent=60000, tokens_received=1000, api_calls=3)
    assert import_source(store, "swe-agent", logs / CART).appended == 1
    assert cost(store) == Decimal("0.375")


def test_a_copy_in_another_folder_is_the_same_run(tmp_path: Path) -> None:
    logs, store = sample("swe-agent", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "swe-agent", logs / CART)
    shutil.copy(logs / CART, tmp_path / "copy.traj")
    assert import_source(store, "swe-agent", tmp_path / "copy.traj").appended == 0


def test_older_runs_at_one_instance_in_two_folders_are_two(tmp_path: Path) -> None:
    logs, store = sample("swe-agent", tmp_path), DirectoryStore(tmp_path / "data")
    for run in ("gpt4__run-1", "gpt4__run-2"):
        import_source(store, "swe-agent", logs / run / "shop__cart-1.traj")
    assert cost(store) == Decimal(1)


def test_the_next_run_in_the_default_file_adds_to_the_one_before(tmp_path: Path) -> None:
    logs, store = sample("mini-swe-agent", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "mini-swe-agent", logs / MINI)
    run = json.loads((logs / MINI).read_text())
    run["messages"][2]["extra"] = {"timestamp": 1767312001.5, "response": {"id": "chatcmpl-n1"}}
    (logs / MINI).write_text(json.dumps(run))
    changed(logs / MINI, instance_cost=0.002)
    import_source(store, "mini-swe-agent", logs / MINI)
    assert cost(store) == Decimal("0.0143")


def test_tokens_without_a_cost_are_not_priced_since_some_were_cached(tmp_path: Path) -> None:
    logs, store = sample("swe-agent", tmp_path), DirectoryStore(tmp_path / "data")
    changed(logs / CART, instance_cost=0)
    import_source(store, "swe-agent", logs / CART)
    (line,) = readings(store).values()
    assert "cost_usd" not in line
    assert (line["usage"]["input_tokens"], line["partial"]) == (50000, True)
