"""The overview: what went over its budget in the chosen days, and settling what needs attention on the spot."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from projections.server.background import row_refresher
from tests.projections.server.browsing import Visit, expect, live, settled
from tests.projections.server.conftest import Here
from tests.waiting import until

NOW: Final = datetime.now(UTC)


def with_budget(page: Page) -> list[str]:
    return page.get_by_role("table", name="Budgets").locator("tbody tr td:first-child").all_text_contents()


def test_workflows_that_ended_over_their_budget_are_those_of_the_chosen_days(visit: Visit, server: Here) -> None:
    for name, cost, days in (
        ("lately", "2.50", 1),
        ("nearly", "1.90", 3),
        ("long-ago", "9.00", 50),
        ("fine", "0.10", 1),
    ):
        at = NOW - timedelta(days=days)
        start = workflow_started(name, budget_usd="2.00", observed_at=at)
        spent = cost_observed(name, cost_usd=cost, observed_at=at)
        server.ledgers.append([start, spent, workflow_ended(name, "completed", observed_at=at)])
    page = visit.open()
    assert with_budget(page) == ["lately", "nearly"]
    page.get_by_role("button", name="90 days").click()
    expect(page.get_by_role("heading", name="Most expensive, 90 days")).to_be_visible()
    expect(page.get_by_role("button", name="90 days")).to_be_focused()
    settled(page)
    assert with_budget(page) == ["long-ago", "lately", "nearly"]
    assert page.url.endswith("span=90-days")
    page.go_back()
    expect(page.get_by_role("heading", name="Most expensive, 30 days")).to_be_visible()
    server.ledgers.append([workflow_started("now", budget_usd="1.00"), cost_observed("now", cost_usd="1.50")])
    server.ledgers.append([workflow_ended("now", "failed")])
    row = page.get_by_role("table", name="Budgets").get_by_role("row", name="now")
    expect(row).to_contain_text("failed150 % of $1.00: $0.50 over")


def test_what_needs_attention_is_settled_where_it_is_said(visit: Visit, server: Here) -> None:
    server.ledgers.append([workflow_started("silent"), cost_observed("silent", cost_usd="1.00")])
    server.ledgers.append([workflow_started("held"), cost_observed("held", cost_usd="1.00")])
    page = visit.open()
    for name in ("silent", "held"):
        expect(page.locator(f"tr[data-workflow={name}]")).to_contain_text("$1.00")
    long_ago = f"{NOW - timedelta(hours=9):%Y-%m-%dT%H:%M:%S.%fZ}"
    with closing(sqlite3.connect(server.data / "history.db", timeout=20)) as db, db:
        db.execute("UPDATE workflow_history SET updated_at = ? WHERE adw_id = 'silent'", [long_ago])
        db.execute("UPDATE workflow_history SET actual_cost_total = 5 WHERE adw_id = 'held'")
    page.reload()
    live(page)
    attention = page.get_by_role("table", name="Needs attention")
    held, silent = (attention.get_by_role("row", name=one) for one in ("held", "silent"))
    held.get_by_role("button", name="Resync").click()
    expect(held).to_have_count(0)
    expect(page.locator("tr[data-workflow=held]")).to_contain_text("$1.00")
    silent.get_by_role("button", name="It was cancelled").click()
    expect(page.get_by_role("region", name="Needs attention")).to_contain_text("Nothing needs attention")
    expect(page.locator("tr[data-workflow=silent]")).to_have_count(0)
    assert server.client.get("/api/workflow-history/silent").json()["status"] == "cancelled"


def test_a_row_that_a_resync_put_right_is_shown_though_its_ledger_did_not_grow(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_refresher, "_ALL_SECONDS", 3600.0)  # no look at all ledgers shows it
    server = Here(tmp_path / "data")
    try:
        server.ledgers.append([workflow_started("held"), cost_observed("held", cost_usd="1.00")])
        until(lambda: server.client.get("/api/workflow-history/held").is_success, bool)
        with closing(sqlite3.connect(server.data / "history.db", timeout=20)) as db, db:
            db.execute("UPDATE workflow_history SET actual_cost_total = 5 WHERE adw_id = 'held'")
        server.ledgers.append([cost_observed("held", cost_usd="1.00")])
        page = Visit(browser.new_page(), server.url).open()
        live(page)
        row = page.locator("tr[data-workflow=held]")
        expect(row).to_contain_text("$5.00")
        assert server.client.post("/api/workflow-history/resync?adw_id=held&force=true").is_success
        expect(row).to_contain_text("$1.00")
        page.close()
    finally:
        server.stop()


def test_a_figure_that_rose_while_an_older_one_was_loaded_is_shown(visit: Visit, server: Here) -> None:
    server.ledgers.append([cost_observed("w", cost_usd="1.00")])
    page = visit.open()
    live(page)
    row = page.locator("tr[data-workflow=w]")
    expect(row).to_contain_text("$1.00")
    held: list[tuple[Route, APIResponse]] = []
    running = "**/api/workflow-history?status=running*"
    page.route(running, lambda route: held.append((route, route.fetch())), times=1)
    server.ledgers.append([cost_observed("other", cost_usd="0.10")])  # the list is loaded again
    while not held:
        page.wait_for_timeout(50)
    server.ledgers.append([cost_observed("w", cost_usd="2.00")])
    expect(row).to_contain_text("$2.00")
    ((route, older),) = held
    page.route(running, lambda _: None)  # no later load corrects it
    route.fulfill(response=older)
    expect(page.locator("tr[data-workflow=other]")).to_be_visible()
    expect(row).to_contain_text("$2.00")
