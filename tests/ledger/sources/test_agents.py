"""What holds for the logs of every coding agent; a sample and a line in the registry put a new one under test."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import CostledgerError
from ledger.importing.auto_import import default_sources
from ledger.importing.importer import import_source
from ledger.importing.titles import titles_of
from ledger.sources import identified, transcript
from ledger.sources.agent_places import agent_folders
from ledger.sources.agents import AGENTS
from ledger.sources.session_log import SessionLog
from ledger.sources.transcript import BEGINNING
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project
from tests.examples import one_in
from tests.ledger.importing.test_any_import import TIMES, FailingStore, Interrupted
from tests.ledger.sources.agent_samples import BUCKETS, FAMILY, add, expected, readings, sample

KINDS: Final = [kind for kind in AGENTS if kind not in ("claude", "codex", *FAMILY)]
"""Kinds with a sample; Claude Code and Codex have suites of their own."""
SHARED: Final = {
    "cline-cli": "cline-cli",
    "gemini": "gemini-cli",
    "kimi": "kimi-cli",
    "opencode": "opencode",
    "openhands": "openhands",
    "pi": "pi",
    "qwen": "qwen-code",
}
"""The folder of public logs of a kind, with its `EXPECTED.json`."""
ROUNDED: Final = Decimal("0.5e-9")
"""What a reading may differ from the amount in its log, in USD."""
CALLED: Final = {"x__y-1-54ceda9d": "made/output.jsonl#x__y-1"}
"""What `EXPECTED.json` calls a session that has no id of its own."""
CLIENTS: Final = [
    ("gemini", "gemini-cli-0.24.0"),
    ("gemini", "gemini-cli-0.40.0"),
    ("opencode", "opencode-1.0.185"),
    ("opencode", "opencode-1.2.27"),
    ("pi", "pi-0.73.1"),
    ("qwen", "qwen-code-0.15.10"),
]
"""Real clients, run against an API whose answers are known."""


def reader(kind: str) -> SessionLog:
    found = transcript(kind)
    assert isinstance(found, SessionLog)
    return found


@contextmanager
def fresh() -> Iterator[tuple[Path, DirectoryStore]]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), DirectoryStore(Path(folder, "data"), durability="none")


def rows(store: DirectoryStore) -> list[dict[str, Any]]:
    fields = (asdict(project(store, id).row) for id in store.workflow_ids())
    return [{name: value for name, value in each.items() if name not in TIMES} for each in fields]


def test_every_kind_has_a_sample() -> None:
    assert all(expected(kind) for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_costs_what_is_expected_and_once(kind: str, tmp_path: Path) -> None:
    logs, store = sample(kind, tmp_path), DirectoryStore(tmp_path / "data")
    report = import_source(store, kind, logs)
    assert (report.skipped, report.problems) == ([], [])
    sums: dict[str, dict[str, Any]] = {id: {} for id in store.workflow_ids()}
    for (workflow_id, _), line in readings(store).items():
        assert line["source"]["kind"] == kind
        add(sums[workflow_id], line)
    for workflow_id, wanted in expected(kind, logs).items():
        got = sums.pop(workflow_id)
        assert {name: got.get(name) for name in ("calls", *BUCKETS)} == {
            name: wanted.get(name) for name in ("calls", *BUCKETS)
        }
        for name in ("reported_usd", "priced_usd"):
            assert name not in wanted or got[name] == Decimal(wanted[name]), (workflow_id, name)
        assert got.get("unpriced", 0) == wanted.get("unpriced", 0)
        starts = [line for line in store.read(workflow_id) if line["type"] == "workflow_started"]
        assert [line.get("project") for line in starts] == [wanted.get("project")]
    assert sums == {}
    assert import_source(store, kind, logs).appended == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_recognised_and_no_other_agent_takes_it(kind: str, tmp_path: Path) -> None:
    logs = sample(kind, tmp_path)
    assert identified(logs) == kind
    for other in KINDS:
        if other != kind:
            with suppress(CostledgerError):
                assert not transcript(other).identify(logs)


def _variables() -> set[str]:
    """The variables of the environment that the default places of some agent depend on."""
    return {name for entry in AGENTS.values() for place in entry.places for name in re.findall(r"\$\{?(\w+)", place)}


@pytest.mark.parametrize("kind", [*KINDS, *FAMILY])
def test_default_places_are_found_without_importing_a_reader(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", *_variables()):
        monkeypatch.delenv(name, raising=False)
    assert default_sources() == []
    folders = agent_folders(kind)
    assert all(str(folder).startswith(str(tmp_path)) for folder in folders)
    for folder in folders:
        folder.mkdir(parents=True)
    assert [(entry.kind, entry.path) for entry in default_sources()] == [(kind, str(folder)) for folder in folders]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=one_in(5))
def test_any_order_repetition_and_interruption_gives_the_same_rows(kind: str, data: st.DataObject) -> None:
    with fresh() as (folder, clean), fresh() as (_, store):
        logs = sample(kind, folder)
        import_source(clean, kind, logs, workflow_id="w")
        files = reader(kind).files(logs)
        order = data.draw(st.lists(st.sampled_from(files), max_size=6))
        for file in order:
            import_source(store, kind, file, workflow_id="w")
        failing = FailingStore(
            store.path, data.draw(st.integers(1, 2)), data.draw(st.sampled_from(["refused", "killed"]))
        )
        with suppress(Interrupted):
            import_source(failing, kind, logs, workflow_id="w")
        import_source(store, kind, logs, workflow_id="w")
        assert rows(store) == rows(clean)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=one_in(8))
def test_logs_that_grow_line_by_line_give_the_same_rows(kind: str, data: st.DataObject) -> None:
    with fresh() as (folder, clean), fresh() as (_, store):
        logs = sample(kind, folder)
        import_source(clean, kind, logs)
        whole = {file: file.read_bytes() for file in reader(kind).files(logs) if file.suffix == ".jsonl"}
        for _ in range(2):
            for file, content in whole.items():
                file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
            import_source(store, kind, logs)
        for file, content in whole.items():
            file.write_bytes(content)
        import_source(store, kind, logs)
        assert rows(store) == rows(clean)


def _mutated(content: bytes, data: st.DataObject) -> bytes:
    """A file after an accident: cut, a byte changed, a piece doubled, removed, or replaced by other JSON."""
    at = data.draw(st.integers(0, max(0, len(content) - 1)))
    end = min(len(content), at + data.draw(st.integers(0, 200)))
    odd = [
        b"",
        b"null",
        b"-1",
        b"1e999",
        b"[[[",
        b'{"a":',
        b'"\\ud800"',
        b"\x00\xff",
        b"true",
        b"9" * 40,
        content[at:end],
    ]
    return (
        content[:at] + data.draw(st.sampled_from(odd)) + content[data.draw(st.sampled_from([at, end, len(content)])) :]
    )


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=one_in(4))
def test_no_damage_to_a_log_ends_an_import(kind: str, data: st.DataObject) -> None:
    with fresh() as (folder, store):
        logs = sample(kind, folder)
        file = data.draw(st.sampled_from(reader(kind).files(logs)))
        file.write_bytes(_mutated(file.read_bytes(), data))
        reader(kind).read(file, BEGINNING)
        assert import_source(store, kind, logs).problems == []
        with suppress(CostledgerError):
            identified(file)


@pytest.mark.parametrize("kind", SHARED)
def test_public_logs_cost_what_they_are_known_to(kind: str, shared_data: Path, tmp_path: Path) -> None:
    folder, store = shared_data / SHARED[kind], DirectoryStore(tmp_path, durability="none")
    assert import_source(store, kind, folder).problems == []
    sessions = json.loads((folder / "EXPECTED.json").read_text())["sessions"]
    wanted = {id: each for id, each in sessions.items() if each["calls"]}
    got: dict[str, dict[str, Any]] = {}
    for line in readings(store).values():
        child, session_id = line.get("subagent") or "", line["session_id"] or ""
        add(got.setdefault(child if child in wanted else CALLED.get(session_id, session_id), {}), line)
    assert got.keys() == wanted.keys()
    for session_id, figures in wanted.items():
        for name in ("calls", *BUCKETS):
            assert got[session_id].get(name, 0) == figures.get(name, 0), (session_id, name)
        rounded = ROUNDED * figures["calls"]  # each reading, at most
        cost = Decimal(figures.get("cost_usd", 0))
        assert abs(got[session_id].get("reported_usd", Decimal(0)) - cost) <= rounded, session_id


@pytest.mark.parametrize(("kind", "client"), CLIENTS)
def test_a_real_client_costs_what_its_api_answered_or_at_least_that(
    kind: str, client: str, shared_data: Path, tmp_path: Path
) -> None:
    folder, store = shared_data / "clients" / client, DirectoryStore(tmp_path, durability="none")
    import_source(store, kind, folder)
    truth = json.loads((folder / "truth.json").read_text())["responses"]
    answers: dict[str | None, list[tuple[int, ...]]] = {}
    for each in truth:
        tokens, priced = each["tokens"], each["cost_usd"] is not None
        usage = tuple(tokens[name] for name in ("input", "cache_write", "cache_read", "output"))
        answers.setdefault(each["session"], []).append((*usage, priced))
    costs: dict[str | None, Decimal] = {}
    for line in readings(store).values():
        answer = (*(line["usage"].get(bucket, 0) for bucket in BUCKETS), "cost_usd" in line)
        session = line["session_id"] if line["session_id"] in answers else None  # of an API that is not given it
        answers[session].remove(answer)
        costs[session] = costs.get(session, Decimal(0)) + Decimal(line.get("cost_usd", 0))
    for session, cost in costs.items():
        lasting = any(each["tokens"]["cache_write_1h"] for each in truth if each["session"] == session)
        known = sum(Decimal(each["cost_usd"] or 0) for each in truth if each["session"] == session)
        assert cost < known if lasting else cost == known, session
    assert {row["cost_basis"] for row in rows(store)} == {"partial"}


def test_a_database_is_read_with_its_log_and_not_changed(tmp_path: Path) -> None:
    logs, store = sample("opencode", tmp_path), DirectoryStore(tmp_path / "data")
    file = logs / "opencode.db"
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("UPDATE session SET time_updated = 1")
    before = {each: each.read_bytes() for each in (file, Path(f"{file}-wal"))}
    import_source(store, "opencode", logs)
    read = len(readings(store))
    assert {each: each.read_bytes() for each in before} == before
    usage = '"tokens":{"input":10,"output":20,"reasoning":0,"cache":{"read":0,"write":0}}'
    model = '"role":"assistant","modelID":"gpt-5","providerID":"openai"'
    message = f'{{{model},"cost":0.5,{usage},"time":{{"created":1,"completed":2}}}}'
    db.execute("INSERT INTO message VALUES ('msg_z', 'ses_new', 1, 1867227015000, ?)", (message,))
    assert import_source(store, "opencode", logs).appended == 1
    assert len(readings(store)) == read + 1
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # succeeds: no reader is left
    assert os.path.getsize(f"{file}-wal") == 0
    assert import_source(store, "opencode", logs).appended == 0
    db.close()


@pytest.mark.parametrize(
    ("kind", "session"),
    [
        ("gemini", "5b1f2c00-0000-4000-8000-00000000000a"),
        ("kimi", "3c1e0000-0000-4000-8000-00000000000a"),
        ("kimi-code", "session_3c1e000a"),
        ("opencode", "ses_a1"),
        ("pi", "5f110000-0000-4000-8000-00000000000a"),
        ("qwen", "9a3e0c00-0000-4000-8000-00000000000a"),
    ],
)
def test_a_session_has_the_title_that_its_log_shows(kind: str, session: str, tmp_path: Path) -> None:
    logs, store = sample(kind, tmp_path), DirectoryStore(tmp_path / "data")
    import_source(store, kind, logs)
    assert titles_of(store.path, {session: 1}) == {session: "Add a cart"}
