"""GitHub Copilot CLI: which shutdowns add up, and what only messages, checkpoints or rows show."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.importing.importer import import_source
from ledger.sources import transcript
from ledger.sources.session_log import LogReading, SessionLog
from ledger.sources.transcript import BEGINNING, TranscriptMessage
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project
from tests.ledger.sources.agent_samples import BUCKETS, add, readings

Given = tuple[str, dict[str, Any]]
SESSION = "c1000000-0000-4000-8000-000000000001"
ZERO = Decimal(0)
LIST_PRICE = 450_000
"""Of one token of output and ten of input of gpt-5-mini, in nano-AIU."""


def start(version: str = "1.0.78") -> Given:
    context = {"cwd": "/home/ann/shop", "branch": "main"}
    began = "2026-08-05T17:00:00.000Z"
    return (
        "session.start",
        {"sessionId": SESSION, "copilotVersion": version, "startTime": began, "context": context},
    )


def said(output: int, model: str = "gpt-5-mini") -> Given:
    return "assistant.message", {"model": model, "outputTokens": output}


def resumed() -> Given:
    return "session.resume", {}


def checkpoint(nano_aiu: int) -> Given:
    return "session.usage_checkpoint", {"totalNanoAiu": nano_aiu}


def shutdown(output: int, fresh: int, nano_aiu: int | None, model: str = "gpt-5-mini", requests: int = 2) -> Given:
    block: dict[str, Any] = {
        "requests": {"count": requests, "cost": 1},
        "usage": {"inputTokens": fresh, "outputTokens": output, "cacheReadTokens": 0, "cacheWriteTokens": 0},
    }
    money = {} if nano_aiu is None else {"totalNanoAiu": nano_aiu}
    return "session.shutdown", {"modelMetrics": {model: block | money}} | money


def write(folder: Path, events: Sequence[Given]) -> Path:
    path = folder / "session-state" / SESSION / "events.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        {"type": type, "data": data, "id": f"e{number}", "timestamp": f"2026-08-05T17:{number:02d}:00.000Z"}
        for number, (type, data) in enumerate(events)
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def read(folder: Path, *events: Given) -> TranscriptMessage:
    extract = transcript("copilot").read(write(folder, events), BEGINNING)
    assert extract.skipped == []
    (message,) = extract.messages
    return message


def figures(message: TranscriptMessage) -> tuple[int, int, int | None]:
    return message.usage["input_tokens"], message.usage["output_tokens"], message.nanousd


def test_a_shutdown_that_repeats_the_one_before_counts_once(tmp_path: Path) -> None:
    message = read(
        tmp_path, start(), said(100), shutdown(100, 9000, 500), resumed(), said(50), shutdown(150, 12_000, 800)
    )
    assert (figures(message), message.partial) == ((12_000, 150, 8), False)


@pytest.mark.parametrize("nano_aiu", [(500, 300), (None, None)])
def test_shutdowns_of_one_process_each_add_up(nano_aiu: tuple[int | None, int | None], tmp_path: Path) -> None:
    first, second = nano_aiu
    message = read(
        tmp_path,
        start("1.0.18"),
        said(100),
        shutdown(100, 9000, first),
        resumed(),
        said(50),
        shutdown(50, 3000, second),
    )
    assert (figures(message), message.partial) == ((12_000, 150, None if first is None else 8), False)


def test_a_shutdown_after_a_killed_process_adds_to_the_one_before(tmp_path: Path) -> None:
    message = read(
        tmp_path,
        start("1.0.14"),
        said(100),
        shutdown(100, 9000, None),
        resumed(),
        said(70),
        resumed(),
        said(50),
        shutdown(50, 3000, None),
    )
    assert (figures(message), message.partial) == ((12_000, 220, None), True)


def test_of_shutdowns_that_fit_no_messages_the_larger_figures_count(tmp_path: Path) -> None:
    message = read(tmp_path, start(), said(100), shutdown(100, 9000, 500), resumed(), said(50), shutdown(30, 9500, 400))
    assert (figures(message), message.partial) == ((9500, 150, 5), True)


def test_a_session_without_a_shutdown_costs_at_least_its_last_checkpoint(tmp_path: Path) -> None:
    message = read(tmp_path, start(), said(100), checkpoint(30_000_000), said(20), checkpoint(40_000_000), said(5))
    assert (figures(message), message.partial) == ((0, 125, 400_000), True)


def test_money_between_two_checkpoints_with_two_models_is_left_out(tmp_path: Path) -> None:
    events = (start(), said(100), checkpoint(1000), said(1, "gpt-5-mini"), said(2, "gpt-5"), checkpoint(9000))
    extract = transcript("copilot").read(write(tmp_path, events), BEGINNING)
    assert {each.model: each.nanousd for each in extract.messages} == {"gpt-5-mini": 10, "gpt-5": None}


def test_a_sum_of_requests_has_no_price_where_the_size_of_each_would_matter(tmp_path: Path) -> None:
    events = (start("1.0.14"), said(100, "gemini-2.5-pro"), shutdown(100, 300_000, None, "gemini-2.5-pro"))
    write(tmp_path, events)
    store = DirectoryStore(tmp_path / "data")
    import_source(store, "copilot", tmp_path)
    (line,) = readings(store).values()
    assert line["source"]["several"] is True
    assert "cost_usd" not in line
    assert project(store, SESSION).row.cost_basis == "partial"
    write(tmp_path / "one", (*events[:2], shutdown(100, 300_000, None, "gemini-2.5-pro", requests=1)))
    one = DirectoryStore(tmp_path / "one" / "data")
    import_source(one, "copilot", tmp_path / "one")
    (line,) = readings(one).values()
    assert line["cost_source"] == "priced"


def store_of(path: Path, rows: Sequence[tuple[int, int, int]]) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE IF EXISTS assistant_usage_events")
        columns = (
            "session_id TEXT, model TEXT, input_tokens INT, output_tokens INT, total_nano_aiu INT, created_at TEXT"
        )
        db.execute(f"CREATE TABLE assistant_usage_events (id INTEGER PRIMARY KEY, {columns})")
        query = "INSERT INTO assistant_usage_events VALUES (NULL, ?, 'gpt-5-mini', ?, ?, ?, '2026-08-05T18:00:00.000Z')"
        db.executemany(query, [(SESSION, *row) for row in rows])
        db.commit()


@given(rows=st.lists(st.integers(1, 500), min_size=1, max_size=6), cut=st.integers(0, 6), first=st.booleans())
def test_events_and_rows_of_a_session_count_once_whichever_come_first(
    rows: list[int], cut: int, first: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("copilot")
    ledgers = DirectoryStore(folder / "data", durability="none")
    whole = [(output * 10, output, output * LIST_PRICE) for output in rows]
    messages = [said(output) for _, output, _ in whole]
    end = shutdown(sum(rows), sum(rows) * 10, sum(rows) * LIST_PRICE)
    database, logs = folder / "session-store.db", folder / "session-state"
    write(folder, (start(), *messages[:cut]) if cut < len(rows) else (start(), *messages, end))
    store_of(database, whole[:cut] or whole[:1])
    for path in (logs, database) if first else (database, logs):
        import_source(ledgers, "copilot", path)
    write(folder, (start(), *messages, end))
    store_of(database, whole)
    import_source(ledgers, "copilot", folder)
    row = project(ledgers, SESSION).row
    assert row.actual_cost_nanousd == sum(rows) * LIST_PRICE // 100
    assert (row.input_tokens, row.output_tokens) == (sum(rows) * 10, sum(rows))
    assert import_source(ledgers, "copilot", folder).appended == 0


def test_a_session_is_titled_by_its_summary_or_the_users_words(tmp_path: Path) -> None:
    reader = transcript("copilot")
    assert isinstance(reader, SessionLog)
    path = write(tmp_path, (start(), ("user.message", {"content": "Add a cart"})))
    assert reader.title(LogReading(path), SESSION) == "Add a cart"


def test_public_sessions_cost_what_they_are_known_to(shared_data: Path, tmp_path: Path) -> None:
    folder, store = shared_data / "copilot", DirectoryStore(tmp_path, durability="none")
    report = import_source(store, "copilot", folder)
    assert (report.skipped, report.problems) == ([], [])
    got: dict[str, dict[str, Any]] = {}
    for line in readings(store).values():
        add(got.setdefault(line["session_id"], {}), line)
    for session_id, wanted in json.loads((folder / "EXPECTED.json").read_text())["sessions"].items():
        sums = got.pop(session_id, {})
        unnamed = wanted.get("output_tokens_no_shutdown_names", 0)  # which the messages of the session show
        for bucket in BUCKETS:
            more = unnamed if bucket == "output_tokens" else 0
            assert sums.get(bucket, 0) == wanted[bucket] + more, (session_id, bucket)
        assert sums.get("reported_usd", ZERO) == Decimal(wanted.get("cost_usd", 0)), session_id
        if sums:
            lower = project(store, session_id).row.cost_basis == "partial"
            assert lower == bool(wanted.get("lower_bound") or "unpriced" in sums), session_id
    assert got == {}
