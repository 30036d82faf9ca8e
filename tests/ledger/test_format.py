"""FORMAT.md, executed: its example is read by the reader, and verified once more by the words of its Hash chapter."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import ledger
from ledger.events.event import _FIELDS, FORMAT_VERSION, event
from ledger.storage.line import LINE_BYTES_MAX, Draft, following, seed
from ledger.storage.reader import LedgerReader

FORMAT = (Path(ledger.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```jsonl\n(.*?)```", FORMAT, re.DOTALL)
assert EXAMPLE is not None
RAW = EXAMPLE[1].encode()


def reader(raw: bytes) -> LedgerReader:
    return LedgerReader("a5b80595", Path("FORMAT.md"), lambda at, count: raw[at : at + count], len(raw))


def test_the_example_is_a_ledger() -> None:
    read = reader(RAW)
    lines = list(read)
    assert [line["type"] for line in lines] == ["ledger_opened", "workflow_started", "cost_observed"]
    assert read.head.size == len(RAW)
    assert read.torn_bytes == 0


def test_the_hash_chapter_verifies_the_example_without_our_code() -> None:
    first = json.loads(RAW.splitlines()[0])
    text = f"costledger/1 {first['workflow_id']} {first['origin']}\n".encode()
    for match in re.finditer(rb',"hash":"([0-9a-f]{64})"}\n', RAW):
        upto = match.start() + len(b',"hash":"')
        before = [m.start(1) for m in re.finditer(rb'"hash":"([0-9a-f]{64})', RAW[:upto])]
        start = before[-1] if before else 0
        covered = (b"" if before else text) + RAW[start:upto]
        assert hashlib.sha256(covered).hexdigest().encode() == match[1]


def test_writing_the_same_events_gives_the_same_bytes() -> None:
    lines = list(reader(RAW))
    before, written = seed("a5b80595", lines[0]["origin"]), RAW.splitlines(keepends=True)[0]
    before = following(lines[0]["hash"])
    for line in lines[1:]:
        given = {k: v for k, v in line.items() if k not in ("v", "seq", "recorded_at", "hash", "run")}
        raw, digits = Draft(event(given), "").encode(line["seq"], line["recorded_at"], before, line.get("run"))
        written, before = written + raw, following(digits)
    assert written == RAW


def test_the_page_names_every_field_type_and_limit() -> None:
    for kind, fields in _FIELDS.items():
        assert f"`{kind}`" in FORMAT
        for name in fields:
            assert f"`{name}`" in FORMAT, name
    assert f"{LINE_BYTES_MAX:,}" in FORMAT
    assert FORMAT.startswith(f"# The ledger format, version {FORMAT_VERSION}")
