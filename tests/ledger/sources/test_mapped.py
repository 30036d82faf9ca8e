"""Tables of other tools: any CSV or JSON lines by a map."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore
from ledger.errors import InvalidInput, SourceUnreadable
from ledger.events import money
from ledger.importing.importer import ImportOptions, SourceEntry, SourceRegister, import_source, reread
from ledger.sources import mapped
from tests.conftest import PROJECT
from tests.ledger.sources.tables import MAP, SAMPLES, readings, row


def test_a_map_reads_any_table_with_columns_inside_columns() -> None:
    store = MemoryStore()
    report = import_source(store, "csv", SAMPLES / "calls.csv", map=MAP)
    assert report.appended == 3
    plan, build = readings(store, "a5b80595")
    assert (plan["agent"], plan["cost_usd"], plan["usage"]) == (
        "plan",
        "0.090000001",
        {"input_tokens": 12, "output_tokens": 340},
    )
    assert build["observed_at"] == "2026-11-23T18:33:20.000000Z"
    assert row(store, "a5b80595").actual_cost_nanousd == 2_370_000_001
    (priced,) = readings(store, "b7c1")
    assert priced["cost_source"] == "priced"
    assert import_source(store, "csv", SAMPLES / "calls.csv", map=MAP).appended == 0


def test_a_row_without_an_id_is_itself_wherever_it_stands(tmp_path: Path) -> None:
    text = "workflow_id,cost_usd,observed_at\nw,0.1,2026-01-01\nw,0.1,2026-01-02\nw,0.1,2026-01-02\n"
    store = MemoryStore()
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    (tmp_path / "b.csv").write_text("workflow_id,cost_usd,observed_at\nw,0.1,2026-01-01\n", encoding="utf-8")
    report = import_source(store, "csv", tmp_path)
    assert (report.appended, report.unchanged) == (2, 2), "a repeated row is one call"
    assert row(store, "w").actual_cost_nanousd == money.parse("0.2")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spreadsheets_of_every_make_are_read(tmp_path: Path, encoding: str, delimiter: str, end: str) -> None:
    rows = [["workflow_id", "agent", "cost_usd"], ["w", "prüfer", "0.1"], ["w", '"two\nlines"', "0.2"]]
    text = end.join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells) for cells in rows)
    path = tmp_path / "calls.csv"
    path.write_bytes((text + end).encode(encoding))
    store = MemoryStore()
    report = import_source(store, "csv", path)
    assert row(store, "w").cost_breakdown.startswith('{"by_agent":{"prüfer":"0.10"}')
    assert [(skipped.line, "control character" in skipped.reason) for skipped in report.skipped] == [(3, True)]


def test_a_count_may_be_spelled_as_a_float_that_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(b"workflow_id,cost_usd,input_tokens,output_tokens\nw,0.1,1000.0,\nw,0.2,7.00,3\n")
    store = MemoryStore()
    assert import_source(store, "csv", path).skipped == []
    assert (row(store, "w").input_tokens, row(store, "w").output_tokens) == (1007, 3)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (b"w,0.1", "has 2 fields, and the header names 4"),
        (b"w,free,1,", "expected a decimal number"),
        (b"w,,1.5,", "expected a whole number"),
        (b"w,,,", "neither a cost nor tokens"),
        (b",0.1,1,", "the row names none"),
        (b"../w,0.1,1,", "is not a workflow id"),
        (b"w,0.1,1,yesterday", "expected a time"),
        (b"w\xff,0.1,1,", "is not UTF-8"),
    ],
)
def test_a_row_that_cannot_be_is_named_by_file_and_line(tmp_path: Path, cells: bytes, reason: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(b"workflow_id,cost_usd,input_tokens,observed_at\nw,0.1,1,\n" + cells + b"\nw,0.3,1,\n")
    store = MemoryStore()
    report = import_source(store, "csv", path)
    assert [(skipped.path, skipped.line) for skipped in report.skipped] == [(path, 3)]
    assert reason in report.skipped[0].reason
    assert row(store, "w").actual_cost_nanousd == money.parse("0.4")


@pytest.mark.parametrize(
    ("map", "sentence"),
    [
        (("workflow_id=jbo",), "has no column 'jbo', which the map names for workflow_id; did you mean 'job'?"),
        (("workflow=job",), "there is no field 'workflow'; did you mean 'workflow_id'?"),
        (("workflow_id",), "say FIELD=COLUMN"),
        (("agent=step", "agent==x"), "names the field 'agent' twice"),
        (("workflow_id=job",), "has no column that is a cost or a token count"),
    ],
)
def test_a_map_that_does_not_fit_says_what_would(map: tuple[str, ...], sentence: str) -> None:
    with pytest.raises((InvalidInput, SourceUnreadable)) as refused:
        import_source(MemoryStore(), "csv", SAMPLES / "calls.csv", map=map)
    assert sentence in str(refused.value)


def test_a_map_for_a_kind_that_knows_its_columns_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a map is for csv and jsonl; 'litellm' knows its columns"):
        import_source(MemoryStore(), "litellm", SAMPLES / "litellm.csv", map=["cost_usd=spend"])


def test_a_field_that_no_json_line_has_is_said(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"job":"w","usd":0.1}\n', encoding="utf-8")
    with pytest.raises(SourceUnreadable, match=r"no record has 'costs.usd', which the map names for cost_usd"):
        import_source(MemoryStore(), "jsonl", path, map=["workflow_id=job", "cost_usd=costs.usd"])


def test_constants_and_what_a_row_says_of_its_workflow(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"usage":{"usd":0.1},"project":"shop","issue":"17"}\n', encoding="utf-8")
    store = MemoryStore()
    mapping = ["workflow_id==w", "agent==plan", "cost_usd=usage.usd", "issue_number=issue"]
    import_source(store, "jsonl", path, map=mapping)
    started = next(line for line in store.read("w") if line["type"] == "workflow_started")
    assert (started["project"], started["issue_number"]) == ("shop", 17)
    assert readings(store, "w")[0]["agent"] == "plan"


def test_what_a_table_says_later_of_an_ended_workflow_leaves_it_ended(tmp_path: Path) -> None:
    path, store = tmp_path / "calls.csv", MemoryStore()
    path.write_text("workflow_id,cost_usd,project\nw,0.1,a\n", encoding="utf-8")
    import_source(store, "csv", path, options=ImportOptions(status="completed"))
    path.write_text("workflow_id,cost_usd,project\nw,0.2,b\nw,0.1,a\n", encoding="utf-8")
    import_source(store, "csv", path)
    assert (row(store, "w").status, row(store, "w").actual_cost_nanousd) == ("completed", money.parse("0.3"))


def test_a_quote_that_is_never_closed_costs_the_rest_of_the_file_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text('workflow_id,cost_usd\nw,0.1\nw,"0.2\nw,0.3\n', encoding="utf-8")
    store = MemoryStore()
    report = import_source(store, "csv", path)
    assert report.skipped[0].line == 3
    assert row(store, "w").actual_cost_nanousd == money.parse("0.1")


def test_a_resync_reads_the_table_again_by_the_same_map(tmp_path: Path) -> None:
    path, data = tmp_path / "calls.csv", tmp_path / "data"
    path.write_text("job,usd\nw,0.1\n", encoding="utf-8")
    mapping = ("workflow_id=job", "cost_usd=usd")
    SourceRegister(data).add(SourceEntry("csv", str(path), map=tuple(mapping)))
    store = MemoryStore()
    assert reread(store, SourceRegister(data)).appended == 1
    path.write_text("job,usd\nw,0.1\nw,0.3\n", encoding="utf-8")
    assert reread(store, SourceRegister(data)).appended == 1
    assert [entry.map for entry in SourceRegister(data).entries()] == [mapping]


def test_the_page_lists_every_field_that_a_column_can_be() -> None:
    page = (PROJECT / "docs" / "other-tools.md").read_text(encoding="utf-8")
    assert [field for field in mapped.FIELDS if f"`{field}`" not in page] == []


COSTS = st.integers(0, 10**12)


@given(st.data(), st.lists(st.tuples(st.sampled_from(["w", "v"]), COSTS), min_size=1, max_size=12))
def test_any_split_order_and_repetition_of_rows_gives_the_same_rows(
    data: st.DataObject, calls: list[tuple[str, int]]
) -> None:
    import tempfile

    rows = [f"{workflow},{money.to_wire(cost)},m{number}" for number, (workflow, cost) in enumerate(calls)]
    order = data.draw(st.permutations(rows + data.draw(st.lists(st.sampled_from(rows), max_size=5))))
    clean, mixed = MemoryStore(), MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.csv"
        for store, chunks in ((clean, [rows]), (mixed, _chunks(data, order))):
            for chunk in chunks:
                path.write_text("\n".join(["workflow_id,cost_usd,message_id", *chunk, ""]), encoding="utf-8")
                import_source(store, "csv", path)
    for workflow in {name for name, _ in calls}:
        total = sum(cost for name, cost in calls if name == workflow)
        assert row(mixed, workflow).actual_cost_nanousd == row(clean, workflow).actual_cost_nanousd == total


def _chunks(data: st.DataObject, order: list[str]) -> list[list[str]]:
    chunks = []
    while order:
        count = data.draw(st.integers(1, len(order)))
        chunks.append(order[:count])
        order = order[count:]
    return chunks


@given(st.binary(max_size=300), st.integers(0, 400))
def test_whatever_bytes_stand_in_a_table_nothing_crashes(junk: bytes, at: int) -> None:
    import tempfile

    for name, kind in (("litellm.csv", "litellm"), ("calls.csv", "csv")):
        raw = (SAMPLES / name).read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(raw[:at] + junk + raw[at:])
            try:
                report = import_source(MemoryStore(), kind, path, map=MAP if kind == "csv" else ())
            except (SourceUnreadable, InvalidInput):
                continue
            assert not report.problems
