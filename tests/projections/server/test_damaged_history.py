"""Files of the history that are damaged while it is served: detected, reported by `/readyz`, and replayed."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.projections.server.conftest import Process, Serve
from tests.waiting import until


def remove_log(data: Path) -> None:
    (data / "history.db-wal").unlink()


def remove_log_and_index(data: Path) -> None:
    (data / "history.db-wal").unlink()
    (data / "history.db-shm").unlink()


def cut_log(data: Path) -> None:
    with (data / "history.db-wal").open("r+b") as log:
        log.truncate(0)


def cut_half_of_the_log(data: Path) -> None:
    with (data / "history.db-wal").open("r+b") as log:
        log.truncate((data / "history.db-wal").stat().st_size // 2)


def cut_to_nothing(data: Path) -> None:
    with (data / "history.db").open("r+b") as database:
        database.truncate(0)


def overwrite(data: Path) -> None:
    with contextlib.closing(sqlite3.connect(data / "history.db")) as db:
        db.execute("PRAGMA wal_checkpoint")
    size = (data / "history.db").stat().st_size
    with (data / "history.db").open("r+b") as database:
        database.seek(4096)
        database.write(b"\xff" * (size - 4096))


DAMAGES = [remove_log, remove_log_and_index, cut_log, cut_half_of_the_log, cut_to_nothing, overwrite]


def observe(server: Process, workflow_id: str, cost: str) -> None:
    event = {"type": "cost_observed", "workflow_id": workflow_id, "cost_usd": cost}
    assert server.client.post("/api/events", json=event).status_code == 201


def rows(server: Process) -> dict[str, str] | int:
    """The rows' costs, or the status of a refusal; each answer is given at once."""
    began = time.monotonic()
    answer = server.client.get("/api/workflow-history?limit=500")
    assert time.monotonic() - began < 5, "no read waits for what is damaged"
    if answer.status_code != 200:
        return answer.status_code
    return {row["adw_id"]: row["actual_cost_total"] for row in answer.json()["workflows"]}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_under_a_server_is_noticed_told_and_replayed(
    serve: Serve, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    server, data = serve(), tmp_path / "data"
    expected = {f"w{number:02d}": f"{number}.00" for number in range(1, 40)}
    for name, cost in expected.items():
        observe(server, name, cost)
    until(lambda: rows(server), lambda found: found == expected, 30.0)

    damage(data)
    answers = [rows(server) for _ in range(20)]
    assert all(found in (503, expected) for found in answers), "never some of them, never wrong ones"
    observe(server, "after", "7")
    expected |= {"after": "7.00"}
    until(lambda: rows(server), lambda found: found == expected, 30.0)
    until(lambda: server.client.get("/readyz").text, lambda text: text == "ready\n")
    for path in ("/api/workflow-history/w01/audit", "/api/stale", "/api/spend?by=agent"):
        assert server.client.get(path).status_code in (200, 404), path

    server.stop()
    with contextlib.closing(sqlite3.connect(data / "history.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert dict(db.execute("SELECT adw_id, printf('%.2f', actual_cost_total) FROM workflow_history")) == expected


def test_readyz_says_so_as_soon_as_the_log_is_gone(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    observe(server, "w", "1")
    until(lambda: rows(server), lambda found: found == {"w": "1.00"})
    remove_log(tmp_path / "data")
    first = server.client.get("/readyz")
    assert first.status_code == 503
    until(lambda: server.client.get("/readyz").status_code, lambda status: status == 200)
    assert rows(server) == {"w": "1.00"}


def test_the_audit_log_outlives_a_log_that_was_removed(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    for cost in ("1", "2", "3"):
        observe(server, "w", cost)
        until(lambda: rows(server), lambda found: found == {"w": f"{cost}.00"})  # noqa: B023
    before = server.client.get("/api/workflow-history/w/audit").json()
    remove_log(tmp_path / "data")
    until(lambda: rows(server), lambda found: found == {"w": "3.00"})
    assert server.client.get("/api/workflow-history/w/audit").json() == before
