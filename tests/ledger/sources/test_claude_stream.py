"""What a stream-json log means, fact by fact, through the import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInput, SourceUnreadable
from ledger.events.event import cost_observed
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import ImportOptions, import_source
from ledger.storage.line import Head
from ledger.storage.memory_store import MemoryStore
from projections.folding.row import Row
from projections.replay.refresh import project
from tests.ledger.logs import HAIKU, SONNET, init, message, result, write


class Import:
    """One workflow's ledger, and logs imported into it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, MemoryStore()

    def __call__(self, *records: Any, name: str = "raw_output.jsonl", **options: Any) -> ImportReport:
        path = write(self.folder / name, *records)
        report = import_source(self.store, "claude-stream", path, workflow_id="w", **options)
        assert report.problems == []
        return report

    @property
    def row(self) -> Row:
        return project(self.store, "w").row

    def meters(self) -> set[tuple[str | None, ...]]:
        readings = [line for line in self.store.read("w") if line["type"] == "cost_observed"]
        names = ("agent", "session_id", "model", "message_id")
        return {tuple(line.get(name) for name in names) for line in readings}


@pytest.fixture
def log(tmp_path: Path) -> Import:
    return Import(tmp_path)


PRICED_10_IN_100_OUT = 10 * 3_000 + 100 * 15_000  # nanodollars, Sonnet 4.5 at $3 and $15 per million


def test_a_result_gives_the_session_total_and_its_models(log: Import) -> None:
    report = log(init(), message("m1", 5), message("m1", 50), result(0.10, sonnet=0.08, haiku=0.02), agent="plan")
    assert report.appended == 3
    assert log.meters() == {("plan", "s1", SONNET, None), ("plan", "s1", HAIKU, None), ("plan", "s1", None, None)}
    row = log.row
    assert (row.actual_cost_total, row.cost_basis, row.model_used) == (0.1, "reported", SONNET)
    assert (row.input_tokens, row.cached_tokens, row.cache_hit_tokens, row.output_tokens) == (200, 40, 20, 100)


def test_two_results_of_one_process_are_cumulative(log: Import) -> None:
    log(init(), result(4.6556, sonnet=4.6556), init(process="p2"), result(5.12, uuid="r2", sonnet=5.12))
    assert log.row.actual_cost_total == 5.12


def test_a_session_resumed_in_another_process_starts_from_zero_and_adds_up(log: Import) -> None:
    log(init(), result(0.5, sonnet=0.5))
    log(init(process="p2"), result(0.3, uuid="r2", sonnet=0.3), name="resumed.jsonl")
    assert log.row.actual_cost_total == 0.8
    assert {meter[1] for meter in log.meters()} == {"s1"}
    again = log(init(process="p2"), result(0.4, uuid="r3", sonnet=0.4), name="resumed.jsonl")
    assert again.appended == 2
    assert log.row.actual_cost_total == 0.9


def test_the_same_log_copied_elsewhere_is_the_same_log(log: Import) -> None:
    records = (init(), message("m1", 5), result(0.10, sonnet=0.10))
    log(*records)
    assert log(*records, name="copy/of/raw_output.jsonl", agent="other").appended == 0
    killed = (init("s2", "p9"), message("m9", 100, "s2"))
    assert log(*killed).appended == 1
    assert log(*killed, name="copy/of/raw_output.jsonl", agent="other").appended == 0


def test_a_killed_session_keeps_its_messages_priced_as_a_lower_bound(log: Import) -> None:
    log(init(), message("m1", 3), message("m1", 100), message("m2", 100), '{"type":"assistant","mess')
    row = log.row
    assert (row.actual_cost_nanousd, row.cost_basis, row.output_tokens) == (2 * PRICED_10_IN_100_OUT, "partial", 200)


def test_a_message_that_grows_counts_at_its_largest(log: Import) -> None:
    log(init(), message("m1", 3))
    log(init(), message("m1", 3), message("m1", 100))
    log(init(), message("m1", 50))
    assert log.row.actual_cost_nanousd == PRICED_10_IN_100_OUT


def test_a_total_covers_the_messages_that_were_imported_while_it_ran(log: Import) -> None:
    log(init(), message("m1", 100), message("m2", 100))
    assert log.row.cost_basis == "partial"
    log(init(), message("m1", 100), message("m2", 100), result(0.25, sonnet=0.25))
    row = log.row
    assert (row.actual_cost_total, row.cost_basis) == (0.25, "reported")
    shrunk = log(init(), message("m1", 100), message("m3", 100))
    assert shrunk.appended == 0
    assert log.row.actual_cost_total == 0.25


def test_once_ended_a_log_that_was_read_while_it_grew_is_as_one_read_whole(tmp_path: Path) -> None:
    """Its messages were priced higher than what was charged, as where writes for an hour cost those for minutes."""
    records = [init(), message("m1", 100), message("m2", 100), result(0.001, sonnet=0.0006, haiku=0.0004)]
    rows = []
    for name, steps in (("grown", (2, 3, 4)), ("whole", (4,))):
        log = Import(tmp_path / name)
        for count in steps:
            log(*records[:count], agent="plan", options=ImportOptions(status="completed" if count == 4 else None))
        rows.append(log.row)
    figures = [
        (
            row.actual_cost_nanousd,
            row.cost_basis,
            row.total_tokens,
            row.output_tokens,
            row.cost_breakdown,
            row.model_used,
        )
        for row in rows
    ]
    assert figures[0] == figures[1]
    assert figures[0][:3] == (1_000_000, "reported", 360)


def test_messages_after_the_last_total_raise_it_as_a_lower_bound(log: Import) -> None:
    log(init(), message("m1", 100), result(0.25, sonnet=0.25), message("m1", 100), message("m2", 100))
    row = log.row
    assert (row.actual_cost_nanousd, row.cost_basis) == (250_000_000 + PRICED_10_IN_100_OUT, "partial")
    assert log(init(), result(0.25, sonnet=0.25), message("m2", 100)).appended == 0
    log(init(), result(0.25, sonnet=0.25), message("m2", 100), result(0.30, uuid="r2", sonnet=0.30))
    assert log.row.actual_cost_total == 0.3


def test_an_unknown_model_after_the_last_total_leaves_it_marked_as_incomplete(log: Import) -> None:
    log(init(), result(0.25, sonnet=0.25), message("m2", 100, model="who-knows-1"))
    assert log.row.actual_cost_total == 0.25
    assert log(init(), result(0.25, sonnet=0.25), message("m2", 100, model="who-knows-1")).appended == 0


def test_a_lower_total_of_a_known_process_is_an_older_one(log: Import) -> None:
    log(init(), result(0.50, sonnet=0.50))
    report = log(init(), result(0.30, uuid="r0", sonnet=0.30))
    assert report.appended == 0
    assert [skipped.reason for skipped in report.skipped] == [
        "an older total of its session: $0.3000, and the ledger has $0.5000"
    ]
    assert log.row.actual_cost_total == 0.5


@pytest.mark.parametrize("agent", ["plan", None])
def test_a_total_counts_where_the_session_was_told_live_whatever_its_agent_is_called(
    log: Import, agent: str | None
) -> None:
    log.store.append([cost_observed("w", agent="main", session_id="s1", cost_usd="0.02")])
    log(init(), result(0.02, sonnet=0.02), agent=agent)
    assert (log.row.actual_cost_total, {meter[0] for meter in log.meters()}) == (0.02, {"main"})
    log(init(), result(0.02, sonnet=0.02), result(0.05, uuid="r2", sonnet=0.05), agent=agent)
    assert log.row.actual_cost_total == 0.05


def test_a_live_reading_of_the_session_and_its_total_are_one_meter(log: Import) -> None:
    log.store.append([cost_observed("w", agent="plan", session_id="s1", cost_usd="0.40")])
    log(init(), result(0.50, sonnet=0.50), agent="plan")
    assert log.row.actual_cost_total == 0.5


def test_a_sub_agents_messages_belong_to_its_session(log: Import) -> None:
    log(init(), message("m1", 100), message("m2", 100, parent="toolu_1"))
    assert {meter[:3] for meter in log.meters()} == {(None, "s1", SONNET)}


def test_an_error_result_costs_real_money(log: Import) -> None:
    log(init(), result(0.07, error=True, sonnet=0.07))
    assert log.row.actual_cost_total == 0.07


def test_two_sessions_interleaved_in_one_file(log: Import) -> None:
    log(init(), init("s2", "p2"), message("m1", 9), message("m2", 9, "s2"), result(0.1), result(0.2, "s2", uuid="r2"))
    assert log.row.actual_cost_total == 0.3


def test_messages_that_claude_made_up_itself_are_nothing(log: Import) -> None:
    report = log(init(), message("x", 0, model="<synthetic>", input_tokens=0))
    assert (report.appended, report.skipped) == (0, [])


def test_unknown_models_are_unpriced(log: Import) -> None:
    log(init(), message("m1", 100, model="who-knows-1"))
    row = log.row
    assert (row.actual_cost_total, row.unpriced_events, row.cost_basis) == (0.0, 1, "partial")


def test_what_cannot_be_read_is_skipped_with_its_line_and_reason(log: Import) -> None:
    report = log(
        "not json\n",
        b"\xff\xfe\x00\n",
        "[1,2]\n",
        "NaN\n",
        "[" * 100_000 + "\n",
        '{"a":' * 100_000 + "\n",
        init(),
        message("m1", -5),
        message("", 5),
        {"type": "assistant", "session_id": "s1", "message": {"id": "m2", "usage": "lots"}},
        {"type": "assistant", "session_id": ["s1"], "message": {"id": "m2", "usage": {}}},
        {"type": "result", "session_id": "s1", "total_cost_usd": -1},
        {"type": "result", "session_id": "s1", "total_cost_usd": 1e400},
        {"type": "result", "session_id": "s1", "total_cost_usd": "lots"},
        '{"type":"result","session_id":"s1","total_cost_usd":1e999}\n',
        message("m3", 2**63),
        message("m4", 2**70),
        result(0.10, sonnet="-1"),
        '{"type":"assistant","session_id":"\\ud800","message":{"id":"m","usage":{}}}\n',
        result(0.10, sonnet=0.10),
        '{"type":"result","sess',
    )
    lines = {skipped.line for skipped in report.skipped}
    assert lines == {1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21}
    assert all(0 < len(skipped.reason) < 400 for skipped in report.skipped)
    assert log.row.actual_cost_total == 0.1


def test_two_records_on_one_line_are_two_records(log: Import) -> None:
    both = orjson.dumps(init()) + orjson.dumps(result(0.10, sonnet=0.10)) + b"\n"
    report = log(both)
    assert report.skipped == []
    assert log.row.actual_cost_total == 0.1


def test_an_empty_file_makes_the_workflow_seen_and_costs_nothing(log: Import) -> None:
    report = log()
    assert [skipped.reason for skipped in report.skipped] == ["is empty"]
    assert (log.row.actual_cost_total, log.row.cost_basis) == (0.0, None)


def test_a_line_of_70_megabytes_is_skipped_and_the_next_ones_are_read(log: Import) -> None:
    report = log(init(), b'{"x":"' + b"y" * 70_000_000 + b'"}\n', result(0.10, sonnet=0.10))
    assert [skipped.line for skipped in report.skipped] == [2]
    assert log.row.actual_cost_total == 0.1


def test_what_is_not_a_log_at_all(tmp_path: Path) -> None:
    store = MemoryStore()
    with pytest.raises(SourceUnreadable, match="import adw"):
        import_source(store, "claude-stream", tmp_path, workflow_id="w")
    with pytest.raises(SourceUnreadable, match="No such file"):
        import_source(store, "claude-stream", tmp_path / "gone.jsonl", workflow_id="w")
    with pytest.raises(InvalidInput, match="--workflow-id"):
        import_source(store, "claude-stream", write(tmp_path / "raw_output.jsonl"))
    with pytest.raises(InvalidInput, match="no source is called 'x'"):
        import_source(store, "x", tmp_path)
    assert list(store.workflow_ids()) == []


def test_the_workflow_is_known_from_a_path_below_agents(tmp_path: Path) -> None:
    store = MemoryStore()
    path = write(tmp_path / "agents" / "a5b80595" / "plan" / "raw_output.jsonl", init(), result(0.1))
    import_source(store, "claude-stream", path)
    assert list(store.workflow_ids()) == ["a5b80595"]


noise = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
RECORDS: list[dict[str, Any]] = [init(), message("m1", 9), result(0.1, sonnet=0.1)]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Real-shaped records with a field replaced by anything, or bytes of the line changed."""
    record = orjson.loads(orjson.dumps(draw(st.sampled_from(RECORDS))))
    target = record
    for _ in range(draw(st.integers(0, 2))):
        inner = [value for value in target.values() if isinstance(value, dict) and value]
        target = draw(st.sampled_from(inner)) if inner else target
    target[draw(st.sampled_from(sorted(target)))] = draw(noise)
    try:
        raw = orjson.dumps(record)
    except TypeError:
        return b"{}\n"
    at = draw(st.integers(0, len(raw)))
    return draw(st.sampled_from([raw, raw[:at], raw[:at] + draw(st.binary(max_size=4)) + raw[at:]])) + b"\n"


@given(st.lists(damaged(), max_size=6))
@settings(max_examples=150)
def test_any_bytes_end_in_events_or_in_reasons(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    log = Import(tmp_path_factory.mktemp("fuzz"))
    log(*lines)
    assert log(*lines).appended == 0
    assert project(log.store, "w").head != Head(0, 0, "")
