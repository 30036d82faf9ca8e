"""Figures: what no real call reaches is refused where it comes in, and sums over whatever was taken stay exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidEvent
from ledger.events import money
from ledger.events.event import cost_observed, event
from ledger.events.fields import TOKENS_MAX
from ledger.importing.importer import import_source
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_book import price_event
from ledger.providers.usage import usage_of
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.memory_store import MemoryStore
from projections.history.query import Query, totals_of
from projections.history.store import HistoryStore
from projections.json_text import json_bytes
from projections.replay.rebuild import rebuild
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from projections.reports.periods import PERIODS
from projections.reports.spend_report import SESSIONS, SpendQuery, spend_report
from tests.faults.forging import put
from tests.projections.cli.test_app import Run
from tests.projections.cli.test_app import run as run  # the fixture
from tests.projections.conftest import history as history  # the fixture
from tests.projections.server.conftest import Host
from tests.projections.server.conftest import hosted as hosted  # the fixture
from tests.waiting import until

MILLION_USD = 1_000_000


@pytest.mark.parametrize(
    ("field", "most", "above"),
    [
        ("cost_usd", "1000000.00", "1000000.000000001"),
        ("usage", {"input_tokens": TOKENS_MAX}, {"input_tokens": TOKENS_MAX + 1}),
        ("usage", {"web_search_requests": TOKENS_MAX}, {"web_search_requests": 2**63 - 1}),
    ],
)
def test_the_largest_reading_is_taken_and_a_larger_one_is_refused_by_name(field: str, most: Any, above: Any) -> None:
    fields = {"type": "cost_observed", "workflow_id": "w"}
    assert event(fields | {field: most}).fields[field] == most
    with pytest.raises(InvalidEvent, match="1,000,000") as caught:
        event(fields | {field: above})
    assert caught.value.field == field


def test_a_provider_that_says_more_tokens_than_can_be_is_not_believed() -> None:
    with pytest.raises(InvalidEvent, match="output_tokens: 1000000000001 is not between 0 and 1,000,000,000,000"):
        usage_of({"input_tokens": 1, "output_tokens": TOKENS_MAX + 1})


def test_tokens_that_would_cost_more_than_a_reading_can_have_no_price() -> None:
    large = cost_observed("w", model="claude-opus-4-1", message_id="m", usage={"output_tokens": TOKENS_MAX})
    assert price_event(GenaiPrices(), large) == large


@pytest.mark.parametrize("run_number", [10**9 + 1, 2**63 - 1])
def test_a_run_that_no_workflow_reaches_is_refused(run_number: int) -> None:
    with pytest.raises(InvalidEvent, match="above the limit of 1,000,000,000"):
        event({"type": "workflow_started", "workflow_id": "w", "run": run_number})


def test_of_a_log_what_is_above_the_bounds_is_skipped_with_its_line(tmp_path: Path) -> None:
    call = {"workflow": "w", "cost": "1.00", "tokens": 5}
    lines = [
        call,
        call | {"cost": "1000000.01"},
        call | {"tokens": 4 * 10**18, "cost": "0.01"},
        call | {"cost": "2.00"},
    ]
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    store = DirectoryStore(tmp_path / "data")
    columns = ["workflow_id=workflow", "cost_usd=cost", "input_tokens=tokens"]
    found = import_source(store, "jsonl", path, map=columns)
    assert [skipped.line for skipped in found.skipped] == [2, 3]
    costs = [line["cost_usd"] for line in store.read("w") if line["type"] == "cost_observed"]
    assert costs == ["1.00", "2.00"]


def test_the_command_line_and_the_api_refuse_with_the_bound_in_the_sentence(
    run: Run, hosted: Host, tmp_path: Path
) -> None:
    assert "1,000,000 USD" in run("observe", "w", "--cost-usd", "1000001").err
    server = hosted(tmp_path / "data")
    large = [
        {"type": "cost_observed", "workflow_id": "w", "cost_usd": "1000000000"},
        {"type": "cost_observed", "workflow_id": "w", "usage": {"input_tokens": 2**63 - 1}},
    ]
    errors = server.client.post("/api/events", json=large).json()["errors"]
    assert [error["status"] for error in errors] == [422, 422]
    assert "1,000,000 USD" in errors[0]["detail"]
    assert "1,000,000,000,000" in errors[1]["detail"]
    record = {
        "attributes": [
            {"key": "event.name", "value": {"stringValue": "api_request"}},
            {"key": "session.id", "value": {"stringValue": "s"}},
            {"key": "input_tokens", "value": {"stringValue": str(2**63 - 1)}},
            {"key": "cost_usd", "value": {"doubleValue": 1.5}},
        ],
        "body": {"stringValue": "claude_code.api_request"},
    }
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    partial = server.client.post("/v1/logs", json=request).json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == "1"
    assert "1,000,000,000,000" in partial["errorMessage"]


def large_rows(data: Path, count: int) -> None:
    """Workflows that were written before there were bounds, each of as many tokens and dollars as a row holds."""
    for number in range(count):
        put(
            data,
            f"large{number}",
            {"cost_usd": "9000000000.00", "usage": {"input_tokens": 9 * 10**18}, "agent": "a", "model": "m"},
        )


def test_sums_above_64_bits_are_exact_and_hinder_no_other_row(history: HistoryStore, tmp_path: Path) -> None:
    large_rows(tmp_path, 3)
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w1", cost_usd="2.37", model="m", usage={"output_tokens": 7})])
    assert refresh(store, history).problems == []
    store.append([cost_observed("w1", cost_usd="0.01", agent="b", model="m")])
    assert refresh(store, history).problems == []
    assert rebuild(store, history).problems == []
    page = history.page(Query())
    assert page.totals == totals_of(history.rows())
    assert page.totals.cost_nanousd == 27 * 10**18 + 2_380_000_000
    assert page.totals.input_tokens == 27 * 10**18
    whole = spend_report(history, SpendQuery(per="day"), None)
    assert whole.total.amounts[0] == page.totals.cost_nanousd
    merged = list(history.spent(["model"], starts=()))
    assert [one.amounts[0] for one in merged] == [page.totals.cost_nanousd]
    assert [one.amounts[0] for one in history.spent(starts=())] == [page.totals.cost_nanousd]
    assert list(verify(store, history, Proof())) == []
    assert not any(shown.edited for shown in history.stored().values())
    assert refresh(store, history).unchanged == 4


def test_every_report_and_the_api_show_sums_above_64_bits(run: Run, hosted: Host, tmp_path: Path) -> None:
    large_rows(tmp_path / "data", 3)
    total = 27 * 10**18
    answer = run("daily", "--json").json
    assert answer["total"]["input_tokens"] == total
    server = hosted(tmp_path / "data")
    page = until(
        lambda: json.loads(server.client.get("/api/workflow-history").text), lambda page: page["total_count"] == 3
    )
    assert page["analytics"]["total_cost_usd"] == "27000000000.00"
    assert page["analytics"]["input_tokens"] == total
    spent = json.loads(server.client.get("/api/spend", params={"by": "model"}).text)
    assert (spent["total"]["cost_usd"], spent["groups"][0]["input_tokens"]) == ("27000000000.00", total)
    assert server.client.get("/metrics").status_code == 200
    assert server.client.get("/readyz").text == "ready\n"


@given(st.integers(-(2**80), 2**80))
def test_json_holds_any_integer(number: int) -> None:
    assert json.loads(json_bytes({"n": number, "list": [number]})) == {"n": number, "list": [number]}


extreme_counts = st.sampled_from([0, 1, 2**31, 2**39, TOKENS_MAX - 1, TOKENS_MAX])
extreme_costs = st.sampled_from(["0.00", "0.000000001", "999999.999999999", "1000000.00"])
names = st.sampled_from(["a", "b" * 512, '"', "\U0001f600", "\u2028", "=1+1", "\\u0000", "(held)", "(unattributed)"])
moments = st.sampled_from(
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59Z", "2026-11-23T18:33:01Z"]
)
events = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("cost_observed"), "cost_usd": extreme_costs},
        optional={
            "usage": st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), extreme_counts, min_size=1),
            "agent": names,
            "session_id": names,
            "model": names,
            "message_id": names,
            "final": st.booleans(),
            "observed_at": moments,
            "unknown": st.sampled_from([0, 2**64 - 1, -(2**63), 1e308, "x" * 1000, [None], {"a": {}}]),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("cost_observed"), "usage": st.fixed_dictionaries({"output_tokens": extreme_counts})},
        optional={"agent": names, "model": names, "observed_at": moments},
    ),
    st.fixed_dictionaries(
        {"type": st.just("workflow_started")},
        optional={
            "run": st.sampled_from([1, 2, 10**9]),
            "issue_number": st.sampled_from([0, 2**63 - 1]),
            "workflow_template": names,
            "project": names,
            "budget_usd": st.sampled_from(["0.00", "1000000000.00"]),
            "estimated_cost_usd": st.sampled_from(["0.00", "1000000000.00"]),
            "observed_at": moments,
        },
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["workflow_completed", "workflow_failed", "workflow_cancelled"])},
        optional={"run": st.sampled_from([1, 2, 10**9]), "observed_at": moments, "reason": names},
    ),
)


@given(recorded=st.lists(st.tuples(st.sampled_from(["x1", "x2"]), events), min_size=1, max_size=12))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_valid_events_of_extreme_values_change_no_other_workflows_row(
    history: HistoryStore, recorded: list[tuple[str, dict[str, Any]]]
) -> None:
    history.remove(list(history.stored()), reason="test")
    store = MemoryStore()
    store.append([cost_observed("w1", cost_usd="2.37", agent="plan", model="m", usage={"output_tokens": 7})])
    refresh(store, history)
    before = history.row("w1"), history.spend("w1")
    for workflow_id, fields in recorded:
        store.append([event({"workflow_id": workflow_id} | fields)])
    assert refresh(store, history).problems == []
    assert rebuild(store, history).problems == []
    assert (history.row("w1"), history.spend("w1")) == before
    assert list(verify(store, history, Proof())) == []
    assert history.page(Query()).totals == totals_of(history.rows())
    sums = [one.amounts[0] for one in history.spent(["model"])]
    assert sum(sums) == sum(row.actual_cost_nanousd for row in history.rows())
    queries = [SpendQuery(("agent",), per) for per in PERIODS]
    for query in (*queries, SpendQuery((*SESSIONS, "agent"))):
        assert spend_report(history, query, None).total.amounts[0] == sum(sums)
    assert money.parse(MILLION_USD) == money.READING_NANOUSD_MAX
