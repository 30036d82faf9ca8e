"""What a figure is not, its headline says: held, partial, unpriced, damaged; and today ends at midnight."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser

from ledger.events.annotations import workflow_moved
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from tests.projections.server.browsing import WIDE, Visit, expect, live, settled
from tests.projections.server.conftest import Here
from tests.waiting import until


@pytest.fixture
def visit(browser: Browser, server: Here) -> Iterator[Visit]:
    context = browser.new_context(viewport=WIDE, timezone_id="Europe/Berlin")
    yield Visit(context.new_page(), server.url)
    context.close()


def test_a_row_says_at_its_headline_what_its_figure_is_not(visit: Visit, server: Here) -> None:
    half = cost_observed("held", agent="plan", cost_usd="1.00", partial=True)
    server.ledgers.append([workflow_started("held"), half])
    server.ledgers.append([cost_observed("partial", cost_usd="1.00", partial=True)])
    server.ledgers.append([cost_observed("unpriced", model="home-made", usage={"output_tokens": 9})])
    server.ledgers.append([cost_observed("damaged", cost_usd="1.00"), cost_observed("damaged", cost_usd="2.00")])
    rows = until(lambda: server.client.get("/api/workflow-history").json()["workflows"], lambda rows: len(rows) == 4)
    assert rows
    with closing(sqlite3.connect(server.data / "history.db", timeout=20)) as db, db:
        db.execute("UPDATE workflow_history SET actual_cost_total = 5 WHERE adw_id = 'held'")
    server.ledgers.append([cost_observed("held", agent="plan", cost_usd="1.10", partial=True)])
    ledger = server.data / "ledgers" / "damaged.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"1.00"', b'"9.00"'))
    server.client.post("/api/verify")
    until(lambda: server.client.get("/api/health").json()["problems"], bool)

    headlines = {
        "held": re.compile(r"^● running\$5\.00held$"),
        "partial": re.compile(r"^● runningat least \$1\.00$"),
        "unpriced": re.compile(r"^● runningunpriced \(1\)$"),
        "damaged": re.compile(r"^● running\$2\.00damaged: not up to date$"),
    }
    for name, headline in headlines.items():
        page = visit.open(f"#/workflows/{name}")
        expect(page.locator(".headline")).to_have_text(headline)
        expect(page.locator("main")).not_to_contain_text(
            "every dollar was reported" if name != "damaged" else "at least"
        )
    page = visit.open("#/workflows?sort=adw_id&order=asc")
    costs = page.locator("td .cost").all_text_contents()
    assert costs == ["$2.00", "$5.00 held", "at least $1.00", "unpriced (1)"]
    page = visit.open("#/health")
    expect(page.locator("main")).to_contain_text("Rows follow their ledgers, but for 1 ledger that cannot be replayed.")
    expect(page.locator("main")).not_to_contain_text("Every chain verified")


def test_damage_that_a_visit_finds_is_said_at_the_headline_at_once(visit: Visit, server: Here) -> None:
    server.ledgers.append([cost_observed("w", cost_usd="1.00"), cost_observed("w", cost_usd="2.00")])
    expect(visit.open("#/workflows/w").locator(".headline")).to_have_text("● running$2.00")
    ledger = server.data / "ledgers" / "w.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"1.00"', b'"9.00"'))
    assert server.client.get("/api/health").json()["problems"] == {}  # its size is what it was
    visit.page.reload()
    expect(visit.page.locator(".headline")).to_have_text("● running$2.00damaged: not up to date")


def test_an_open_page_says_that_its_workflow_was_removed_and_shows_it_when_it_is_put_back(
    visit: Visit, server: Here
) -> None:
    server.ledgers.append([cost_observed("w", cost_usd="1.00"), workflow_ended("w", "completed")])
    page = visit.open("#/workflows/w")
    live(page)
    assert server.client.delete("/api/workflow-history/w").is_success
    expect(page.locator("main")).to_contain_text("No workflow is called “w” here.")
    assert server.client.post("/api/workflow-history/w/put-back").is_success
    expect(page.locator(".headline")).to_have_text("✓ completed$1.00")


def test_a_moved_row_says_where_its_cost_counts(visit: Visit, server: Here) -> None:
    spent = [cost_observed("old", agent=agent, cost_usd="1.00") for agent in ("plan", "build")]
    server.ledgers.append([workflow_started("old"), *spent, workflow_ended("old", "completed")])
    server.ledgers.append(
        [workflow_started("new"), cost_observed("new", cost_usd="0.50"), workflow_ended("new", "completed")]
    )
    page = visit.open("#/workflows/old")
    expect(page.locator("main")).to_contain_text("settled at $2.00")
    server.ledgers.append([workflow_moved("old", to="new")])
    expect(page.locator(".headline")).to_have_text("moved to new")
    expect(page.locator("main")).to_contain_text("What its own ledger recorded")
    expect(page.locator(".chart").first).to_have_attribute("aria-label", re.compile(r"2 steps to \$2\.00"))
    expect(page.locator("main")).not_to_contain_text(re.compile("settled at|every dollar was reported|✓"))
    expect(page.get_by_role("region", name=re.compile("By agent|By model|Tokens"))).to_have_count(0)
    expect(page.get_by_role("region", name="Audit trail")).to_be_visible()
    page.locator(".headline").get_by_role("link", name="new").click()
    expect(page.locator(".headline")).to_have_text("✓ completed$2.50")
    expect(page.locator("main")).to_contain_text("with what was moved here from old")
    expect(page.locator("main").get_by_role("link", name="old")).to_have_attribute("href", "#/workflows/old")
    server.ledgers.append([workflow_moved("renamed", to="renamed")])  # opened for the move
    server.ledgers.append([workflow_moved("new", to="renamed")])
    expect(page.locator(".headline")).to_have_text("moved to renamed")
    page.locator(".headline").get_by_role("link", name="renamed").click()
    expect(page.locator("main")).to_contain_text("Its own ledger recorded no cost.")
    expect(page.locator("main")).to_contain_text("The times are shown where it was moved from")
    expect(page.locator("[data-path]").first).to_be_visible()
    server.ledgers.append([workflow_moved("new", to="new")])
    until(lambda: server.client.get("/api/workflow-history/renamed").status_code, lambda status: status == 404)
    page = visit.open("#/workflows?sort=adw_id&order=asc")
    assert page.locator("td[data-name=Status]").all_text_contents() == ["✓ completed", "moved"]


def test_what_is_no_condition_is_shown_as_a_problem(visit: Visit, server: Here) -> None:
    server.ledgers.append([workflow_started("w")])
    page = visit.open("#/workflows")
    for typed, problems in (("zzz", 1), ("status=running", 0)):
        page.get_by_label("Where").fill(typed)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="give NAME=VALUE")).to_have_count(problems)
        expect(page.locator("[data-workflow=w]")).to_have_count(1 - problems)


def test_a_verification_says_when_it_was_and_what_it_does_not_cover(visit: Visit, server: Here) -> None:
    server.ledgers.append([cost_observed("w", cost_usd="1.00")])
    page = visit.open("#/health")
    expect(page.locator("main")).to_contain_text("have not been proven since the server was started")
    page.get_by_role("button", name="Verify now").click()
    expect(page.locator("main")).to_contain_text(
        re.compile(
            r"Every chain verified.* 1 ledger, 2 events and 1 row, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\. What came later"
        )
    )


def test_today_is_another_day_at_midnight(visit: Visit, server: Here) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime.now(berlin).replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow = midnight + timedelta(days=1)
    spent = cost_observed("w", cost_usd="1.00", observed_at=datetime.now(UTC) - timedelta(seconds=1))
    server.ledgers.append([spent])
    visit.page.clock.install(time=tomorrow - timedelta(seconds=30))
    page = visit.open()
    today = page.locator(".card").first
    expect(today).to_contain_text("Today$1.00")
    page.clock.run_for(35_000)
    settled(page)
    expect(today).to_contain_text("Today$0.00yesterday $1.00")
    expect(today).to_have_attribute("href", re.compile(f"since={tomorrow:%Y-%m-%d}"))
    visit.open("#/spend")
    expect(page.get_by_label("to", exact=True)).to_have_value(f"{tomorrow:%Y-%m-%d}")
    expect(page.locator("main")).to_contain_text("▲ $1.00 more than ")
    page.clock.run_for(24 * 3_600_000)
    expect(page.get_by_label("to", exact=True)).to_have_value(f"{tomorrow + timedelta(days=1):%Y-%m-%d}")
