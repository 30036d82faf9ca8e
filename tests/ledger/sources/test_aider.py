"""Aider's histories, which are text that only grows, and its analytics log."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.importing.importer import import_source
from ledger.importing.titles import titles_of
from ledger.sources import identified
from ledger.storage.directory_store import DirectoryStore
from tests.ledger.sources.agent_samples import BUCKETS, add, readings, sample
from tests.ledger.sources.test_agents import fresh, rows

EVENTS: Final = [
    ("launched", None, 1736812300, {}),
    ("message_send", "deepseek/deepseek-chat", 1736812386, {"prompt_tokens": 10054, "completion_tokens": 207}),
    ("message_send", "deepseek/deepseek-chat", 1736812386, {"prompt_tokens": 10254, "completion_tokens": 30}),
    ("message_send", "openai/REDACTED", 1736899000, {"prompt_tokens": 400, "completion_tokens": 30}),
]


def analytics() -> list[str]:
    lines, total = [], Decimal(0)
    for event, model, at, properties in EVENTS:
        cost = Decimal("0.0014655199999980399") if model and "REDACTED" not in model else Decimal(0)
        total += cost
        more = {"main_model": model, "cost": float(cost), "total_cost": float(total)} if model else {}
        sent = properties | more | {"aider_version": "0.72.0"}
        lines.append(json.dumps({"event": event, "properties": sent, "user_id": "c42c", "time": at}))
    return lines


def test_public_histories_cost_the_sum_of_their_messages(shared_data: Path, tmp_path: Path) -> None:
    folder, store = shared_data / "aider", DirectoryStore(tmp_path, durability="none")
    assert import_source(store, "aider", folder).problems == []
    wanted: dict[str, dict[str, Any]] = {}
    for run, figures in json.loads((folder / "EXPECTED.json").read_text())["sessions"].items():
        sums = wanted.setdefault(run.partition("#")[0], dict.fromkeys(("calls", *BUCKETS, "reported_usd"), Decimal(0)))
        for name in ("calls", *BUCKETS):
            sums[name] += figures[name]
        sums["reported_usd"] += Decimal(figures.get("cost_usd", 0))
    got: dict[str, dict[str, Any]] = {}
    for line in readings(store).values():
        file = str(Path(line["source"]["file"]).relative_to(folder))
        add(got.setdefault(file, dict.fromkeys(("calls", *BUCKETS, "reported_usd"), Decimal(0))), line)
        assert line["partial"]
    assert {file: {name: sums[name] for name in wanted[file]} for file, sums in got.items()} == wanted


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_history_that_grows_gives_the_same_rows(data: st.DataObject) -> None:
    with fresh() as (folder, clean), fresh() as (_, store):
        logs = sample("aider", folder)
        import_source(clean, "aider", logs / "shop")
        file = logs / "shop/.aider.chat.history.md"
        lines = file.read_bytes().splitlines(keepends=True)
        # a message is written at once: its cost is never missing after its tokens
        ends = [
            at for at in range(len(lines) + 1) if not lines[at - 1].startswith(b"> Tokens") or b"Cost" in lines[at - 1]
        ]
        for end in sorted(data.draw(st.sets(st.sampled_from(ends), max_size=3))):
            file.write_bytes(b"".join(lines[:end]))
            import_source(store, "aider", logs / "shop")
        file.write_bytes(b"".join(lines))
        import_source(store, "aider", logs / "shop")
        assert rows(store) == rows(clean)


def test_what_a_message_quotes_is_no_cost(tmp_path: Path) -> None:
    logs, store = sample("aider", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "aider", logs)
    assert max(Decimal(line.get("cost_usd", 0)) for line in readings(store).values()) == Decimal("0.05")


def test_an_analytics_log_is_read_when_it_is_named(tmp_path: Path) -> None:
    file, store = tmp_path / "analytics.log", DirectoryStore(tmp_path / "data")
    lines = analytics()
    file.write_text("\n".join(lines[:2]) + "\n")
    assert identified(file) == "aider"
    import_source(store, "aider", file)
    file.write_text("\n".join(lines) + "\n")
    import_source(store, "aider", file)
    assert import_source(store, "aider", file).appended == 0
    sums: dict[str, Any] = {}
    for line in readings(store).values():
        add(sums, line)
    assert sums == {
        "calls": 3,
        "input_tokens": 20708,
        "output_tokens": 267,
        "reported_usd": Decimal("0.00293104"),
        "unpriced": 1,
    }


@pytest.mark.parametrize(
    "tokens", ["x sent, 1 received.", "1.23.4k sent, 1 received.", "9999999999M sent, 1 received."]
)
def test_a_line_that_is_no_number_is_reported(tokens: str, tmp_path: Path) -> None:
    file, store = tmp_path / ".aider.chat.history.md", DirectoryStore(tmp_path / "data")
    file.write_text(f"# aider chat started at 2026-05-25 17:46:10\n> Tokens: {tokens}\n")
    assert [(each.line, "does not fit" in each.reason) for each in import_source(store, "aider", file).skipped] == [
        (2, True)
    ]


def test_a_run_has_the_first_words_of_its_user_as_title(tmp_path: Path) -> None:
    logs, store = sample("aider", tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, "aider", logs)
    first, second = "aider-2026-05-25-174610-shop", "aider-2026-05-25-174610-shop-2"
    assert titles_of(store.path, {first: 1, second: 1}) == {first: "Add a cart", second: "Ask"}
