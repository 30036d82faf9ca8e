"""What has no price and what nothing was read of: never $0.00 over HTTP, in a webhook's payload or on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.folding.cost_words import NO_FIGURES
from tests.projections.folding.test_cost_words import OF_A_WORKFLOW, figures
from tests.projections.server.browsing import WIDE, Visit, expect, live
from tests.projections.server.conftest import Here, Server

NOTHING = re.compile(r"\$0\.0+(?![0-9])")
USED = {"input_tokens": 150_000}
UNPRICED = {"agent": "plan", "model": "of-no-price-list", "session_id": "s", "usage": USED}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Workflows without any figure, running and ended."""
    data = tmp_path_factory.mktemp("no-figure") / "data"
    ledgers = DirectoryStore(data, durability="none")
    for name in ("running", "ended"):
        unread = [workflow_started(f"unread-{name}", budget_usd=5)]
        call = cost_observed(f"unpriced-{name}", message_id=f"m-{name}", **UNPRICED)  # type: ignore[arg-type]
        unpriced = [workflow_started(f"unpriced-{name}", budget_usd=5), call]
        for written in (unread, unpriced):
            end = [workflow_ended(written[0].workflow_id, "completed")] if name == "ended" else []
            ledgers.append([*written, *end])
    started_here = Here(data)
    yield started_here
    started_here.stop()


ROUTES = [
    *("workflow-history", "workflow-history?basis=none", "stale", "health"),
    *(f"workflow-history/{name}" for name in ("unpriced-running", "unread-running", "unpriced-ended", "unread-ended")),
    *("workflow-history/unpriced-ended/explain", "workflow-history/unpriced-ended/audit"),
    *(f"spend?period={period}" for period in ("day", "week", "month")),
    *(f"spend?period=day&by={by}" for by in ("model", "agent", "session")),
]


@pytest.mark.parametrize("route", ROUTES)
def test_no_answer_says_a_cost_of_nothing_without_saying_that_it_is_none(server: Server, route: str) -> None:
    document = server.client.get(f"/api/{route}").raise_for_status().json()
    for where, written in figures(document):
        if ".by_status." in where:
            continue  # a sum of what was read
        assert not OF_A_WORKFLOW & written.keys(), (where, written)
        assert written.get("unpriced_events") or written.get("at_least"), (where, written)


def test_a_receipt_says_that_nothing_has_a_price(server: Server) -> None:
    call = {"type": "cost_observed", "workflow_id": "unpriced-running", "message_id": "m2", **UNPRICED}
    body = server.client.post("/api/events", json=call).raise_for_status().json()["workflows"]["unpriced-running"]
    assert (body["cost_usd"], body["at_least"], body["unpriced_events"]) == (None, True, 2)
    assert (body["budget"]["spent_usd"], body["budget"]["percent"]) == (None, None)


def test_a_receipt_of_a_start_says_that_the_cost_is_unknown(server: Server) -> None:
    start = {"type": "workflow_started", "workflow_id": "unread-running", "run": 1}
    body = server.client.post("/api/events", json=start).raise_for_status().json()["workflows"]["unread-running"]
    assert (body["cost_usd"], body["at_least"], body["budget"]["spent_usd"]) == (None, True, None)


def test_the_events_of_a_workflow_have_no_cost_before_its_first_figure(server: Server) -> None:
    events = server.client.get("/api/workflow-history/unpriced-ended/events").raise_for_status().json()["events"]
    assert {(event["cost_before_usd"], event["cost_after_usd"]) for event in events} == {(None, None)}


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Visit]:
    context = browser.new_context(viewport=WIDE)
    visit = Visit(context.new_page(), server.url)
    yield visit
    context.close()
    assert visit.wrong == []


VIEWS = [
    *("#/", "#/workflows", "#/spend", "#/spend?by=agent", "#/health"),
    *(f"#/workflows/{name}" for name in ("unpriced-running", "unread-running", "unpriced-ended", "unread-ended")),
]


@pytest.mark.parametrize("view", VIEWS)
def test_no_page_shows_it_as_nothing(page: Visit, view: str) -> None:
    shown = page.open(view)
    text = shown.locator("main").inner_text()
    for period in ("yesterday", "the 7 days before"):
        text = text.replace(f"{period} $0.00", "")  # in which nothing was used
    assert not NOTHING.search(text), text
    if view.startswith("#/workflows"):
        words = NO_FIGURES if view == "#/workflows" else [view[len("#/workflows/") :].replace("unread", "unknown")]
        assert all(word.partition("-")[0] in text for word in words), text
    if view.startswith("#/spend"):
        charted(shown)


def charted(shown: Page) -> None:
    """The charts say so too, also by keyboard."""
    chart = shown.get_by_role("group", name=re.compile("Spend by day"))
    assert not NOTHING.search(chart.first.get_attribute("aria-label") or "")


def test_a_finding_is_accepted_on_the_page(browser: Browser, server: Server) -> None:
    twice = [cost_observed("twice", cost_usd=1, session_id="s"), cost_observed("twice", cost_usd=1, model="m")]
    server.ledgers.append(twice)
    context = browser.new_context(viewport=WIDE)
    visit = Visit(context.new_page(), server.url)
    page = visit.open()
    live(page)
    section = page.locator("section", has=page.get_by_role("heading", name="Needs attention"))
    expect(section).to_contain_text("possible double counting")
    page.on("dialog", lambda dialog: dialog.accept("two keys, one job"))
    section.get_by_role("button", name="Accept").click()
    expect(section).not_to_contain_text("possible double counting")
    page = visit.open("#/workflows/twice")
    expect(page.locator("main")).to_contain_text("accepted: possible double counting: two keys, one job")
    context.close()
    assert visit.wrong == []
