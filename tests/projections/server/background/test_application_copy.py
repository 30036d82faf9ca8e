"""A server next to an application that has its own `workflow_history.db` open, writes to it, and sets figures back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from ledger.importing.source_registry import SourceEntry, SourceRegister
from tests.applications import POSTGRES_KINDS, Application, PostgresApplication, SqliteApplication, row_of
from tests.ledger.logs import init, result, write
from tests.projections.server.browsing import WIDE, Visit, expect
from tests.projections.server.conftest import Process, Serve

_SECONDS_MAX = 5.0
"""The page says two; other tests share the machine."""

_WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
while True:
    db.execute(sys.argv[2])
    time.sleep(float(sys.argv[3]))
"""


class Story:
    """The story's application, its agents' folder and our data directory."""

    def __init__(self, folder: Path, application: Application) -> None:
        self.folder, self.application, self.data = folder, application, folder / "data"
        self.data.mkdir()
        SourceRegister(self.data).add(SourceEntry("adw", str(folder / "agents")))
        if isinstance(application, SqliteApplication):
            SourceRegister(self.data).add(SourceEntry("history-db", str(application.path)))

    def agent(self, name: str, total: float) -> None:
        """An agent ends, and leaves its log."""
        log = self.folder / "agents" / "a5b80595" / name / "raw_output.jsonl"
        write(log, init(name, name), result(total, name, uuid=name, sonnet=total))

    def set(self, **columns: Any) -> None:
        """What the application, or a person, writes to the row."""
        assigned = ", ".join(f"{name} = ?" for name in columns)
        query = f"UPDATE workflow_history SET {assigned} WHERE adw_id = 'a5b80595'"
        self.application.execute(query, *columns.values())

    def cost(self) -> float:
        return float(row_of(self.application, "a5b80595")["actual_cost_total"] or 0)

    def shows(self, cost: float) -> None:
        """Wait until the application's row shows a cost."""
        eventually(lambda: self.cost() == pytest.approx(cost), lambda: f"{self.cost()} is not {cost}")


def eventually(holds: Callable[[], bool], problem: Callable[[], str], seconds: float = 4 * _SECONDS_MAX) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, problem()
        time.sleep(0.05)


def answered(server: Process, path: str) -> Any:
    answer = server.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    application = SqliteApplication(tmp_path / "workflow_history.db")
    yield Story(tmp_path, application)
    application.close()


@pytest.fixture
def writer(story: Story) -> Iterator[Callable[[str, float], None]]:
    """Start a process of the application's that writes to the database, again and again."""
    started: list[subprocess.Popen[bytes]] = []
    assert isinstance(story.application, SqliteApplication)
    path = story.application.path

    def start(statement: str, seconds: float) -> None:
        started.append(subprocess.Popen([sys.executable, "-c", _WRITER, str(path), statement, str(seconds)]))

    yield start
    for process in started:
        process.kill()
        process.wait()


_BUSY = "UPDATE workflow_history SET nl_input = nl_input || '.', updated_at = datetime('now')"


def test_the_five_cases_and_the_curl_lines_of_the_story(
    story: Story, serve: Serve, writer: Callable[[str, float], None]
) -> None:
    writer(_BUSY, 0.05)
    story.set(status="running", actual_cost_total=0.0)
    story.agent("plan", 0.09)
    server = serve(story.data, "--history", story.application.spelling)
    one = "/api/workflow-history/a5b80595"

    # 1: a running workflow rises
    story.shows(0.09)
    story.agent("build", 1.28)
    story.shows(1.37)

    # 3: a larger figure stays while it runs, and the final one counts once it has ended
    story.set(actual_cost_total=5.0)
    story.agent("test", 1.0)
    eventually(lambda: answered(server, one)["actual_cost_total"] == "2.37", lambda: str(answered(server, one)))
    eventually(lambda: answered(server, one)["application"]["held"], lambda: str(answered(server, one)))
    time.sleep(2)
    assert story.cost() == 5.0
    assert (answered(server, one)["application"]["stored_cost_usd"]) == "5.00"
    story.set(status="completed", end_time="2025-11-20 10:00:00")
    answer = server.client.post("/api/workflow-history/resync?adw_id=a5b80595").json()
    assert (answer["resynced_count"], answer["errors"]) == (1, [])
    story.shows(2.37)

    # 2: the final figure stays
    assert server.client.post("/api/workflow-history/resync").status_code == 200
    assert (story.cost(), answered(server, one)["actual_cost_total"]) == (2.37, "2.37")

    # 4 and 5: issue 17 shows $0.09
    story.set(actual_cost_total=0.09)
    answer = server.client.post("/api/workflow-history/resync?adw_id=a5b80595&force=true").json()
    assert (answer["workflows"], answer["errors"]) == (["a5b80595"], [])
    assert (story.cost(), answered(server, one)["issue_number"]) == (2.37, 17)
    audit = answered(server, f"{one}/audit")["application"]
    assert ("0.09", "2.37") in [(entry["old_cost"], entry["new_cost"]) for entry in audit]
    assert ("5.00", "2.37") in [(entry["old_cost"], entry["new_cost"]) for entry in audit]
    assert row_of(story.application, "a5b80595")["nl_input"].startswith("do it...")
    output = server.stop()
    assert "was backed up to" in output
    assert "Traceback" not in output


ASKED = {"/api/compare": {"a": "2026-10", "b": "2026-11"}, "/api/what-if": {"no_cache": "true"}}
"""What routes must be asked with."""


def test_every_route_answers_and_names_both_figures(story: Story, serve: Serve) -> None:
    story.agent("plan", 2.37)
    server = serve(story.data, "--history", story.application.spelling)
    story.shows(2.37)
    story.application.execute("BEGIN EXCLUSIVE")  # the application has its database locked, so nothing is put right
    story.application.execute("UPDATE workflow_history SET actual_cost_total = NULL, total_tokens = NULL")
    paths = answered(server, "/openapi.json")["paths"]
    asked = [path.replace("{adw_id}", "a5b80595") for path, methods in paths.items() if "get" in methods]
    assert len(asked) > 12
    for path in (*asked, "/"):
        if path != "/api/stream":
            assert server.client.get(path, params=ASKED.get(path)).status_code == 200, path
    locked = "history of the application: another program keeps it locked"
    eventually(lambda: locked in str(answered(server, "/api/health")["application"]["error"]), lambda: "no error")
    story.application.execute("COMMIT")
    eventually(lambda: answered(server, "/api/health")["application"]["error"] is None, lambda: "still an error")
    story.shows(2.37)
    listed = answered(server, "/api/workflow-history")
    assert (listed["total_count"], listed["analytics"]["total_cost_usd"]) == (4, "2.37")


def test_a_figure_that_is_set_back_every_second_is_right_within_seconds(
    story: Story, serve: Serve, writer: Callable[[str, float], None]
) -> None:
    story.agent("plan", 2.37)
    server = serve(story.data, "--history", story.application.spelling)
    story.shows(2.37)
    writer("UPDATE workflow_history SET actual_cost_total = 0.09 WHERE adw_id = 'a5b80595'", 1.0)
    longest, wrong_since, times, ends = 0.0, None, 0, time.monotonic() + 8
    while time.monotonic() < ends:
        now, right = time.monotonic(), story.cost() == 2.37
        if right and wrong_since is not None:
            longest, times = max(longest, now - wrong_since), times + 1
        wrong_since = None if right else wrong_since or now
        time.sleep(0.02)
    assert times >= 3, "it was set back, and put right"
    assert longest < _SECONDS_MAX
    (entry,) = story.application.execute("SELECT count(*) AS entries FROM cost_audit_log")
    assert entry["entries"] <= 2, "one before the first write, one for this pair of values"
    whys = [one["why"] for one in answered(server, "/api/stale")["findings"]]
    assert any("another writer of the application's table keeps overwriting it" in why for why in whys), whys


def test_postgresql_is_kept_right_too(serve: Serve, postgres_url: str, tmp_path: Path) -> None:
    application = PostgresApplication(postgres_url, POSTGRES_KINDS["as a Django model"])
    story = Story(tmp_path, application)
    story.agent("plan", 2.37)
    server = serve(story.data, "--history", postgres_url)
    story.shows(2.37)
    story.set(actual_cost_total=0.09)
    story.shows(2.37)
    row = answered(server, "/api/workflow-history/a5b80595")
    assert (row["actual_cost_total"], row["application"]["overwrites"]) == ("2.37", 1)
    assert answered(server, "/api/health")["application"]["error"] is None
    application.close()


def test_the_page_shows_both_figures(story: Story, serve: Serve, browser: Browser) -> None:
    story.set(status="running")
    story.agent("plan", 2.37)
    server = serve(story.data, "--history", story.application.spelling)
    story.shows(2.37)
    story.set(actual_cost_total=5.0)
    page = browser.new_page(viewport=WIDE)
    visit = Visit(page, server.url)
    visit.open("#/workflows")
    expect(page.locator("[data-workflow=a5b80595]")).to_contain_text("stored $5.00 (held)")
    story.application.execute("UPDATE workflow_history SET actual_cost_total = 0.09 WHERE adw_id = 'a5b80595'")
    story.application.execute("BEGIN IMMEDIATE")  # so that it cannot be put right
    visit.open("#/workflows/a5b80595")
    expect(page.locator(".notes")).to_contain_text("in the application's table: stored $0.09, ledger $2.37")
    story.application.execute("COMMIT")
    story.shows(2.37)
    visit.open("#/")
    visit.open("#/workflows/a5b80595")
    expect(page.locator(".notes")).to_have_count(0)
    assert visit.wrong == []
    page.close()
