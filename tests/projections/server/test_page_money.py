"""Where money goes, on the page: each figure leads to what is behind it, and what a viewer chose stays."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator, Page

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from tests.projections.server.browsing import WIDE, Visit, expect, live, settled
from tests.projections.server.conftest import Here, Server

BERLIN: Final = ZoneInfo("Europe/Berlin")
NOW: Final = datetime.now(UTC)
DONE: Final = 55
BUDGETS: Final = '[[budgets.period]]\nname = "all spend"\nper = "month"\nusd = "1.00"\n'


def day(ago: int) -> str:
    return (NOW - timedelta(days=ago)).astimezone(BERLIN).date().isoformat()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("money") / "data"
    ledgers = DirectoryStore(data, durability="none")
    for number in range(DONE):
        name, at = f"done{number:02d}", NOW - timedelta(days=number % 20 + 1)
        source = {"kind": "codex"}
        start = workflow_started(name, project="/home/sam/billing", workflow_template="adw_plan", observed_at=at)
        spent = cost_observed(name, model="gpt", cost_usd="0.10", observed_at=at, source=source)
        ledgers.append([start, spent, workflow_ended(name, "completed", observed_at=at)])
    shop = workflow_started("shop17", issue_number=17, project="/home/sam/shop", budget_usd="4.00", observed_at=NOW)
    readings = [("plan", "opus", "s1", "m1", "3.50"), ("build", "sonnet", "s2", "m2", "0.25")]
    spent_now = [
        cost_observed("shop17", agent=agent, model=model, session_id=session, message_id=message, cost_usd=cost)
        for agent, model, session, message, cost in readings
    ]
    ledgers.append([shop, *spent_now])
    winter = [("2025-12-03T12:00:00Z", "4.00"), ("2026-01-28T12:00:00Z", "5.00")]
    spent_then = [cost_observed("winter", model="opus", cost_usd=cost, observed_at=at) for at, cost in winter]
    ended = workflow_ended("winter", "completed", observed_at=winter[1][0])
    ledgers.append([workflow_started("winter", observed_at=winter[0][0]), *spent_then, ended])
    (data / "costledger.toml").write_text(BUDGETS)
    started_here = Here(data)
    yield started_here
    started_here.stop()


def asked(page: Page) -> str:
    return page.url.partition("#")[2]


def bars(page: Page) -> Locator:
    return page.locator(".chart rect")


def found(page: Page) -> Locator:
    return page.locator("#found").get_by_role("option")


def chosen(page: Page, text: str) -> Locator:
    """Open the palette, and type."""
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find").fill(text)
    return found(page).first


def test_a_bar_leads_to_its_days_workflows_and_events_and_back_undoes_one_step(visit: Visit) -> None:
    page = visit.open(f"#/spend?period=week&since={day(20)}&until={day(0)}")
    bars(page).last.click()
    expect(page).to_have_url(re.compile("period=day"))
    settled(page)
    bars(page).last.click()
    expect(page).to_have_url(re.compile(f"by=workflow.*since={day(0)}&until={day(0)}"))
    page.get_by_role("table", name="Spend by workflow").get_by_role("link", name="shop17").click()
    expect(page.locator("#events tbody tr")).to_have_count(4)
    for before in ("by=workflow", "period=day", "period=week"):
        page.go_back()
        settled(page)
        expect(page).to_have_url(re.compile(before))


def test_a_group_filters_and_is_split_again(visit: Visit) -> None:
    page = visit.open("#/spend?by=project")
    page.get_by_role("table", name="Spend by project").get_by_role("link", name="shop").click()
    table = page.get_by_role("table", name="Spend by workflow")
    expect(table.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Split by").select_option("agent")
    by_agent = page.get_by_role("table", name="Spend by agent").locator("tbody tr")
    expect(by_agent).to_contain_text(["plan$3.50", "build$0.25"])
    page.get_by_role("link", name="Leave out project /home/sam/shop").click()
    expect(page.locator(".chip")).to_have_count(0)
    page.go_back()
    expect(page.locator(".chip")).to_contain_text("/home/sam/shop")
    expect(by_agent).to_have_count(2)


def test_a_drag_over_bars_chooses_their_days(visit: Visit) -> None:
    page = visit.open(f"#/spend?since={day(6)}&until={day(0)}")
    expect(bars(page)).to_have_count(8)  # today there are two models
    for at, act in ((1, page.mouse.down), (3, page.mouse.up)):
        box = bars(page).nth(at).bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 5)
        act()
        assert page.evaluate("getSelection().toString()") == ""  # no label of the axis
    expect(page).to_have_url(re.compile(f"since={day(5)}&until={day(3)}"))
    expect(bars(page)).to_have_count(3)


def test_a_hidden_series_stays_hidden_when_figures_are_renewed(visit: Visit, server: Server) -> None:
    page = visit.open(f"#/spend?since={day(6)}&until={day(0)}")
    live(page)
    series = page.locator(".legend").get_by_role("button", name="gpt")
    its = bars(page).and_(page.locator(f"[data-series='{series.locator('.swatch').get_attribute('data-series')}']"))
    expect(its).to_have_count(6)
    series.click()
    expect(its).to_have_count(0)
    total = page.locator(".card").first.locator("strong")
    before = total.text_content() or ""
    server.ledgers.append([cost_observed("later", model="opus", cost_usd="1.00"), workflow_ended("later", "completed")])
    expect(total).not_to_have_text(before)
    expect(series).to_have_attribute("aria-pressed", "false")
    expect(its).to_have_count(0)
    series.click()
    expect(its).to_have_count(6)


def test_weeks_without_spend_keep_their_place_and_the_year_is_named(visit: Visit) -> None:
    page = visit.open("#/spend?period=week&since=2025-12-01&until=2026-01-31")
    weeks = [text for text in page.locator(".chart svg text").all_text_contents() if "W" in text]
    assert weeks == ["W49 2025", "W50", "W51", "W52", "W01 2026", "W02", "W03", "W04", "W05"]
    places = [box["x"] for box in (bars(page).nth(at).bounding_box() for at in (0, 1)) if box]
    slots = [box["x"] for box in (page.get_by_text(week).first.bounding_box() for week in weeks[1:3]) if box]
    assert places[1] - places[0] == pytest.approx(8 * (slots[1] - slots[0]), abs=12)


def test_the_palette_finds_a_workflow_and_keeps_a_view(visit: Visit) -> None:
    page = visit.open("#/spend?by=project")
    expect(chosen(page, "shop1")).to_contain_text("shop17")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("shop17")
    page.go_back()
    settled(page)
    chosen(page, "Where it goes")
    found(page).filter(has_text="Save this view").click()
    expect(found(page).first).to_contain_text("Where it goes")
    page.keyboard.type("what is typed")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    visit.open("#/health")
    expect(chosen(page, "where it")).to_contain_text("saved view")
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Spend by project")).to_be_visible()
    assert asked(page) == "/spend?by=project"


def test_rows_are_stepped_through_and_opened_by_keyboard_or_anywhere_in_them(visit: Visit) -> None:
    page = visit.open("#/workflows?template=adw_plan")
    names = page.locator("#results tbody tr").evaluate_all("rows => rows.map(row => row.dataset.workflow)")
    for key, row in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        expect(page.get_by_role("link", name=names[row])).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(names[1])
    page.go_back()
    page.locator(f"tr[data-workflow={names[2]}] td").nth(2).click()
    expect(page.locator("h1")).to_have_text(names[2])


def test_the_tree_opens_down_to_a_message_and_the_message_shows_its_event(visit: Visit) -> None:
    page = visit.open("#/workflows/shop17")
    for name in ("plan", "s1", "opus", "m1"):
        page.locator(".branch").filter(has_text=re.compile(rf"{name}$")).first.click()
    event = page.locator("#events details[open]")
    expect(event).to_have_count(1)
    expect(event.locator("summary")).to_be_focused()
    expect(event).to_contain_text("m1")
    expect(page.locator(".icicle .area-of").first).to_be_visible()


def test_every_figure_of_the_overview_leads_to_what_is_behind_it(visit: Visit) -> None:
    page = visit.open()
    month = page.locator(".card", has_text="This month")
    expect(month).to_contain_text("by its end")
    assert "mean of" in (month.get_attribute("title") or "")
    expect(page.locator(".budget[data-state=over]")).to_contain_text("of $1.00")
    expect(page.locator(".budget[data-state=warned]").first).to_contain_text("93 % of $4.00: only $0.25 left")
    dearest = page.locator("section", has=page.get_by_role("heading", name="Most expensive"))
    expect(dearest.locator("ol").nth(1).locator("li")).to_contain_text(["billing", "shop"])
    links = {
        month: f"since={day(0)[:8]}01&until={day(0)}",
        page.locator(".card", has_text="Burn rate"): "workflows[?]status=running",
        page.get_by_role("table", name="Budgets").get_by_role("link", name="all spend"): f"since={day(0)[:8]}01",
        dearest.get_by_role("link", name="#17"): "by=workflow&where=issue%3D17",
        dearest.get_by_role("link", name="Codex"): "where=tool%3DCodex",
        dearest.get_by_role("link", name="billing"): "where=project%3D%2Fhome%2Fsam%2Fbilling",
        dearest.get_by_role("link", name="shop17"): "workflows/shop17",
    }
    for link, where in links.items():
        link.click()
        expect(page).to_have_url(re.compile(where))
        settled(page)
        expect(page.locator("main")).to_contain_text("$")
        page.go_back()
        settled(page)


def test_all_rows_that_match_are_saved_and_not_one_page_of_them(visit: Visit) -> None:
    page = visit.open("#/workflows")
    page.get_by_label("Project").fill("billing")
    page.keyboard.press("Enter")
    expect(page.locator(".totals")).to_contain_text(f"{DONE} workflows")
    settled(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    assert {row["adw_id"] for row in rows} == {f"done{number:02d}" for number in range(DONE)}
    assert len(rows) == DONE


def test_the_spend_of_each_group_is_saved_with_its_amounts(visit: Visit) -> None:
    page = visit.open(f"#/spend?by=project&since={day(0)}&until={day(0)}")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").last.click()
    rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    assert (day(0), "/home/sam/shop", "3.75") in [(row["day"], row["project"], row["cost_usd"]) for row in rows]


def test_the_demo_serves_a_page_whose_figures_rise(browser: Browser, tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "projections", "demo", "--serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert process.stderr is not None
        said = next(filter(None, (re.search(r"http://\S+:\d+", line) for line in process.stderr)))
        context = browser.new_context(viewport=WIDE)
        visit = Visit(context.new_page(), said[0])
        page = visit.open()
        live(page)
        today = page.locator(".card strong").first
        before = today.text_content() or ""
        expect(today).not_to_have_text(before, timeout=60_000)
        expect(page.get_by_role("table", name="Running workflows").locator("tbody tr").first).to_be_visible()
        context.close()
        assert visit.wrong == []
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert list(tmp_path.iterdir()) == []
