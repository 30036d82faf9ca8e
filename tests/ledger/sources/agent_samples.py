"""Samples of agents' logs: `samples/<kind>/logs` and what they cost by workflow, in `expected.json`.

A file `….sql` is made into the database that its statements describe.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ledger.events.event import Line
from ledger.storage.store import LedgerStore

SAMPLES: Final = Path(__file__).parent / "samples"
BUCKETS: Final = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")
FAMILY: Final = {
    "kilo": "opencode",
    "kilo-code": "cline",
    "mimo": "opencode",
    "omp": "pi",
    "openclaw": "pi",
    "roo": "cline",
}
"""Kinds whose reader is that of another kind, by which it is tested."""


def sample(kind: str, folder: Path) -> Path:
    """Return a copy of the logs of a kind, below a folder."""
    logs = folder / "logs"
    shutil.copytree(SAMPLES / kind / "logs", logs, dirs_exist_ok=True)
    for script in sorted(logs.rglob("*.sql")):
        with contextlib.closing(sqlite3.connect(script.with_suffix(""))) as db:
            db.executescript(script.read_text(encoding="utf-8"))
        script.unlink()
    return logs


def expected(kind: str, logs: Path = SAMPLES) -> dict[str, dict[str, Any]]:
    """Return what the sample of a kind cost, by workflow; `$LOGS` is the folder with the copy of its logs."""
    text = (SAMPLES / kind / "expected.json").read_text(encoding="utf-8").replace("$LOGS", str(logs))
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


def readings(store: LedgerStore) -> dict[tuple[str, str], Line]:
    """Return the last reading of each call, by workflow and message id."""
    found: dict[tuple[str, str], Line] = {}
    for workflow_id in store.workflow_ids():
        for line in store.read(workflow_id):
            if line["type"] == "cost_observed":
                found[workflow_id, line["message_id"]] = line
    return found


def add(sums: dict[str, Any], line: Mapping[str, Any]) -> None:
    """Add a reading to calls, tokens and money."""
    sums["calls"] = sums.get("calls", 0) + 1
    for bucket in BUCKETS:
        if many := line.get("usage", {}).get(bucket, 0):
            sums[bucket] = sums.get(bucket, 0) + many
    if "cost_usd" not in line:
        sums["unpriced"] = sums.get("unpriced", 0) + 1
    else:
        name = f"{line['cost_source']}_usd"
        sums[name] = sums.get(name, Decimal(0)) + Decimal(line["cost_usd"])
