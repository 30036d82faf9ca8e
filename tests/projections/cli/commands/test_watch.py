"""The table of `watch`."""

from __future__ import annotations

import io

import click
import pytest
from rich.console import Console

from ledger.events.event import cost_observed
from ledger.storage.memory_store import MemoryStore
from projections.cli.app import cli
from projections.cli.commands.watch import _Board
from projections.history.memory import MemoryHistory
from projections.replay.refresh import refresh


def test_the_table_shows_when_a_workflow_was_last_active_and_not_when_it_was_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    store, history = MemoryStore(), MemoryHistory()
    store.append([cost_observed("w", cost_usd="1", observed_at="2026-11-01T10:20:30Z")])
    refresh(store, history)
    out = Console(width=120, file=io.StringIO())
    with click.Context(cli):
        out.print(_Board(history)._table(5).fitted(120))  # noqa: SLF001
    written = out.file.getvalue()  # type: ignore[attr-defined]
    assert "last activity" in written
    assert "2026-11-01 10:20" in written
