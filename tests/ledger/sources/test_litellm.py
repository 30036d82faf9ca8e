"""LiteLLM's spend log as CSV and JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ledger import MemoryStore
from ledger.importing.importer import import_source
from tests.ledger.sources.tables import SAMPLES, readings, row


def test_what_litellm_spent_is_reported_and_what_it_could_not_price_is_not_free() -> None:
    store = MemoryStore()
    report = import_source(store, "litellm", SAMPLES / "litellm.csv")
    assert sorted(report.workflows) == ["a5b80595", "s-2"], "a failed request without tokens cost nothing"
    (planned,) = readings(store, "a5b80595")
    assert (planned["agent"], planned["session_id"], planned["message_id"]) == ("planner", "s-1", "chatcmpl-a")
    assert (planned["cost_usd"], planned["cost_source"]) == ("0.001375", "reported")
    assert planned["usage"] == {"input_tokens": 488, "cache_read_tokens": 512, "output_tokens": 250}
    assert planned["observed_at"] == "2026-11-23T18:33:01.000000Z"
    small, cached, unpriced = readings(store, "s-2")
    assert small["cost_usd"] == "0.000032"
    assert cached["cost_usd"] == "0.00", "a hit of LiteLLM's cache is free"
    assert "cost_usd" not in unpriced
    assert unpriced["source"]["line"] == 8, "a row may span lines; the next is counted right"
    assert row(store, "s-2").cost_basis == "partial"
    assert import_source(store, "litellm", SAMPLES / "litellm.csv").appended == 0


@pytest.mark.parametrize("shape", ["lines", "array", "answer", "pretty"])
def test_an_export_as_json_is_the_same_export(tmp_path: Path, shape: str) -> None:
    with (SAMPLES / "litellm.csv").open(encoding="utf-8", newline="") as file:
        rows = [one | {"metadata": json.loads(one["metadata"])} for one in csv.DictReader(file)]
    spellings = {
        "lines": "\n".join(json.dumps(one) for one in rows),
        "array": json.dumps(rows),
        "answer": json.dumps({"data": rows, "total": len(rows)}),
        "pretty": json.dumps(rows, indent=2),
    }
    path = tmp_path / "spend.json"
    path.write_text(spellings[shape], encoding="utf-8")
    store = MemoryStore()
    import_source(store, "litellm", SAMPLES / "litellm.csv")
    assert import_source(store, "litellm", path).appended == 0
