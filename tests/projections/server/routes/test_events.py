"""Appending over HTTP: durable before the answer, idempotent, and an agent learns what it has cost so far."""

from __future__ import annotations

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from tests.projections.server.conftest import Host, Serve, Server
from tests.waiting import until


def reading(usd: str, id: str, workflow_id: str = "w", **more: Any) -> dict[str, Any]:
    return {"type": "cost_observed", "workflow_id": workflow_id, "id": id, "cost_usd": usd} | more


def test_the_same_event_again_gives_the_first_receipt_and_another_under_its_id_is_a_conflict(server: Server) -> None:
    first = server.client.post("/api/events", json=reading("0.09", "a"))
    again = server.client.post("/api/events", json=reading("0.09", "a"))
    other = server.client.post("/api/events", json=reading("0.10", "a"))
    assert [first.status_code, again.status_code, other.status_code] == [201, 200, 409]
    standing = {"cost_usd": "0.09", "at_least": False, "unpriced_events": 0, "status": "running"}
    assert first.json()["workflows"] == {"w": standing | {"budget": None, "hosts": "all", "problem": None}}
    one, two = first.json()["receipts"][0], again.json()["receipts"][0]
    assert (one["seq"], one["hash"], one["duplicate"], two["duplicate"]) == (two["seq"], two["hash"], False, True)
    assert "cost_usd" in other.json()["detail"]


def test_of_a_batch_what_is_wrong_is_named_and_the_rest_is_appended(server: Server) -> None:
    batch = [reading("1", "a"), {"type": "moon"}, reading("2", "b", "other"), 7, reading("-1", "c")]
    answer = server.client.post("/api/events", json=batch)
    assert answer.status_code == 207
    appended = answer.json()
    assert [(r["index"], r["workflow_id"]) for r in appended["receipts"]] == [(0, "w"), (2, "other")]
    assert [(e["index"], e["status"]) for e in appended["errors"]] == [(1, 422), (3, 422), (4, 422)]
    nothing = server.client.post("/api/events", json=[{"type": "moon"}, 7])
    assert (nothing.status_code, len(nothing.json()["errors"])) == (422, 2)


def test_what_is_wrong_is_said_in_the_words_of_json(server: Server) -> None:
    wrong = [
        {"type": "cost_observed"},
        {"type": "cost_observed", "workflow_id": None},
        {"workflow_id": "w"},
        {"type": "cost_observed", "workflow_id": "w", "cost_usd": True},
        {"type": "cost_observed", "workflow_id": "w", "cost_usd": "1", "final": "yes", "agent": ["a"]},
        {"type": "cost_observed", "workflow_id": "w", "usage": {"input_tokens": 1.5}},
        {"type": "cost_observed", "workflow_id": "w", "usage": {"input_tokens": {"a": None}}},
    ]
    details = [error["detail"] for error in server.client.post("/api/events", json=wrong).json()["errors"]]
    assert len(details) == len(wrong)
    assert not [one for one in details if any(word in one for word in ("None", "True", "Decimal", "dict", "{"))]
    assert "there is no workflow id" in details[0]
    assert details[0] == details[1]
    assert "not 1.5" in details[5]


def test_lines_are_taken_as_the_command_takes_them(server: Server) -> None:
    lines = b"\n".join(json.dumps(reading("0.50", id, agent=id)).encode() for id in "abc") + b"\n\nnot json\n"
    lines += b'{"type": "cut'
    headers = {"content-type": "application/x-ndjson"}
    answer = server.client.post("/api/events", content=lines, headers=headers)
    assert answer.status_code == 207
    assert answer.json()["workflows"]["w"]["cost_usd"] == "1.50"
    assert [one["detail"] for one in answer.json()["errors"]] == [
        "is not JSON: Expecting value at character 1",
        "is not JSON: Unterminated string starting at character 10",
    ]
    assert server.client.post("/api/events", content=b"", headers=headers).status_code == 422
    assert server.client.post("/api/events", content=b"x", headers={"content-type": "text/html"}).status_code == 415
    packed = server.client.post("/api/events", content=b"x", headers={"content-encoding": "gzip"})
    assert (packed.status_code, packed.json()["type"].rpartition(":")[2]) == (415, "content-encoding")


def test_money_in_json_stays_exact(server: Server) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"type":"cost_observed","workflow_id":"w","cost_usd":999999.123456789}'
    assert server.client.post("/api/events", content=body, headers=headers).json()["workflows"]["w"]["cost_usd"] == (
        "999999.123456789"
    )
    twice = b'{"type":"cost_observed","workflow_id":"w","cost_usd":1,"cost_usd":2}'
    refused = server.client.post("/api/events", content=twice, headers=headers)
    assert (refused.status_code, "twice" in refused.json()["detail"]) == (422, True)


def used(model: str, id: str, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1_000, "output_tokens": 2_306}
    return {"type": "cost_observed", "workflow_id": "w", "id": id, "model": model, "usage": usage} | more


def test_usage_without_a_cost_is_priced_and_what_has_no_price_makes_the_answer_a_lower_bound(server: Server) -> None:
    appended = server.client.post("/api/events", json=used("claude-sonnet-4-5", "a", message_id="m1")).json()
    assert appended["workflows"]["w"]["cost_usd"] == "0.03759"
    assert (appended["workflows"]["w"]["at_least"], appended["workflows"]["w"]["unpriced_events"]) == (False, 0)
    appended = server.client.post("/api/events", json=used("mystery", "b", message_id="m2")).json()
    assert appended["workflows"]["w"]["cost_usd"] == "0.03759"
    assert (appended["workflows"]["w"]["at_least"], appended["workflows"]["w"]["unpriced_events"]) == (True, 1)
    first, second = list(server.ledgers.read("w"))[1:]
    assert (first["cost_source"], first["price_book"].split()[0]) == ("priced", "genai-prices")
    assert "cost_usd" not in second


def test_incomplete_usage_makes_the_answer_a_lower_bound(server: Server) -> None:
    appended = server.client.post("/api/events", json=reading("1", "a", partial=True)).json()["workflows"]["w"]
    assert (appended["cost_usd"], appended["at_least"], appended["unpriced_events"]) == ("1.00", True, 0)


@pytest.mark.parametrize("model", ["mystery", "claude-sonnet-4-5"])
def test_usage_sent_again_is_the_same_event_whatever_its_model_costs_by_then(
    hosted: Host, tmp_path: Path, model: str
) -> None:
    first = hosted(tmp_path / "data")
    appended = first.client.post("/api/events", json=used(model, "a", message_id="m"))
    first.stop()
    rates = f'[[prices]]\nmodel = "{model}"\ninput_usd_per_mtok = "1"\noutput_usd_per_mtok = "1"\n'
    (tmp_path / "data" / "costledger.toml").write_text(rates)
    second = hosted(tmp_path / "data")
    again = second.client.post("/api/events", json=used(model, "a", message_id="m"))
    assert (appended.status_code, again.status_code, again.json()["receipts"][0]["duplicate"]) == (201, 200, True)
    assert again.json()["workflows"] == appended.json()["workflows"], "a price is fixed when the event is made"
    other = used(model, "a", message_id="m", usage={"input_tokens": 1})
    assert second.client.post("/api/events", json=other).status_code == 409


STARTED = {"type": "workflow_started", "workflow_id": "w", "run": 1, "budget_usd": "5"}


def after_a_loss(hosted: Host, data: Path, lost: str, *, restarted: bool) -> httpx.Response:
    """The answer to an append after something was done to the ledger of a workflow that spent 4.90 of 5.00."""
    server = hosted(data)
    spent = [{"type": "cost_observed", "workflow_id": "w", "agent": "a", "cost_usd": cost} for cost in ("4.5", "4.9")]
    appended = server.client.post("/api/events", json=[STARTED, *spent]).json()
    assert (appended["workflows"]["w"]["cost_usd"], appended["workflows"]["w"]["problem"]) == ("4.90", None)
    until(lambda: server.client.get("/api/workflow-history/w").status_code, lambda code: code == 200)
    if restarted:
        server.stop()
    path = data / "ledgers" / "w.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = [lines[0], lines[1].replace(b'"5.00"', b'"9.00"'), *lines[2:]]
    path.write_bytes(b"".join({"emptied": [], "cut": lines[:-1], "damaged": damaged}.get(lost, lines)))
    if lost == "deleted":
        path.unlink()
    server = hosted(data) if restarted else server
    return server.client.post("/api/events", json=spent[0] | {"agent": "b", "cost_usd": "0.5"})


@pytest.mark.parametrize(
    ("lost", "restarted"),
    [("deleted", False), ("deleted", True), ("emptied", True), ("cut", True), ("damaged", True)],
)
def test_after_a_loss_the_answer_says_at_least_what_the_row_knows(
    hosted: Host, tmp_path: Path, lost: str, restarted: bool
) -> None:
    answer = after_a_loss(hosted, tmp_path / "data", lost, restarted=restarted)
    assert answer.status_code == 201
    standing = answer.json()["workflows"]["w"]
    assert (standing["cost_usd"], standing["at_least"], standing["budget"]["left_usd"]) == ("4.90", True, "0.10")
    assert "w.jsonl" in standing["problem"]
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("lost", ["emptied", "cut"])
def test_a_server_does_not_append_to_what_it_sees_was_cut(hosted: Host, tmp_path: Path, lost: str) -> None:
    answer = after_a_loss(hosted, tmp_path / "data", lost, restarted=False)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:costledger:problem:damaged-ledger")


def test_appends_go_on_below_what_was_put_back_once_that_is_accepted(hosted: Host, tmp_path: Path) -> None:
    server, path = hosted(tmp_path / "data"), tmp_path / "data" / "ledgers" / "w.jsonl"
    server.client.post("/api/events", json=reading("3", "1"))
    backup = path.read_bytes()
    server.client.post("/api/events", json=reading("4", "2"))
    _eventually(server, lambda row: row["actual_cost_total"] == "4.00")
    path.write_bytes(backup)
    assert server.client.post("/api/events", json=reading("5", "3")).status_code == 409
    accepted = server.client.post("/api/workflow-history/resync?adw_id=w&force=true").json()
    assert [(change["old_cost"], change["new_cost"]) for change in accepted["changes"]] == [("4.00", "3.00")]
    answer = server.client.post("/api/events", json=reading("5", "3"))
    assert (answer.status_code, answer.json()["workflows"]["w"]["cost_usd"]) == (201, "5.00")
    assert answer.json()["receipts"][0]["seq"] == 3


def test_a_row_follows_an_append_of_another_process_by_itself(server: Server) -> None:
    server.ledgers.append([_observed("0.09")])
    row = _eventually(server, lambda row: row["actual_cost_total"] == "0.09")
    assert row["status"] == "running"


def test_many_clients_share_appends_and_each_gets_its_own_receipts(server: Server) -> None:
    def send(client: int) -> list[int]:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            return [
                http.post("/api/events", json=reading("1", f"{client}-{n}", agent=f"{client}-{n}")).status_code
                for n in range(20)
            ]

    with ThreadPoolExecutor(16) as pool:
        assert set().union(*pool.map(send, range(16))) == {201}
    lines = list(server.ledgers.read("w"))
    assert len(lines) == 1 + 16 * 20
    assert len({line["id"] for line in lines}) == len(lines)
    _eventually(server, lambda row: row["actual_cost_total"] == "320.00")


def test_a_server_killed_under_load_lost_nothing_it_acknowledged(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    acknowledged: list[str] = []

    def send(client: int) -> None:
        with httpx.Client(base_url=server.url, timeout=10) as http:
            for n in range(10_000):
                try:
                    answer = http.post("/api/events", json=reading("1", f"{client}-{n}", f"w{client % 4}"))
                except httpx.HTTPError:
                    return
                if answer.is_success:
                    acknowledged.append(f"{client}-{n}")

    threads = [threading.Thread(target=send, args=(client,)) for client in range(16)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 400:
        threads[0].join(0.01)
    server.process.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()
    ledgers = DirectoryStore(tmp_path / "data")
    ids = [line["id"] for name in ledgers.workflow_ids() for line in ledgers.read(name)]
    assert len(ids) == len(set(ids))
    assert set(acknowledged) <= set(ids)
    assert len(acknowledged) >= 400


def test_a_server_told_to_stop_finishes_what_it_accepted(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    codes: list[int] = []

    def send(n: int) -> None:
        try:
            codes.append(http.post("/api/events", json=reading("1", str(n))).status_code)
        except httpx.HTTPError:
            codes.append(0)

    with httpx.Client(base_url=server.url, timeout=10) as http, ThreadPoolExecutor(8) as pool:
        for n in range(400):
            pool.submit(send, n)
        while codes.count(201) < 40:
            threading.Event().wait(0.01)
        server.process.terminate()
    written = len(list(DirectoryStore(tmp_path / "data").read("w"))) - 1
    assert server.process.wait(15) == -signal.SIGTERM, "uvicorn hands the signal on once it has shut down"
    assert 40 <= codes.count(201) <= written


def _observed(usd: str) -> Any:
    from ledger.events.event import cost_observed

    return cost_observed("w", cost_usd=usd)


def _eventually(server: Server, true: Any) -> Any:
    for _ in range(200):
        answer = server.client.get("/api/workflow-history/w")
        if answer.status_code == 200 and true(answer.json()):
            return answer.json()
        threading.Event().wait(0.02)
    raise AssertionError(answer.text)


def test_a_workflow_that_does_not_exist_is_neither_ended_nor_corrected(server: Server) -> None:
    end = {"type": "workflow_completed", "workflow_id": "w"}
    wrong = reading("1", "a", final=True, reason="invoice")
    for refused in (end, wrong):
        answer = server.client.post("/api/events", json=refused)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (404, "unknown-workflow")
    assert list(server.ledgers.workflow_ids()) == []
    answer = server.client.post("/api/events", json=[end, reading("2", "b"), wrong, end])
    assert (answer.status_code, [one["index"] for one in answer.json()["errors"]]) == (207, [0])
    assert answer.json()["workflows"]["w"]["status"] == "completed"


def test_an_append_opens_no_connection_to_the_history(hosted: Host, tmp_path: Path) -> None:
    threads: list[str] = []

    def open_history(path: Path) -> SqliteHistory:
        threads.append(threading.current_thread().name)
        return SqliteHistory(path)

    server = hosted(tmp_path / "data", open_history)
    for at, name in enumerate(("a", "b", "a")):
        answer = server.client.post("/api/events", json=reading("1", f"{name}{at}", name))
        assert answer.json()["workflows"][name]["cost_usd"] == "1.00"
    until(lambda: server.client.get("/api/workflow-history").json()["total_count"], lambda count: count == 2)
    assert threads
    assert not [name for name in threads if name.startswith(("append", "budget_status"))]


def test_a_moment_of_the_future_is_refused_with_the_time_of_this_clock(server: Server) -> None:
    future = reading("1", "a", observed_at="2999-01-01T00:00:00Z")
    answer = server.client.post("/api/events", json=future)
    problem = "field 'observed_at': 2999-01-01T00:00:00.000000Z is more than a day in the future"
    assert (answer.status_code, problem in answer.json()["detail"]) == (422, True)
    headers = {"content-type": "application/x-ndjson"}
    lines = server.client.post("/api/events", content=json.dumps(future), headers=headers)
    assert (lines.status_code, "more than a day in the future" in lines.json()["detail"]) == (422, True)
