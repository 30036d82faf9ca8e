"""Tables as the tests import them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger import MemoryStore
from projections.folding.row import Row
from projections.replay.refresh import project

SAMPLES = Path(__file__).parents[1] / "samples"


MAP = (
    "workflow_id=job",
    "agent=step",
    "model=model name",
    "cost_usd=usd",
    "observed_at=when",
    "input_tokens=meta.tokens.in",
    "output_tokens=meta.tokens.out",
)


def row(store: MemoryStore, workflow_id: str) -> Row:
    return project(store, workflow_id).row


def readings(store: MemoryStore, workflow_id: str) -> list[dict[str, Any]]:
    return [line for line in store.read(workflow_id) if line["type"] == "cost_observed"]
