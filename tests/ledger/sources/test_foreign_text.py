"""Foreign text that is no text: names cut inside an emoji, paths in another encoding."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.importing.import_report import ImportReport
from ledger.importing.importer import import_source
from ledger.importing.source_registry import SourceEntry, SourceRegister
from ledger.sources.formats.jsonl import json_value, records_of_line
from ledger.storage.directory_store import DirectoryStore
from tests.examples import one_in
from tests.ledger import logs, transcript_lines

LONE = "cut \ud83d"

texts = st.text(alphabet=st.characters(exclude_categories=()) | st.sampled_from("\ud800\udfff"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@settings(max_examples=one_in(2))
@given(st.dictionaries(texts, values, min_size=1), st.booleans())
def test_whatever_a_line_holds_what_is_handed_out_can_be_written(record: dict[str, Any], twice: bool) -> None:
    line = (json.dumps(record) * (1 + twice)).encode() + b"\n"
    for found in records_of_line(Path("x"), 1, line):
        assert isinstance(found, tuple)
        orjson.dumps(found[1])
    orjson.dumps(json_value(json.dumps(record)))


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "data", durability="none")


def skipped(report: ImportReport) -> list[tuple[str, int | None]]:
    return [(each.path.name, each.line) for each in report.skipped]


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_transcript_goes_on_after_a_session_id_that_is_no_text(store: DirectoryStore, tmp_path: Path) -> None:
    said = transcript_lines.said
    path = lines(
        tmp_path / "t" / "s.jsonl", said("m1", 5, session=LONE), said("m2", 6), said("m3", 7) | {"gitBranch": LONE}
    )
    first = import_source(store, "claude", path)
    assert (skipped(first), first.appended, first.problems) == ([("s.jsonl", 1)], 3, [])
    again = import_source(store, "claude", path)
    assert (again.appended, again.unchanged) == (0, 2)


def test_a_response_counts_when_only_its_prose_is_cut_inside_an_emoji(store: DirectoryStore, tmp_path: Path) -> None:
    cut = transcript_lines.said("m1", 5)
    cut["message"]["content"] = [{"type": "text", "text": LONE}]
    report = import_source(store, "claude", lines(tmp_path / "s.jsonl", cut))
    assert (report.skipped, report.appended) == ([], 2)


def test_a_rollout_goes_on_after_a_model_that_is_no_text(store: DirectoryStore, tmp_path: Path) -> None:
    meta, counted = transcript_lines.meta, transcript_lines.counted
    lone_turn = {"type": "turn_context", "timestamp": "2026-11-04T10:00:00Z", "payload": {"model": LONE, "cwd": LONE}}
    report = import_source(
        store, "codex", lines(tmp_path / "r.jsonl", meta("s1"), transcript_lines.turn(), lone_turn, counted(10, 1, 1))
    )
    assert (skipped(report), [line.get("model") for line in store.read("s1")]) == ([("r.jsonl", 3)], [None] * 3)


@pytest.mark.parametrize("kind", ["jsonl", "litellm"])
def test_a_table_goes_on_after_rows_that_are_no_text(store: DirectoryStore, tmp_path: Path, kind: str) -> None:
    good: dict[str, Any] = {"workflow_id": "ok", "session_id": "ok", "cost_usd": 1, "spend": 1, "request_id": "r4"}
    bad = [good | {"workflow_id": LONE, "session_id": LONE}, good | {"model": LONE}]
    prose = good | {"request_id": "r3", "note": LONE, LONE: 1}
    report = import_source(store, kind, lines(tmp_path / "j.jsonl", *bad, prose, good))
    assert (skipped(report), report.workflows["ok"].appended) == ([("j.jsonl", 1), ("j.jsonl", 2)], 2)


def test_one_document_is_read_although_a_text_in_it_is_none(store: DirectoryStore, tmp_path: Path) -> None:
    rows = [{"workflow_id": "ok", "cost_usd": 1, "agent": agent} for agent in (LONE, "a")]
    path = tmp_path / "j.json"
    path.write_text(json.dumps(rows, indent=1))
    report = import_source(store, "jsonl", path)
    assert (len(report.skipped), report.appended) == (1, 1)


def test_a_log_goes_on_after_a_session_that_is_no_text(store: DirectoryStore, tmp_path: Path) -> None:
    path = lines(
        tmp_path / "o.jsonl",
        logs.message("m0", 5, session=LONE),
        logs.message("m1", 5),
        {"type": "user", "session_id": "s1", "message": {"content": LONE}},
    )
    report = import_source(store, "claude-stream", path, workflow_id="w")
    assert (skipped(report), report.appended) == ([("o.jsonl", 1)], 1)


def test_telemetry_goes_on_after_a_record_that_is_no_text(store: DirectoryStore, tmp_path: Path) -> None:
    def request(session: str) -> dict[str, Any]:
        given_values = {"session.id": session, "model": "m", "cost_usd": "1", "input_tokens": "5", "output_tokens": "5"}
        attributes = [{"key": name, "value": {"stringValue": value}} for name, value in given_values.items()]
        record = {"eventName": "claude_code.api_request", "timeUnixNano": "1700000000000000000"}
        return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record | {"attributes": attributes}]}]}]}

    report = import_source(store, "otlp", lines(tmp_path / "o.jsonl", request(LONE), request("s")))
    assert (skipped(report), report.appended) == ([("o.jsonl", 1)], 1)


def test_a_table_whose_header_is_not_utf8_is_refused(store: DirectoryStore, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"workflow_id,cost_usd,gr\xfc\xdfe\nw,1,x\n")
    with pytest.raises(Exception, match="header is not UTF-8"):
        import_source(store, "csv", path)
    assert os.listdir(tmp_path) == ["t.csv"]


BAD = os.fsdecode(b"a\xff")


def test_a_tree_is_read_whatever_its_names_are(store: DirectoryStore, tmp_path: Path) -> None:
    said = transcript_lines.said
    tree = tmp_path / BAD
    lines(tree / f"{BAD}.jsonl", *(said(f"m{n}", 5, n) for n in range(5)))
    lines(tree / "b.jsonl", said("n1", 5, session="s2"))
    assert import_source(store, "claude", tree).appended == 5 + 1 + 2
    again = import_source(store, "claude", tree)
    assert (again.in_unchanged_files, again.workflows) == (6, {}), "their marks are found again"
    lines(tree / f"{BAD}.jsonl", *(said(f"m{n}", 5, n) for n in range(6)))
    assert import_source(store, "claude", tree).appended == 1
    assert {line["source"]["file"] for line in store.read("s1") if "source" in line and line["type"] == "cost_observed"}


def test_an_agents_tree_is_read_whatever_its_names_are(store: DirectoryStore, tmp_path: Path) -> None:
    for agent, session in ((BAD, "s1"), ("plan", "s2")):
        logs.write(
            tmp_path / "agents" / "w1" / agent / "raw_output.jsonl",
            logs.init(session, session),
            logs.result(1, session),
        )
    logs.write(tmp_path / "agents" / BAD / "plan" / "raw_output.jsonl", logs.init(), logs.result(1))
    report = import_source(store, "adw", tmp_path)
    assert [name for name, _ in report.problems] == [BAD]
    assert {line.get("agent") for line in store.read("w1")} == {None, "plan", "a\ufffd"}


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name))
def test_the_register_finds_any_path_again(name: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        register, path = SourceRegister(Path(folder)), Path("/", os.fsdecode(name))
        for _ in range(2):
            register.add(SourceEntry("claude", str(path), agent="ä"))
        assert [(Path(entry.path), entry.agent) for entry in register.entries()] == [(path, "ä")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_told_as_such(store: DirectoryStore, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes("".join(json.dumps(transcript_lines.said("m1", 5)) + "\n" for _ in range(3)).encode(encoding))
    report = import_source(store, "claude", path)
    assert report.appended == 0
    assert "UTF-16" in " ".join(each.reason for each in report.skipped)
