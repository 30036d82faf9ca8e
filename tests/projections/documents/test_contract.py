"""One contract for JSON: `--json` and the HTTP API answer the same document for the same question."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from ledger.events import money, timestamps
from projections.documents.sources import SourcesDocument
from tests.conftest import PROJECT
from tests.projections.cli.test_app import Run, run
from tests.projections.server.conftest import Here
from tests.test_architecture import loaded_by, others
from tests.waiting import until

__all__ = ["run"]

Ask = Callable[..., Any]

STORY: Final = "a5b80595"
CONFIG: Final = """
[budgets]
default_usd = 5
[[budgets.period]]
name = "sdlc"
per = "month"
usd = 1
where = ["template=sdlc"]
[[webhooks]]
url = "http://127.0.0.1:9/costs"
allow_private = true
secret_env = "COSTLEDGER_TEST_SECRET"
events = ["ledger.damaged"]
"""
MONEY: Final = re.compile(r"-?[0-9]+\.[0-9]{2,9}")
MONEY_FIELDS: Final = ("actual_cost_total", "estimated_cost_total", "old_cost", "new_cost")


@pytest.fixture
def http(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Ask a server on the data directory of `run`, where the story, an unpriced call and a finding are."""
    monkeypatch.setenv("COSTLEDGER_TEST_SECRET", "whsec_" + "c2VjcmV0" * 5)
    (tmp_path / "data" / "costledger.toml").write_text(CONFIG)
    monkeypatch.setenv("COSTLEDGER_CONFIG", str(tmp_path / "data" / "costledger.toml"))
    for moment in sorted((PROJECT / "data" / "examples").glob("*/")):
        assert run("import", "adw", str(moment)).code == 0
    for name in ("w1", "w2"):
        run("start", name, "--issue-number", "17", "--workflow-template", "sdlc", "--budget-usd", "0.50")
        run("charge", name, "--agent", "plan", "--model", "mystery", "--output-tokens", "9", "--message-id", "m1")
        run("charge", name, "--agent", "build", "--cost-usd", "0.49", "--output-tokens", "200000", "--message-id", "m2")
        run("complete", name)
        run("start", name, "--run", "2")
        run("observe", name, "--agent", "build", "--cost-usd", "0.10")
    run("history")
    server = Here(tmp_path / "data")

    def ask(path: str, method: str = "GET", **options: Any) -> Any:
        answer = server.client.request(method, f"/api/{path}", **options)
        assert answer.is_success, answer.text
        return answer.json()

    until(lambda: ask("health")["ready"], bool)
    yield ask
    server.stop()


def test_what_was_found_where_has_the_fields_of_its_document(run: Run, http: Ask) -> None:  # noqa: ARG001
    """It has no route: where logs lie is not for other machines."""
    answer = run("sources", "--json").json
    assert TypeAdapter(SourcesDocument).validate_python(answer, strict=True) == answer
    assert [tool["tool"] for tool in answer["tools"]] == ["Claude Code"]


def test_a_receipt_is_the_same_document(run: Run, http: Ask) -> None:
    assert run("receipt", STORY, "--json").json == http(f"workflow-history/{STORY}/receipt")
    assert run("receipt", STORY).out.startswith("### Cost: ")


def test_a_tree_adds_up_to_the_cost_of_its_workflow(run: Run, http: Ask) -> None:
    for name in (STORY, "w1"):
        tree = http(f"workflow-history/{name}/tree", params={"messages": 1})
        spent = sum(money.from_wire(one["cost_usd"]) for one in tree["branches"])
        assert spent == money.from_wire(run("show", name, "--json").json["actual_cost_total"])
        assert len(tree["messages"]) <= 1 <= tree["message_count"]


def test_a_removal_and_its_end_are_the_same_on_the_command_line_and_over_http(run: Run, http: Ask) -> None:
    def removed(answer: Any) -> Any:
        assert answer.pop("removed_at") <= timestamps.to_wire(timestamps.now())
        return answer

    here, undone = removed(run("remove", "w1", "--json").json), run("remove", "w1", "--undo", "--json").json
    assert (here["adw_id"], here["purged"], here["event_count"]) == ("w1", False, 7)
    assert removed(http("workflow-history/w1", "DELETE")) == here
    assert run("remove", "w1", "--json").code == 1
    assert http("workflow-history/w1/put-back", "POST") == undone == {"adw_id": "w1", "actual_cost_total": "0.49"}
    assert http("workflow-history/w1")["actual_cost_total"] == "0.49"


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def test_rows_and_their_sums(run: Run, http: Ask) -> None:
    """Only this machine has the transcripts that titles come from."""
    here, there = run("history", "--json").json, http("workflow-history", params={"order": "asc"})
    assert here | {"workflows": [without(row, "title") for row in here["workflows"]]} == there
    assert (there["total_count"], len(there["workflows"])) == (3, 3)
    limited = run("history", "--limit", "1", "--template", "sdlc", "--json").json
    page = http("workflow-history", params={"limit": 1, "workflow_template": "sdlc"})
    assert (limited["total_count"], limited["analytics"]) == (page["total_count"], page["analytics"])
    for name in (STORY, "w1"):
        assert without(run("show", name, "--json").json, "title") == http(f"workflow-history/{name}")


def test_the_steps_of_a_cost(run: Run, http: Ask) -> None:
    for name, options in ((STORY, {}), ("w1", {"after": 1, "limit": 1})):
        flags = [text for option, value in options.items() for text in (f"--{option}", str(value))]
        steps = http(f"workflow-history/{name}/explain", params=options)
        assert run("explain", name, *flags, "--json").json == steps
        assert steps["steps"]


def test_spend(run: Run, http: Ask) -> None:
    periods = {"daily": "day", "weekly": "week", "monthly": "month", "session": "session"}
    for (command, period), by in product(periods.items(), (None, "agent", "issue")):
        asked = {"period": period, "timezone": "Europe/Berlin"} | ({"by": by} if by else {})
        flags = ["--timezone", "Europe/Berlin", *(["--by", by] if by else [])]
        there = http("spend", params=asked)
        assert run(command, *flags, "--json").json == there
        assert there["lines"]
        assert run(command, *flags, "--breakdown", "--json").json == http("spend", params=asked | {"breakdown": "true"})


def test_a_forecast(run: Run, http: Ask) -> None:
    """A rate falls while time passes."""
    here, there = run("forecast", "--timezone", "UTC", "--json").json, http("forecast")
    running = [without(burn, "seconds", "per_hour_usd") for burn in here["running"]]
    assert running == [without(burn, "seconds", "per_hour_usd") for burn in there["running"]]
    assert [burn["spent_usd"] for burn in running] == ["0.49", "0.49"]
    assert without(here, "made_at", "running", "per_hour_usd") == without(there, "made_at", "running", "per_hour_usd")
    check(there, "forecast")


def test_statistics_and_comparisons(run: Run, http: Ask) -> None:
    for by in ("template", "agent", "issue,model"):
        here = run("stats", "--by", by, "-n", "2", "--timezone", "UTC", "--json").json
        assert here == http("stats", params={"by": by, "limit": 2})
        check(here, ("stats", by))
    today = timestamps.now().date()
    for sides in (("2026-11-22", f"2026-11-23..{today}"), ("template=sdlc", "template=")):
        here = run("compare", *sides, "--by", "agent", "-n", "1", "--timezone", "UTC", "--json").json
        assert here == http("compare", params={"a": sides[0], "b": sides[1], "by": "agent", "limit": 1})
        assert here["contributions"]
        check(here, sides)


def test_what_usage_would_have_cost(run: Run, http: Ask) -> None:
    for flags, asked in (
        (["--model", "claude-haiku-4-5"], {"model": "claude-haiku-4-5"}),
        (
            ["--map", "*=claude-haiku-4-5", "--price", "mystery=1,2"],
            {"map": "*=claude-haiku-4-5", "price": "mystery=1,2"},
        ),
        (["--no-cache", "--where", "issue=17"], {"no_cache": "true", "where": "issue=17"}),
    ):
        here = run("what-if", *flags, "--timezone", "UTC", "--json").json
        assert here == http("what-if", params=asked)
        assert here["lines"]
        check(here, flags)


def test_windows_of_plans(run: Run, http: Ask) -> None:
    """The rate of the active one falls while time passes."""
    for window in ("5h", "7d"):
        here, there = (
            run("blocks", "--window", window, "--timezone", "UTC", "--json").json,
            http("blocks", params={"window": window}),
        )
        check(here, window)
        assert [block["is_active"] for block in here["blocks"]][-1]
        for blocks in (here, there):
            blocks["blocks"] = [without(block, "burn") for block in blocks["blocks"]]
        assert here == there


def test_what_needs_attention_and_its_acceptance(run: Run, http: Ask) -> None:
    """Only the command line reads the sources again to learn whether one of them has grown."""
    here, there = run("stale", "--json").json, http("stale")
    assert sorted(here["findings"], key=str) == sorted(there["findings"], key=str)
    assert (here["more"], {one["adw_id"] for one in there["findings"]}) == (there["more"], {"w1", "w2"})
    accepted = run("stale", "--accept", "w1", "--reason", "as planned", "--json").json
    as_well = http("stale/w2/accept", "POST", json={"reason": "as planned"})
    assert without(accepted, "adw_id", "id") == without(as_well, "adw_id", "id")
    assert accepted.keys() == as_well.keys()


def test_a_move(run: Run, http: Ask) -> None:
    moved = run("move", "w1", "--to", "w2", "--agent", "review", "--json").json
    again = http("workflow-history/w1/move", "POST", json={"to": "w2", "agent": "review"})
    assert again == moved | {"id": None, "seq": None}
    back = http("workflow-history/w1/move", "POST", json={"to": "w1"})
    assert (back["to"], back["seq"]) == ("w1", moved["seq"] + 1)


def test_the_budgets_that_count_now(run: Run, http: Ask) -> None:
    run("start", "w1", "--run", "3")
    here, there = run("check", "--json").json, http("budgets")
    assert here == there
    assert [one["budget"]["state"] for one in here["periods"]] == ["warned"]
    assert "w1" in [one["adw_id"] for one in here["workflows"]]
    check(here, "budgets")


def test_a_budget_is_checked_by_fields_of_the_row(run: Run, http: Ask) -> None:
    checked, row = run("check", "w1", "--json").json, http("workflow-history/w1")
    assert checked == {name: row[name] for name in checked}
    assert checked["budget"]["budget_usd"] == "0.50"


def test_a_resync(run: Run, http: Ask, tmp_path: Path) -> None:
    def edited() -> None:
        with closing(sqlite3.connect(tmp_path / "data" / "history.db")) as rows, rows:
            rows.execute("UPDATE workflow_history SET actual_cost_total = 0.09, actual_cost_nanousd = 90000000")

    edited()
    here = run("resync", STORY, "--force", "--json").json
    edited()
    there = http("workflow-history/resync", "POST", params={"adw_id": STORY, "force": "true"})
    assert here == there
    assert [(change["old_cost"], change["new_cost"]) for change in there["changes"]] == [("0.09", "2.37")]
    audited = http(f"workflow-history/{STORY}/audit")["entries"]
    assert [(entry["old_cost"], entry["new_cost"]) for entry in audited[-2:]] == [("0.09", "2.37")] * 2


def test_a_verification(run: Run, http: Ask) -> None:
    """Only `verify` compares anchors; the moments are those of two verifications."""
    assert http("verify", "POST")["started"]
    there = until(lambda: http("health")["verification"], lambda found: found["finished_at"])
    here = run("verify", "--json").json
    assert here.keys() - there.keys() == {"vouched_since"}
    moments = ("started_at", "finished_at")
    assert without(here, "vouched_since", *moments) == without(there, *moments)
    assert (there["ledgers"], there["findings"]) == (3, [])


def test_a_receipt(run: Run, http: Ask) -> None:
    """Over HTTP a receipt has its position in the request; on the command line the budget, once for each."""
    event = {"type": "cost_observed", "workflow_id": "w1", "id": "p1", "agent": "plan", "cost_usd": "0.20"}
    run("observe", "w1", "--id", "p1", "--agent", "plan", "--cost-usd", "0.20")
    here = run("observe", "w1", "--id", "p1", "--agent", "plan", "--cost-usd", "0.20", "--json").json
    there = http("events", "POST", json=event)
    assert without(here, "budget") == without(there["receipts"][0], "index")
    assert here["budget"] == there["workflows"]["w1"]["budget"]
    assert here["duplicate"]


def test_the_receivers_of_webhooks(run: Run, http: Ask) -> None:
    there = http("webhooks")
    assert run("webhooks", "--json").json == there
    (endpoint,) = there["endpoints"]
    assert (endpoint["host"], endpoint["events"]) == ("http://127.0.0.1:9", ["ledger.damaged"])


def test_money_is_text_in_fields_that_say_so_and_a_time_is_rfc_3339(run: Run, http: Ask) -> None:
    commands = [(), ("history",), ("show", STORY), ("explain", STORY), ("stale",), ("check",), ("daily", "--breakdown")]
    commands += [("session", "--by", "agent"), ("refresh",), ("rebuild",), ("resync",), ("verify",), ("webhooks",)]
    documents = {command: run(*command, "--json").json for command in commands}
    documents |= {(path,): http(path) for path in ("workflow-history", f"workflow-history/{STORY}/events", "health")}
    for where, document in documents.items():
        check(document, where)


def check(value: Any, where: Any, name: str = "") -> None:
    if isinstance(value, dict):
        for field, inner in value.items():
            if field in ("cost_breakdown", "rates"):
                continue  # a column of the row, as it is stored
            check(inner, where, name if name.endswith("_usd") else field)
    elif isinstance(value, list):
        for inner in value:
            check(inner, where, name)
    elif isinstance(value, str):
        is_money = MONEY.fullmatch(value) is not None
        assert is_money == (name.endswith("_usd") or name in MONEY_FIELDS), (where, name, value)
        if name.endswith(("_at", "_time")):
            assert value == timestamps.parse(value), (where, name, value)
    else:
        assert not name.endswith(("_usd", "_nanousd")) or value is None, (where, name, value)
        assert name not in MONEY_FIELDS or value is None, (where, name, value)
        assert not isinstance(value, float) or name.endswith(("percent", "seconds")), (where, name, value)


def test_documents_need_neither_fastapi_nor_pydantic() -> None:
    modules = [path.stem for path in (PROJECT / "projections" / "documents").glob("[a-z]*.py")]
    loaded = loaded_by("\n".join(f"import projections.documents.{name}" for name in modules))
    assert others(loaded) <= {"msgspec", "orjson", "typing_extensions"}
