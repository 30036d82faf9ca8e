"""The page in a real browser: what people see is what the API says, live, by keyboard too, and no data becomes code."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from tests.projections.server.browsing import WIDE, Visit, expect, live
from tests.projections.server.conftest import Here, Server

WORKFLOWS = 120
LONG = 250
BEGAN, MINUTE = datetime.now(UTC) - timedelta(hours=9), timedelta(minutes=1)
WIDEST = f"{'8f1c-' * 20}end"
HOSTILE = '<img src=x onerror="document.title=1">=cmd()'
VIEWS = (
    "#/",
    "#/workflows",
    f"#/workflows/{WIDEST}",
    "#/workflows/hostile",
    "#/spend?by=agent&period=week",
    "#/health",
)
NARROW = ViewportSize(width=375, height=700)
SIZES = (NARROW, *(ViewportSize(width=width, height=900) for width in (390, 820, 1280, 1440, 1920)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with many workflows; each test has its own, or only reads."""
    data = tmp_path_factory.mktemp("page") / "data"
    ledgers = DirectoryStore(data, durability="none")
    for number in range(WORKFLOWS):
        name = f"w{number:03d}"
        written = [
            workflow_started(name, issue_number=number % 7, workflow_template="adw_plan" if number % 2 else "adw_sdlc")
        ]
        written.append(cost_observed(name, agent="plan", model="claude-sonnet-4-5", cost_usd=f"{number}.00"))
        written.append(workflow_ended(name, "failed" if number % 10 == 0 else "completed"))
        ledgers.append(written)
    ledgers.append([workflow_started("story", workflow_template="adw_story"), cost_observed("story", cost_usd="2.37")])
    ledgers.append([workflow_started("nothing", workflow_template="adw_words")])
    ledgers.append([workflow_started("zero", workflow_template="adw_words"), cost_observed("zero", cost_usd=0)])
    usage = {"output_tokens": 10}
    unpriced = cost_observed("some", model="home-made", message_id="m", usage=usage)
    ledgers.append(
        [
            workflow_started("some", workflow_template="adw_words"),
            cost_observed("some", model="x", cost_usd="1"),
            unpriced,
        ]
    )
    ledgers.append(
        [
            workflow_started("hostile", workflow_template=HOSTILE),
            cost_observed("hostile", agent=HOSTILE, model=HOSTILE, cost_usd="1", reason=HOSTILE),
            workflow_ended("hostile", "failed", error_message=HOSTILE),
        ]
    )
    rising = [
        cost_observed("long", agent="plan", cost_usd=f"0.{cents:03d}", observed_at=BEGAN + cents * MINUTE)
        for cents in range(1, LONG)
    ]
    ledgers.append([workflow_started("long", workflow_template="adw_long"), *rising])
    wide = cost_observed(WIDEST, agent="a" * 90, model="region/" + "m" * 90, cost_usd="12345.67")
    start = workflow_started(WIDEST, issue_number=1_000_000, workflow_template="t" * 90, project="p" * 90)
    ledgers.append([start, wide, workflow_ended(WIDEST, "cancelled")])
    started = Here(data)
    yield started
    started.stop()


def costledger(data: Path, *words: str) -> None:
    """Another process."""
    subprocess.run([sys.executable, "-m", "projections", "--data", str(data), *words], check=True, capture_output=True)


def names(page: Page) -> list[str]:
    shown: list[str] = page.locator("#results tbody tr").evaluate_all("rows => rows.map(row => row.dataset.workflow)")
    return shown


def test_a_figure_rises_on_screen_while_another_process_appends(visit: Visit, server: Server) -> None:
    page = visit.open()
    live(page)
    costledger(server.data, "observe", "rising", "--agent", "plan", "--cost-usd", "0.09")
    row = page.locator("tr[data-workflow=rising]")
    expect(row).to_contain_text("$0.09")
    page.evaluate("window.mark = 1")
    costledger(server.data, "observe", "rising", "--agent", "plan", "--cost-usd", "2.37")
    expect(row.locator(".changed")).to_have_text("$2.37")
    row.get_by_role("link", name="rising").click()
    expect(page.locator("#cost")).to_have_text("$2.37")
    expect(page.locator("#events tbody tr")).to_have_count(3)
    costledger(server.data, "observe", "rising", "--agent", "build", "--cost-usd", "1")
    expect(page.locator("#cost")).to_have_text("$3.37")
    expect(page.locator("#events tbody tr")).to_have_count(4)
    costledger(server.data, "complete", "rising")
    expect(page.locator(".chart .mark")).to_have_text("settled at $3.37")
    assert page.evaluate("window.mark") == 1, "without a reload"


def test_a_resync_from_the_page_shows_the_old_cost_and_the_new(visit: Visit, server: Server) -> None:
    page = visit.open("#/workflows/story")
    page.get_by_label("force pure replay").check()
    for _ in range(3):  # the server's look at all rows, each 10 s, may put it right first
        with closing(sqlite3.connect(server.data / "history.db", timeout=20)) as db, db:
            db.execute("UPDATE workflow_history SET actual_cost_total = 0.09 WHERE adw_id = 'story'")
        with page.expect_response("**/resync?*") as answered:
            page.get_by_role("button", name="Resync").click()
        if answered.value.json()["changes"]:
            break
    expect(page.locator("#resynced")).to_have_text(
        "The cost was put right: $0.09 → $2.37. The sources had no new event."
    )
    expect(page.locator("#cost")).to_have_text("$2.37")
    expect(page.get_by_role("heading", name="Audit trail").locator("xpath=..")).to_contain_text("resync --force")


def test_workflows_are_filtered_sorted_and_paged_and_the_address_keeps_it(visit: Visit) -> None:
    page = visit.open("#/workflows?template=adw_sdlc&sort=cost&order=desc")
    assert len(names(page)) == 50
    assert names(page)[:2] == ["w118", "w116"]
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("Page 2 of 2")
    assert names(page) == [f"w{number:03d}" for number in range(18, -1, -2)]
    page.reload()
    expect(page.locator(".pager")).to_contain_text("Page 2 of 2")
    page.go_back()
    expect(page.locator(".pager")).to_contain_text("Page 1 of 2")
    page.get_by_role("button", name="Cost").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Cost")
    assert names(page)[:2] == ["w000", "w002"]
    page.get_by_label("failed").check()
    expect(page.locator(".totals")).to_contain_text("12 workflows$660.00")
    page.get_by_label("Issue").fill("3")
    page.get_by_label("Issue").press("Enter")
    expect(page.locator(".totals")).to_contain_text("2 workflows$90.00")
    assert names(page) == ["w010", "w080"]
    assert "issue=3" in page.url
    assert "status=failed" in page.url
    page.get_by_label("Last activity from").fill("2999-01-01")
    expect(page.locator(".empty")).to_contain_text("No workflow matches")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator(".pager")).to_contain_text("Page 1 of 3")
    expect(page.get_by_label("Issue")).to_have_value("")


def test_what_is_shown_can_be_saved_and_no_name_is_a_formula(visit: Visit) -> None:
    page = visit.open("#/workflows?text=hostile")
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON").click()
    rows = json.loads(saved.value.path().read_text())
    assert [(row["adw_id"], row["actual_cost_total"]) for row in rows] == [("hostile", "1.00")]
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    head, line = saved.value.path().read_text().splitlines()
    assert head.startswith("adw_id,status,idle,actual_cost_total")
    assert line.startswith("hostile,failed,false,1.00,reported,0,,")
    guarded = page.evaluate("import('./page/js/format.js').then(m => m.csv([['=1+1', '-2.5', '@x', 'a,\"b\"', 7]]))")
    assert guarded == '\'=1+1,-2.5,\'@x,"a,""b""",7\r\n'


def test_zero_is_zero_and_unknown_is_unknown(visit: Visit) -> None:
    page = visit.open("#/workflows?template=adw_words&sort=adw_id&order=asc")
    assert page.locator("td .cost").all_text_contents() == ["unknown", "at least $1.00, 1 unpriced", "$0.00"]
    page = visit.open("#/health")
    expect(page.get_by_role("heading", name="Usage without a price").locator("xpath=..")).to_contain_text("home-made")


def test_amounts_are_exact_and_little_is_not_nothing(visit: Visit) -> None:
    page = visit.open()
    shown = page.evaluate(
        "import('./page/js/format.js').then(m => ['0.00', '0.09', '0.0912', '0.000000001', '0.0000415', "
        "'2.375', '1234567.891', '-0.5', '90071992547409.91'].map(m.usd))"
    )
    assert shown == [
        "$0.00",
        "$0.09",
        "$0.0912",
        "$0.000000001",
        "$0.000042",
        "$2.38",
        "$1,234,567.89",
        "−$0.50",
        "$90,071,992,547,409.91",
    ]


def test_what_agents_call_themselves_stays_text(visit: Visit) -> None:
    page = visit.open("#/workflows/hostile")
    expect(page.locator(".bad")).to_have_text(HOSTILE)
    expect(page.locator("td", has_text=HOSTILE)).to_have_count(6)
    page.locator("#events summary").nth(2).click()
    expect(page.locator("#events details[open] dd", has_text=HOSTILE).first).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.title() == "hostile · costledger"


def test_the_keyboard_reaches_everything_and_keeps_its_place(visit: Visit) -> None:
    page = visit.open("#/workflows")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "sort-cost":
            break
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Cost")
    expect(page.locator("#sort-cost")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Cost")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.locator("#sort-adw_id").focus()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Workflow")
    page.get_by_role("link", name="zero").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("zero")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_fits_a_phone_and_a_desk_in_light_and_dark(visit: Visit, theme: str) -> None:
    visit.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    for view in VIEWS:
        for size in SIZES if theme == "light" else (WIDE, NARROW):
            visit.page.set_viewport_size(size)
            page = visit.open(view)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (view, size)
            cut = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth).length"
            assert page.evaluate(cut) == 0, (view, size)
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(247, 248, 250)", "dark": "rgb(15, 17, 20)"}[theme]
    visit.page.get_by_role("button", name="Colours").click()
    expect(visit.page.locator("html")).to_have_attribute("data-theme", "light")


def test_spend_is_split_and_says_whose_days_they_are(visit: Visit) -> None:
    page = visit.open("#/spend")
    expect(page.locator("main")).to_contain_text("Days are those of Europe/Berlin")
    expect(page.locator("main")).to_contain_text("it falls on the day it was imported")
    expect(page.locator(".chart rect[data-series='0']").first).to_be_visible()
    page.get_by_label("Split by").select_option("template")
    table = page.get_by_role("heading", name="By template").locator("xpath=..")
    expect(table).to_contain_text("adw_sdlc")
    expect(table).to_contain_text("$3,540.00")
    assert "by=template" in page.url


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_asks_for_nothing_twice(visit: Visit, view: str) -> None:
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    live(visit.open(view))
    visit.page.wait_for_timeout(300)
    assert len(asked) == len(set(asked)) >= 3, asked


def test_each_part_says_that_it_loads_and_why_it_could_not(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    waiting: list[Route] = []
    page.route("**/api/spend?*", lambda route: waiting.append(route))
    page.goto(f"{server.url}/#/")
    expect(page.locator(".loading").first).to_have_text("Loading…")
    expect(page.locator("tr[data-workflow=story]")).to_be_visible()
    for route in waiting:
        route.fulfill(status=503, content_type="application/problem+json", body='{"detail": "not now; try again"}')
    expect(page.get_by_role("alert")).to_have_text(["not now; try againTry again"] * 3)
    page.unroute("**/api/spend?*")
    for left in (2, 1, 0):
        page.get_by_role("button", name="Try again").first.click()
        expect(page.get_by_role("alert")).to_have_count(left)
    expect(page.locator(".card")).to_have_count(5)
    page.route("**/api/workflow-history/story/explain?*", lambda route: route.abort())
    page.goto(f"{server.url}/#/workflows/story")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    expect(page.locator("#cost")).to_have_text("$2.37")
    context.close()


def test_an_address_that_names_nothing_leads_on(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport=WIDE)
    page = Visit(context.new_page(), server.url).open("#/nowhere/x")
    expect(page.locator("main")).to_contain_text("Not foundThis page has no part “#/nowhere/x”.")
    page.goto(f"{server.url}/#/workflows/never-seen")
    expect(page.locator("main")).to_contain_text("No workflow is called “never-seen” here.")
    page.get_by_role("link", name="All workflows").click()
    expect(page.locator(".totals")).to_contain_text("workflows")
    page.goto(f"{server.url}/#/workflows?since=x&sort=x&order=x&basis=x&issue=x&status=x&page=x")
    expect(page.locator(".pager")).to_contain_text("Page 1 of 3")
    page.goto(f"{server.url}/#/workflows?page=99999999999")
    expect(page.locator("main")).to_contain_text("This page is after the last one.")
    page.goto(f"{server.url}/#/spend?since=2026-02-31&until=x&by=x&period=x")
    expect(page.locator("main")).to_contain_text("By model")
    context.close()


def test_columns_that_are_empty_in_all_rows_are_not_shown(visit: Visit) -> None:
    page = visit.open("#/workflows?template=adw_words")
    heads = page.locator("#results th").all_text_contents()
    assert heads == [
        "Workflow",
        "Status",
        "Cost",
        "Basis",
        "Template",
        "Started",
        "Tokens",
        "Cache hits",
        "Last activity ▾",
    ]
    page = visit.open("#/workflows?template=adw_words&sort=issue_number")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Issue")


def test_a_long_ledger_is_read_page_by_page(visit: Visit) -> None:
    page = visit.open("#/workflows/long")
    pager = page.locator("#events .pager")
    expect(pager).to_contain_text("Events 1 to 100 of 251")
    page.get_by_role("button", name="Last").click()
    expect(pager).to_contain_text("Events 152 to 251 of 251")
    expect(page.get_by_role("button", name="First")).to_be_focused()
    page.get_by_role("button", name="Earlier").click()
    expect(page.locator("#events tbody tr").first).to_contain_text("+$0.0010")


def test_a_chart_tells_its_points_to_pointer_and_keyboard(visit: Visit) -> None:
    page = visit.open("#/spend")
    chart = page.get_by_role("group", name="Spend by day, by model")
    chart.focus()
    page.keyboard.press("End")
    expect(chart.get_by_role("status")).to_contain_text("claude-sonnet-4-5$7,140.00")
    page.keyboard.press("Home")
    expect(chart.get_by_role("status")).to_contain_text("$0.00")
    page.keyboard.press("Escape")
    expect(chart.get_by_role("status")).to_be_hidden()
    page = visit.open("#/workflows/long")
    chart = page.get_by_role("group", name="The cost over time, 249 steps")
    chart.hover()
    expect(chart.get_by_role("status")).to_contain_text("reads $0.")
    page.get_by_role("button", name="Event by event").click()
    expect(page.get_by_role("group", name="The cost event by event")).to_be_visible()
    expect(page.get_by_role("button", name="Event by event")).to_be_focused()


def test_a_sum_with_unpriced_or_incomplete_usage_is_a_lower_bound_everywhere(visit: Visit) -> None:
    page = visit.open()
    expect(page.locator(".card").first).to_contain_text("Todayat least $")
    page = visit.open("#/spend?by=template")
    for heading in ("By template", "By day"):
        expect(page.get_by_role("region", name=heading).locator("tfoot")).to_contain_text("at least $")
    template = page.get_by_role("region", name="By template")
    expect(template.get_by_role("row", name="adw_words")).to_contain_text("at least $1.00")
    expect(template.get_by_role("row", name="adw_sdlc")).not_to_contain_text("at least")


def test_ages_scales_and_commands_are_for_people(visit: Visit) -> None:
    shown = visit.open().evaluate(
        """import('./page/js/format.js').then(m => [
            [0, 59.9, 841, 3600, 72000, 86400 * 2 + 7200, 86400 * 369.5].map(m.duration),
            [m.scale(0, 0.2), m.scale(0.2, 0.2), m.scale(0.0005, 0.0005), m.scale(20, 20), m.scale(-2500000, 500000)],
            ['claude-opus-4-5', "a'; rm -rf ~", '$(x)'].map(m.word),
            ['2026-11-03', '2026-W45', '2026-11'].map(period => m.periodBriefly(period, true)),
        ])"""
    )
    assert shown == [
        ["0 s", "59 s", "14 m 1 s", "1 h", "20 h", "2 d 2 h", "369 d"],
        ["$0", "$0.20", "$0.0005", "$20", "−$2.5M"],
        ["claude-opus-4-5", "'a'\"'\"'; rm -rf ~'", "'$(x)'"],
        ["Nov 3, 2026", "W45 2026", "Nov 2026"],
    ]


def test_a_workflow_shorter_than_a_second_says_when_it_was(browser: Browser, server: Server) -> None:
    moment = datetime(2026, 11, 23, 18, 33, 1, 100_000, tzinfo=UTC)
    costs = [
        cost_observed("brief", cost_usd=f"0.{cents}", observed_at=moment + cents * timedelta(milliseconds=10))
        for cents in range(10, 30)
    ]
    server.ledgers.append([workflow_started("brief"), *costs])
    context = browser.new_context(viewport=NARROW, timezone_id="Europe/Berlin")
    page = Visit(context.new_page(), server.url).open("#/workflows/brief")
    expect(page.get_by_role("group", name="The cost over time, 20 steps")).to_be_visible()
    expect(page.locator(".chart text", has_text="2026-11-23 19:33:01")).to_have_count(1)
    context.close()


def test_what_runs_since_long_ago_is_told_how_it_ends_and_no_model_is_blamed(browser: Browser, tmp_path: Path) -> None:
    server = Here(tmp_path)
    try:
        server.ledgers.append([workflow_started("fresh"), cost_observed("fresh", cost_usd="0.42")])
        context = browser.new_context()
        page = Visit(context.new_page(), server.url).open()
        live(page)
        expect(page.locator("tr[data-workflow=fresh]")).to_contain_text("$0.42")
        expect(page.locator("main")).not_to_contain_text("its end is recorded")
        old = datetime.now(UTC) - timedelta(days=30)
        old_events = [workflow_started("old", observed_at=old), cost_observed("old", usage={"output_tokens": 7})]
        server.ledgers.append(old_events)
        expect(page.locator("main")).to_contain_text(
            "A workflow runs until its end is recorded: costledger complete ID; "
            "for all that a source holds, costledger import KIND --status completed."
        )
        page.get_by_role("navigation").get_by_role("link", name="Health").click()
        unpriced = page.get_by_role("heading", name="Usage without a price").locator("xpath=..")
        expect(unpriced).to_contain_text("its source names no model")
        context.close()
    finally:
        server.stop()


def test_proving_the_ledgers_from_the_page(visit: Visit) -> None:
    page = visit.open("#/health")
    page.get_by_role("button", name="Verify now").click()
    expect(page.locator("main")).to_contain_text("Every chain verified")


def test_health_says_what_is_wrong_and_sends_a_message_again(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "ledgers").mkdir()
    (tmp_path / "ledgers" / "dear.jsonl.torn-1").touch()
    (tmp_path / "secret").write_text("whsec_" + "c2VjcmV0" * 4)
    (tmp_path / "costledger.toml").write_text(
        f'[budgets]\ndefault_usd = "2.00"\n[[webhooks]]\nurl = "http://127.0.0.1:9/"\nallow_private = true\n'
        f'attempts = 1\nsecret_file = "{tmp_path / "secret"}"\n'
    )
    server = Here(tmp_path)
    try:
        context = browser.new_context()
        page = Visit(context.new_page(), server.url).open()
        live(page)
        server.ledgers.append([cost_observed("dear", cost_usd="3.00"), cost_observed("dear", cost_usd="3.50")])
        expect(page.locator("tr[data-workflow=dear] .budget")).to_have_text("175 % of $2.00: $1.50 over")
        ledger = tmp_path / "ledgers" / "dear.jsonl"
        ledger.write_bytes(ledger.read_bytes().replace(b'"3.00"', b'"1.00"'))
        page.get_by_role("navigation").get_by_role("link", name="Health").click()
        page.get_by_role("button", name="Verify now").click()
        expect(page.locator("main")).to_contain_text("1 finding in")
        expect(page.locator("main")).to_contain_text("costledger salvage -- dear")
        expect(page.locator("main")).to_contain_text("dear.jsonl.torn-1")
        again = page.get_by_role("button", name="Send again")
        expect(again.first).to_be_visible()
        with page.expect_response("**/resend") as answered:
            again.first.click()
        assert answered.value.status == 202
        context.close()
    finally:
        server.stop()


def test_a_text_is_looked_for_while_it_is_typed_and_the_typing_goes_on(visit: Visit) -> None:
    page = visit.open("#/workflows")
    page.get_by_label("Text").press_sequentially("hostle")
    expect(page.locator(".empty")).to_contain_text("No workflow matches")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("i")
    expect(page.locator(".totals")).to_contain_text("1 workflow$1.00")
    page.keyboard.type("-")
    expect(page.get_by_label("Text")).to_have_value("hosti-le")
    expect(page).to_have_url(re.compile("text=hosti-le"))


def test_filters_that_an_address_cannot_mean_are_named(visit: Visit) -> None:
    page = visit.open("#/workflows?status=bogus&status=failed&colour=red&text=&page=1")
    expect(page.locator("main")).to_contain_text(
        "2 filters of the address are unknown and were left out: status=bogus, colour=red"
    )
    expect(page.locator(".totals")).to_contain_text("failed")
    page = visit.open("#/spend?since=0001-01-01&until=9999-12-31&by=agent")
    expect(page.locator("main")).to_contain_text("left out: since=0001-01-01, until=9999-12-31")
    page = visit.open("#/spend?period=x")
    expect(page.locator("main")).to_contain_text("1 filter of the address is unknown and was left out: period=x")
    page = visit.open("#/spend?period=week")
    expect(page.locator("main")).not_to_contain_text("left out")


def test_the_files_of_the_page_are_public_and_its_policy_is_strict(server: Server) -> None:
    index = server.client.get("/")
    assert "default-src 'self'" in index.headers["content-security-policy"]
    assert "unsafe" not in index.headers["content-security-policy"]
    for path in re.findall(r'(?:src|href)="(page/[^"]+)"', index.text):
        found = server.client.get(f"/{path}")
        assert found.status_code == 200, path
        again = server.client.get(f"/{path}", headers={"if-none-match": found.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    for path in (
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/js/../../app.py",
        "/page//etc/passwd",
        "/page/",
        "/page/x.js",
    ):
        assert server.client.get(path).status_code == 404, path


PAGE = Path(__file__).parents[4] / "projections" / "server" / "page"


def test_the_modules_stay_small_and_none_makes_code_of_data() -> None:
    for path in PAGE.rglob("*.js"):
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) < 250, path
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|https?://(?!www\.w3|jfly)",
            source,
        ), path


def themes() -> list[dict[str, str]]:
    """The colours of the style by their names, for light and for dark."""
    named = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", (PAGE / "style.css").read_text(encoding="utf-8"))
    return [{name: both[at] for name, *both in named} for at in (0, 1)]


def test_every_series_stands_out_from_its_ground_in_both_themes() -> None:
    for theme in themes():
        series = [theme[f"s{number}"] for number in range(8)]
        for colour in (*series, *(mixed(one, theme["ink"]) for one in series), theme["others"]):
            assert contrast(colour, theme["paper"]) >= 3, colour


def mixed(one: str, other: str) -> str:
    """As `color-mix(in srgb, one 62%, other)`, which the style makes of each series once more."""
    parts = zip(bytes.fromhex(one[1:]), bytes.fromhex(other[1:]), strict=True)
    return f"#{bytes(round(0.62 * a + 0.38 * b) for a, b in parts).hex()}"


def test_text_stands_out_from_its_ground_in_both_themes() -> None:
    for theme in themes():
        for ground in ("ground", "paper", "fill"):
            for ink in ("ink", "soft", "link", "good", "bad", "warn"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground, theme[ink])
        assert contrast(theme["paper"], theme["link"]) >= 4.5, "the main button"


def contrast(one: str, other: str) -> float:
    """As https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio defines it."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    text = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(text[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
