"""Webhooks from a real server process to a real receiver: signed, in order, at least once, and to no other address."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from operator import eq
from pathlib import Path

import pytest
from click.testing import CliRunner
from standardwebhooks import Webhook, WebhookVerificationError

from ledger.errors import InvalidInput
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.cli.app import cli
from tests.projections.server.conftest import Here, Host, Process, Serve, Server
from tests.projections.server.receiver import SECRET, Received, Receiver, always, config
from tests.waiting import until


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("TEST_WEBHOOK_SECRET", SECRET)
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    found = tmp_path / "data"
    found.mkdir()
    return found


def started(hosted: Host, data: Path, toml: str) -> Here:
    (data / "costledger.toml").write_text(toml)
    server = hosted(data)
    assert server.client.get("/healthz").text == "ok\n"  # from now on, changes are sent
    return server


def costs(received: list[Received], adw_id: str = "w") -> list[tuple[str | None, str]]:
    return [
        (one.data["old_cost"], one.data["new_cost"])
        for one in received
        if one.type == "cost.updated" and one.data["adw_id"] == adw_id
    ]


def command(data: Path, *arguments: str) -> str:
    done = CliRunner().invoke(cli, ["--data", str(data), "webhooks", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def has_cost(usd: str, received: list[Received]) -> bool:
    return any(new == usd for _, new in costs(received))


def endpoint(server: Server) -> dict[str, object]:
    found: dict[str, object] = server.client.get("/api/webhooks").json()["endpoints"][0]
    return found


def test_a_workflow_is_told_from_its_first_cost_to_its_end_once_each(
    hosted: Host, data: Path, receiver: Receiver
) -> None:
    DirectoryStore(data).append([cost_observed("before", cost_usd="9"), workflow_ended("before", "completed")])
    server = started(hosted, data, config(receiver.port))
    for usd in ("0.09", "2.37", "6.00"):
        server.ledgers.append([cost_observed("w", cost_usd=usd, agent="plan")])
        receiver.until(partial(has_cost, usd))
    receiver.until(lambda got: "budget.exceeded" in [one.type for one in got])
    server.ledgers.append([workflow_ended("w", "completed")])
    receiver.until(lambda got: got[-1].type == "workflow.settled")
    assert costs(receiver.received) == [(None, "0.09"), ("0.09", "2.37"), ("2.37", "6.00")]
    assert receiver.types("w") == ["cost.updated"] * 3 + ["budget.exceeded", "workflow.settled"]
    assert receiver.types("before") == [], "what was there before the first webhook is not sent"
    exceeded, settled = receiver.received[-2:]
    assert (exceeded.data["run"], exceeded.data["budget"]["left_usd"]) == (1, "-1.00")
    assert (settled.data["status"], settled.data["cost_usd"], settled.data["budget"]["state"]) == (
        "completed",
        "6.00",
        "over",
    )
    assert len({one.id for one in receiver.received}) == 5
    found = until(lambda: endpoint(server), lambda state: state["delivered"] == 5)
    assert (found["pending"], found["dead"], found["last_error"]) == (0, 0, None)
    assert found["host"] == f"http://127.0.0.1:{receiver.port}", "neither path nor query, which may be secret"


def test_the_budget_of_a_second_run_is_told_again(hosted: Host, data: Path, receiver: Receiver) -> None:
    server = started(hosted, data, config(receiver.port, events=["budget.exceeded"]))
    server.ledgers.append([workflow_started("w", run=1), cost_observed("w", cost_usd="6")])
    receiver.until(lambda got: len(got) == 1)
    server.ledgers.append([cost_observed("w", cost_usd="7"), workflow_ended("w", "failed", run=1)])
    server.ledgers.append([workflow_started("w", run=2), cost_observed("w", cost_usd="8", session_id="s")])
    receiver.until(lambda got: len(got) == 2)
    assert [one.data["run"] for one in receiver.received] == [1, 2]


def test_each_share_of_a_budget_that_is_warned_of_is_sent_once_in_a_run(
    hosted: Host, data: Path, receiver: Receiver
) -> None:
    server = started(hosted, data, config(receiver.port) + "warn_at = [0.5, 0.9]\n")
    for usd in ("2.49", "2.50", "3", "4.50", "4.60", "6"):
        server.ledgers.append([cost_observed("w", cost_usd=usd)])
        receiver.until(partial(has_cost, f"{float(usd):.2f}"))
    receiver.until(lambda got: "budget.exceeded" in [one.type for one in got])
    sent = [one for one in receiver.received if one.type.startswith("budget.")]
    assert [one.type for one in sent] == ["budget.warned", "budget.warned", "budget.exceeded"]
    warned = [one.data for one in sent[:2]]
    assert [(data["run"], data["warned_at"], data["budget"]["state"]) for data in warned] == [
        (1, 0.5, "warned"),
        (1, 0.9, "warned"),
    ]


PERIODS = """
[[budgets.period]]
name = "small"
per = "month"
usd = "2"
warn_at = [0.5, 0.9]
[[budgets.period]]
per = "month"
usd = "2"
where = ["tema=typo"]
"""


def test_a_periods_budget_is_sent_once_for_each_share_also_after_a_restart(
    hosted: Host, data: Path, receiver: Receiver
) -> None:
    DirectoryStore(data).append([cost_observed("before", cost_usd="1.1")])
    toml = config(receiver.port, events=["budget.warned", "budget.exceeded"]).replace('"5"', '"50"') + PERIODS
    server = started(hosted, data, toml)
    server.ledgers.append([cost_observed("w", cost_usd="0.8")])
    receiver.until(lambda got: len(got) == 1)
    server.stop()
    server = started(hosted, data, toml)
    server.ledgers.append([cost_observed("v", cost_usd="0.2")])
    receiver.until(lambda got: len(got) == 2)
    server.ledgers.append([cost_observed("u", cost_usd="4")])
    server.ledgers.append([cost_observed("v", cost_usd="50.5")])
    receiver.until(lambda got: len(got) == 3)
    of_period = [one for one in receiver.received if one.data["adw_id"] is None]
    assert [(one.type, one.data.get("warned_at")) for one in of_period] == [
        ("budget.warned", 0.9),
        ("budget.exceeded", None),
    ], "0.5 was reached before the first webhook"
    exceeded = of_period[1].data
    assert (exceeded["name"], exceeded["per"], exceeded["budget"]["state"]) == ("small", "month", "over")


def test_slack_gets_a_sentence(hosted: Host, data: Path, receiver: Receiver) -> None:
    toml = config(receiver.port, events=["budget.exceeded", "workflow.settled"], format="slack")
    server = started(hosted, data, toml)
    server.ledgers.append([cost_observed("w", cost_usd="6"), workflow_ended("w", "completed")])
    receiver.until(lambda got: len(got) == 2)
    assert sorted(one.data["text"] for one in receiver.received) == [
        "w completed: $6.00 spent",
        "w is over its budget: $6.00 of $5.00 spent (120 %)",
    ]


def test_a_receiver_that_was_down_or_failed_gets_everything_in_order(
    hosted: Host, data: Path, receiver: Receiver
) -> None:
    statuses = iter([500, 503, 0, 404])
    receiver.answers = lambda _: next(statuses, 200)
    server = started(hosted, data, config(receiver.port, events=["cost.updated"]))
    for usd in ("1", "2", "3"):
        server.ledgers.append([cost_observed("w", cost_usd=usd)])
        shown = f"{usd}.00"
        until(lambda: server.client.get("/api/workflow-history/w").json().get("actual_cost_total"), partial(eq, shown))
    receiver.until(lambda got: costs(got)[-1:] == [("2.00", "3.00")])
    got = receiver.received
    assert {one.id for one in got[:5]} == {got[0].id}, "the same message until it is taken, and none before it"
    assert costs(got[4:]) == [(None, "1.00"), ("1.00", "2.00"), ("2.00", "3.00")]
    port = receiver.port
    receiver.stop()
    server.ledgers.append([cost_observed("w", cost_usd="4")])
    until(lambda: endpoint(server), lambda state: "could not be reached" in str(state["last_error"]))
    back = Receiver(port)
    try:
        assert costs(back.until(bool)) == [("3.00", "4.00")]
    finally:
        back.stop()


def test_a_server_killed_between_delivery_and_its_note_delivers_again_under_the_same_id(
    serve: Serve, data: Path, receiver: Receiver
) -> None:
    (data / "costledger.toml").write_text(config(receiver.port, events=["cost.updated"]))
    server = serve(data)
    assert server.client.get("/healthz").text == "ok\n"

    def kill(received: Received) -> int:  # noqa: ARG001
        os.kill(server.process.pid, signal.SIGKILL)
        return 200

    receiver.answers = kill
    server.ledgers.append([cost_observed("w", cost_usd="1")])
    receiver.until(lambda got: len(got) == 1)
    server.process.wait(10)
    receiver.answers = always(200)
    again = serve(data)
    receiver.until(lambda got: len(got) == 2)
    again.ledgers.append([cost_observed("w", cost_usd="2")])
    receiver.until(lambda got: len(got) == 3)
    first, second, third = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert third.id != first.id
    assert costs([second, third]) == [(None, "1.00"), ("1.00", "2.00")]


def test_what_is_given_up_is_shown_and_sent_again_on_request(hosted: Host, data: Path, receiver: Receiver) -> None:
    receiver.answers = lambda received: 500 if received.data["new_cost"] == "1.00" else 200
    server = started(hosted, data, config(receiver.port, events=["cost.updated"], attempts=2))
    server.ledgers.append([cost_observed("w", cost_usd="1")])
    until(lambda: endpoint(server), lambda state: state["dead"] == 1)
    server.ledgers.append([cost_observed("w", cost_usd="2")])
    receiver.until(lambda got: len(got) == 3)
    letter = server.client.get("/api/webhooks").json()["dead_letters"][0]
    assert (letter["adw_id"], letter["attempts"], letter["last_error"]) == ("w", 2, "answered with 500")
    shown = command(data, "--json")
    assert [one["id"] for one in json.loads(shown)["dead_letters"]] == [letter["id"]]
    assert "--resend" in command(data)
    receiver.answers = always(200)
    answer = server.client.post(f"/api/webhooks/{letter['id']}/resend")
    assert (answer.status_code, answer.json()["endpoints"]) == (202, [letter["endpoint"]])
    receiver.until(lambda got: got[-1].id == letter["id"])
    until(lambda: endpoint(server), lambda state: state["dead"] == 0)
    assert server.client.post(f"/api/webhooks/{letter['id']}/resend").status_code == 404
    text = server.client.get("/metrics").text
    assert f'costledger_webhook_attempts_total{{endpoint="{letter["endpoint"]}",outcome="given_up"}} 1.0' in text


def test_what_was_given_up_can_be_sent_again_from_the_command_line(
    hosted: Host, data: Path, receiver: Receiver
) -> None:
    receiver.answers = always(500)
    server = started(hosted, data, config(receiver.port, events=["cost.updated"], attempts=1))
    server.ledgers.append([cost_observed("w", cost_usd="1")])
    until(lambda: endpoint(server), lambda state: state["dead"] == 1)
    message = receiver.received[0].id
    receiver.answers = always(200)
    assert "will be sent again" in command(data, "--resend", message)
    receiver.until(lambda got: [one.id for one in got] == [message, message])
    with pytest.raises(InvalidInput, match="no message 'msg_unknown' was given up"):
        command(data, "--resend", "msg_unknown")


def test_redirects_are_not_followed_and_slow_receivers_are_not_waited_for(
    hosted: Host, data: Path, receiver: Receiver
) -> None:
    release = threading.Event()

    def answers(received: Received) -> int:
        if received.data["adw_id"] == "slow":
            release.wait(5)
        return 302

    receiver.answers, receiver.location = answers, f"http://127.0.0.1:{receiver.port}/elsewhere"
    toml = config(receiver.port, events=["cost.updated"], attempts=1, timeout_seconds=0.2)
    server = started(hosted, data, toml)
    server.ledgers.append([cost_observed("slow", cost_usd="1")])
    server.ledgers.append([cost_observed("moved", cost_usd="1")])
    letters = until(
        lambda: server.client.get("/api/webhooks").json()["dead_letters"], lambda letters: len(letters) == 2
    )
    release.set()
    assert {letter["adw_id"]: letter["last_error"] for letter in letters} == {
        "slow": "127.0.0.1 did not answer within 0.2 seconds",
        "moved": "answered with 302, and redirects are not followed",
    }
    assert {one.path for one in receiver.received} == {"/hook?token=hush"}


def test_a_private_address_is_refused_unless_it_is_allowed(hosted: Host, data: Path, receiver: Receiver) -> None:
    toml = config(receiver.port, url=f"https://localhost:{receiver.port}/", allow_private=None, attempts=1)
    server = started(hosted, data, toml)
    server.ledgers.append([cost_observed("w", cost_usd="1")])
    found = until(lambda: endpoint(server), lambda state: state["dead"] == 1)
    assert "not public" in str(found["last_error"])
    assert receiver.received == []


def test_neither_a_rebuild_nor_a_history_made_anew_tells_what_was_told(
    hosted: Host, data: Path, receiver: Receiver
) -> None:
    from projections.history.sqlite.history import SqliteHistory
    from projections.replay.rebuild import rebuild

    server = started(hosted, data, config(receiver.port))
    server.ledgers.append([cost_observed("w", cost_usd="2.37"), workflow_ended("w", "completed")])
    receiver.until(lambda got: len(got) == 2)
    with closing(sqlite3.connect(data / "history.db")) as db, db:  # a hand that the audit log knows nothing of
        db.execute("UPDATE workflow_history SET actual_cost_total = 0.09, actual_cost_nanousd = 90000000")
    db.close()
    with SqliteHistory(data / "history.db") as history:
        assert [change.new_nanousd for change in rebuild(server.ledgers, history).changes] == [2_370_000_000]
        assert history.audit()[-1].reason == "rebuild"
    server.stop()
    for path in data.glob("history.db*"):
        path.unlink()
    again = hosted(data)
    again.ledgers.append([cost_observed("v", cost_usd="1")])
    receiver.until(lambda got: len(got) >= 3)
    assert [(one.type, one.data["adw_id"]) for one in receiver.received] == [
        ("cost.updated", "w"),
        ("workflow.settled", "w"),
        ("cost.updated", "v"),
    ]


def test_a_workflow_that_ends_without_a_figure_settles_at_none(hosted: Host, data: Path, receiver: Receiver) -> None:
    server = started(hosted, data, config(receiver.port, events=["workflow.settled"]))
    server.ledgers.append([workflow_started("w", budget_usd=5), workflow_ended("w", "completed")])
    (settled,) = receiver.until(bool)
    budget = settled.data["budget"]
    assert (settled.data["cost_usd"], settled.data["cost_basis"], budget["spent_usd"]) == (None, None, None)


def test_a_damaged_ledger_is_told_once(hosted: Host, data: Path, receiver: Receiver) -> None:
    server = started(hosted, data, config(receiver.port, events=["ledger.damaged"]))
    server.ledgers.append([cost_observed("w", cost_usd="1")])
    until(lambda: server.client.get("/api/workflow-history/w").status_code, lambda status: status == 200)
    path = server.ledgers.ledger_path("w")
    path.write_bytes(path.read_bytes().replace(b'"1.00"', b'"9.00"') + b"{}\n")
    found = receiver.until(bool)
    assert (found[0].type, found[0].data["adw_id"]) == ("ledger.damaged", "w")
    assert "salvage" in found[0].data["problem"]
    server.stop()
    again = hosted(data)
    until(lambda: again.client.get("/api/health").json()["problems"], bool)
    again.ledgers.append([cost_observed("v", cost_usd="1")])
    until(lambda: again.client.get("/api/workflow-history/v").status_code, lambda status: status == 200)
    assert len(receiver.received) == 1


def test_a_forged_secret_does_not_verify_and_ours_is_nowhere_to_be_seen(
    serve: Serve, data: Path, receiver: Receiver
) -> None:
    (data / "costledger.toml").write_text(config(receiver.port))
    server = serve(data)
    assert server.client.get("/healthz").text == "ok\n"
    receiver.answers = always(500)
    server.ledgers.append([cost_observed("w", cost_usd="1")])
    got = receiver.until(bool)[0]
    forged = Webhook("whsec_" + "Zm9yZ2VkZm9yZ2VkZm9yZ2VkZm9yZ2VkZm9yZ2VkZm8=")
    with pytest.raises(WebhookVerificationError):
        forged.verify(got.body, got.headers)
    shown = server.client.get("/api/webhooks").text + server.client.get("/api/health").text
    output = server.stop() + shown
    assert "127.0.0.1" in output
    for secret in (SECRET, SECRET.removeprefix("whsec_"), "hush"):
        assert secret not in output


def test_a_secret_that_is_not_there_is_said_before_anything_starts(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_WEBHOOK_SECRET", raising=False)
    (data / "costledger.toml").write_text(config(1))
    with pytest.raises(AssertionError, match=r"TEST_WEBHOOK_SECRET.*--new-secret"):
        Process(data)


@pytest.mark.parametrize(
    "url", ["https://😀.example/", f"https://hooks.example/{'x' * 70_000}"], ids=["name", "length"]
)
def test_an_address_that_no_request_can_go_to_is_said_before_anything_starts(
    data: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("TEST_WEBHOOK_SECRET", SECRET)
    other = f'[[webhooks]]\nurl = "{url}"\nsecret_env = "TEST_WEBHOOK_SECRET"\n'
    (data / "costledger.toml").write_text(f"{other}\n{config(1)}")
    with pytest.raises(AssertionError, match=r"the address of the webhook to https://\S+ cannot be used"):
        Process(data)
