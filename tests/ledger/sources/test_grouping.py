"""Findings by workflow, in memory or in a temporary file."""

from __future__ import annotations

import pytest

from ledger import MemoryStore
from ledger.importing.importer import import_source
from ledger.sources import grouping
from tests.ledger.sources.tables import MAP, SAMPLES, readings, row


def test_a_workflow_too_large_for_one_part_comes_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = MemoryStore(), MemoryStore()
    import_source(whole, "litellm", SAMPLES / "litellm.csv", workflow_id="w")
    monkeypatch.setattr(grouping, "_PART_READINGS_MAX", 1)
    import_source(parts, "litellm", SAMPLES / "litellm.csv", workflow_id="w")
    assert row(parts, "w").cost_breakdown == row(whole, "w").cost_breakdown
    assert [line["id"] for line in readings(parts, "w")] == [line["id"] for line in readings(whole, "w")]


def test_what_does_not_fit_into_memory_lies_in_a_temporary_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_MEMORY_BYTES_MAX", 10)
    store = MemoryStore()
    assert import_source(store, "csv", SAMPLES / "calls.csv", map=MAP).appended == 3
