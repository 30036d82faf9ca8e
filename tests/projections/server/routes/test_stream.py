"""The stream of changed rows: one event per change, nothing without one, and it goes on where it was left."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from ledger.events.event import cost_observed, workflow_ended
from projections.server.service.tokens import TokenRegister
from tests.projections.server.conftest import Host, Serve, Server


class Listener:
    """Reads a stream in a thread."""

    def __init__(self, response: httpx.Response) -> None:
        self.events: list[dict[str, Any]] = []
        self.first, self.ended = threading.Event(), threading.Event()
        self._response = response
        threading.Thread(target=self._read, daemon=True).start()
        assert self.first.wait(10)

    def _read(self) -> None:
        event: dict[str, Any] = {}
        try:
            for line in self._response.iter_lines():
                name, _, value = line.partition(": ")
                if line == "":
                    self.first.set()
                    if "data" in event:
                        self.events.append(event)
                    event = {}
                else:
                    event[name] = json.loads(value) if name == "data" else value
        except (httpx.HTTPError, RuntimeError):
            pass
        self.ended.set()

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        for _ in range(1500):
            if len(self.events) >= count:
                return self.events
            threading.Event().wait(0.02)
        raise AssertionError(self.events)


@contextmanager
def listening(server: Server, last: str | None = None, token: str | None = None) -> Iterator[Listener]:
    headers = {} if last is None else {"last-event-id": last}
    headers |= {} if token is None else {"authorization": f"Bearer {token}"}
    with httpx.stream("GET", f"{server.url}/api/stream", headers=headers, timeout=30) as response:
        assert response.status_code == 200
        yield Listener(response)


def test_each_change_of_a_row_is_one_event_and_no_change_is_none(server: Server) -> None:
    with listening(server) as heard:
        server.ledgers.append([cost_observed("w", cost_usd="0.09", id="a")])
        heard.wait_for(1)
        server.ledgers.append([cost_observed("w", cost_usd="0.09", id="a")])
        server.client.post("/api/workflow-history/resync")
        server.ledgers.append([cost_observed("w", cost_usd="2.37", id="b"), workflow_ended("w", "completed")])
        events = heard.wait_for(2)
        threading.Event().wait(0.3)
    assert [(e["event"], e["data"]["actual_cost_total"], e["data"]["status"]) for e in events] == [
        ("row", "0.09", "running"),
        ("row", "2.37", "completed"),
    ]
    assert int(events[0]["id"]) < int(events[1]["id"])


def test_a_stream_goes_on_after_the_last_event_that_was_seen(server: Server) -> None:
    with listening(server) as heard:
        server.ledgers.append([cost_observed("a", cost_usd="1")])
        last_id = heard.wait_for(1)[0]["id"]
    server.ledgers.append([cost_observed("b", cost_usd="1")])
    server.ledgers.append([cost_observed("c", cost_usd="1")])
    with listening(server, last_id) as heard:
        assert {event["data"]["adw_id"] for event in heard.wait_for(2)} == {"b", "c"}
        server.ledgers.append([cost_observed("d", cost_usd="1")])
        assert heard.wait_for(3)[2]["data"]["adw_id"] == "d"
    refused = server.client.get("/api/stream", headers={"last-event-id": "yesterday"})
    assert refused.status_code == 400


def test_an_id_that_the_history_cannot_know_resets_the_stream_and_it_goes_on(hosted: Host, tmp_path: Path) -> None:
    server = hosted(tmp_path / "data")
    server.ledgers.append([cost_observed("w", cost_usd="1")])
    with listening(server, "0") as heard:
        first = heard.wait_for(1)[0]
    assert first["event"] == "row", "0 is the beginning"
    for unknown in (str(int(first["id"]) + 1), str(2**63 - 1), "458"):
        with listening(server, unknown) as heard:
            message = heard.wait_for(1)[0]
            assert (message["event"], message["data"], message["id"]) == ("reset", {}, first["id"]), unknown
            server.ledgers.append([cost_observed("w", cost_usd="1")])
            first = heard.wait_for(2)[1]
            assert first["event"] == "row"
    server.stop()
    for path in (tmp_path / "data").glob("history.db*"):
        path.unlink()
    threading.Event().wait(1.0)  # another second, another era
    server = hosted(tmp_path / "data")
    for number in range(5):
        server.ledgers.append([cost_observed(f"more-{number}", cost_usd="1")])
    with listening(server, first["id"]) as heard:
        assert heard.wait_for(1)[0]["event"] == "reset"
        server.ledgers.append([cost_observed("w", cost_usd="1")])
        assert [one["data"]["adw_id"] for one in heard.wait_for(2) if one["event"] == "row"][-1] == "w"


def test_a_stream_ends_when_its_token_is_revoked(hosted: Host, tmp_path: Path) -> None:
    tokens = TokenRegister(tmp_path / "data")
    token, other = tokens.create("read"), tokens.create("read")
    server = hosted(tmp_path / "data", tokens_required=True)
    with listening(server, token=token) as idle, listening(server, token=other) as busy:
        server.ledgers.append([cost_observed("w", cost_usd="1")])
        assert (len(idle.wait_for(1)), len(busy.wait_for(1))) == (1, 1)
        tokens.revoke(token.split("_")[1])
        server.ledgers.append([cost_observed("w", cost_usd="1")])
        busy.wait_for(2)
        assert idle.ended.wait(2), "at the next change"
        assert len(idle.events) == 1
        tokens.revoke(other.split("_")[1])
        assert busy.ended.wait(8), "also without one"
    headers = {"authorization": f"Bearer {token}"}
    assert server.client.get("/api/stream", headers=headers).status_code == 401


def test_a_row_that_is_removed_is_told_too(server: Server) -> None:
    import sqlite3

    server.ledgers.append([cost_observed("w", cost_usd="1")])
    with listening(server, "0") as heard:
        heard.wait_for(1)
        with closing(sqlite3.connect(server.data / "history.db")) as db, db:
            db.execute("INSERT INTO workflow_history SELECT * FROM workflow_history WHERE 0")
            db.execute("DELETE FROM workflow_history")
            db.execute("DELETE FROM costledger_checkpoint")
        db.close()
        server.ledgers.append([cost_observed("other", cost_usd="1")])
        assert {"event": "removed", "data": {"adw_id": "w"}}.items() <= heard.wait_for(3)[1].items()


def test_an_open_stream_does_not_keep_the_server_from_ending(serve: Serve) -> None:
    server = serve()
    with listening(server):
        assert server.stop() == "", "no task had to be cancelled"
