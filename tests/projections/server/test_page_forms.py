"""The page's filters by keyboard and pointer: nothing takes the focus or what is typed, and Back undoes one change."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from tests.projections.server.browsing import WIDE, Visit, expect, live, settled
from tests.projections.server.conftest import Here, Server

WORKFLOWS = 60
RUNNING = "a000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("forms") / "data"
    ledgers = DirectoryStore(data, durability="none")
    for number in range(WORKFLOWS):
        name = f"a{number:03d}"
        written = [workflow_started(name, issue_number=number % 20, workflow_template=f"adw_{number % 3}")]
        source = {"kind": "codex"} if number < 7 else None
        written.append(cost_observed(name, model="x", cost_usd=f"{number}.00", source=source))
        ledgers.append(written if name == RUNNING else [*written, workflow_ended(name, "completed")])
    started_here = Here(data)
    yield started_here
    started_here.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The table of workflows; nothing may go wrong in the browser's eyes."""
    context = browser.new_context(viewport=WIDE)
    visit = Visit(context.new_page(), server.url)
    page = visit.open("#/workflows")
    live(page)
    yield page
    context.close()
    assert visit.wrong == []


def query(page: Page) -> str:
    return page.url.partition("#")[2]


def found(page: Page, workflows: int) -> None:
    expect(page.locator(".totals")).to_contain_text(re.compile(rf"^{workflows} workflows?\$"))
    settled(page)


def test_what_is_typed_right_after_a_tab_arrives(page: Page) -> None:
    page.get_by_label("Text").click()
    page.keyboard.type("a05")
    page.keyboard.press("Tab")
    page.keyboard.type("17")
    found(page, 10)
    expect(page.get_by_label("Issue")).to_be_focused()
    expect(page.get_by_label("Issue")).to_have_value("17")
    page.keyboard.press("Enter")
    found(page, 1)
    assert query(page) == "/workflows?text=a05&issue=17"


def test_what_is_typed_right_after_a_click_arrives(page: Page) -> None:
    page.get_by_label("Text").click()
    page.keyboard.type("a05")
    page.get_by_label("Template").click()
    found(page, 10)
    page.keyboard.type("adw_1")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Basis")).to_be_focused()
    found(page, 3)
    assert query(page) == "/workflows?text=a05&template=adw_1"
    page.keyboard.press("r")
    expect(page).to_have_url(re.compile("basis=reported$"))
    expect(page.get_by_label("Basis")).to_be_focused()


def test_a_tool_is_chosen_by_its_kind(page: Page) -> None:
    page.get_by_label("Tool").fill("codex")
    page.keyboard.press("Enter")
    found(page, 7)
    assert query(page) == "/workflows?tool=codex"
    page.goto(page.url.replace("#/workflows?tool=codex", "#/spend?by=tool&since=2026-01-01"))
    table = page.get_by_role("heading", name="By tool").locator("xpath=..")
    expect(table).to_contain_text("Codex")
    expect(table).to_contain_text("API")


def test_sorting_keeps_what_was_typed(page: Page) -> None:
    page.get_by_label("Issue").click()
    page.keyboard.type("17")
    page.locator("#sort-cost").hover()
    with page.expect_response("**/api/workflow-history?*issue_number=17*"):
        page.mouse.down()
    page.wait_for_timeout(200)  # the answer comes while the button is still down
    page.mouse.up()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Cost")
    found(page, 3)
    assert query(page) == "/workflows?issue=17&sort=cost&order=desc"
    expect(page.get_by_label("Issue")).to_have_value("17")


def test_clear_goes_on_at_the_first_field(page: Page) -> None:
    page.get_by_label("Template").fill("adw_1")
    page.keyboard.press("Enter")
    found(page, 20)
    expect(page.get_by_label("Template")).to_be_focused()
    page.get_by_role("link", name="Clear").click()
    found(page, 60)
    expect(page.locator("#f-running")).to_be_focused()
    expect(page.get_by_label("Template")).to_have_value("")
    expect(page.get_by_role("link", name="Clear")).to_be_hidden()


def test_a_live_figure_takes_the_focus_from_no_field(page: Page, server: Server) -> None:
    page.get_by_role("link", name="a059").focus()
    page.evaluate("scrollTo(0, 0)")
    server.ledgers.append([cost_observed(RUNNING, model="x", cost_usd="30.00")])
    expect(page.locator(".totals")).to_contain_text("$1,800.00")
    expect(page.get_by_role("link", name="a059")).to_be_focused()
    assert page.evaluate("scrollY") == 0
    page.get_by_label("Template").focus()
    page.keyboard.type("half")
    server.ledgers.append([cost_observed(RUNNING, model="x", cost_usd="230.00")])
    expect(page.locator(".totals")).to_contain_text("$2,000.00")
    page.keyboard.type(" typed")
    expect(page.get_by_label("Template")).to_have_value("half typed")


def test_back_undoes_one_change_after_the_other(page: Page) -> None:
    page.get_by_label("completed").check()
    page.get_by_label("Text").press_sequentially("a0", delay=50)
    expect(page).to_have_url(re.compile("text=a0$"))
    page.get_by_label("Text").press_sequentially("5", delay=50)
    found(page, 10)
    page.locator("#sort-cost").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Cost")
    page.locator("#sort-cost").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Cost")
    for before in ("status=completed&text=a05&sort=cost&order=desc", "status=completed&text=a05", "status=completed"):
        page.go_back()
        settled(page)
        assert query(page) == f"/workflows?{before}"
    page.go_back()
    found(page, 60)
    expect(page.get_by_label("Text")).to_have_value("")
    expect(page.get_by_label("completed")).not_to_be_checked()
    page.go_forward()
    expect(page.get_by_label("completed")).to_be_checked()


def test_the_next_page_begins_at_the_top_of_its_table(page: Page) -> None:
    after = page.get_by_role("button", name="Next")
    after.scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 500
    after.click()
    expect(page.locator(".pager")).to_contain_text("Page 2 of 2")
    expect(page.locator("#results")).to_be_focused()
    expect(page.locator("#results thead")).to_be_in_viewport()
    top = page.locator("#results").evaluate("results => results.getBoundingClientRect().top")
    assert page.locator("header").evaluate("header => header.getBoundingClientRect().bottom") <= top
    page.go_back()
    expect(page.locator(".pager")).to_contain_text("Page 1 of 2")


def test_the_span_of_the_spend_is_chosen_by_keyboard_and_back_undoes_it(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/#/spend")
    expect(page.locator(".chart")).to_be_visible()
    split = page.get_by_label("Split by")
    split.focus()
    page.keyboard.press("t")
    expect(page.get_by_role("heading", name="By template")).to_be_visible()
    expect(split).to_be_focused()
    page.get_by_role("button", name="7 days").click()
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(page.get_by_role("button", name="30 days")).to_have_attribute("aria-pressed", "true")
    expect(split).to_have_value("template")
    page.go_back()
    expect(split).to_have_value("model")
    expect(page.get_by_role("heading", name="By model")).to_be_visible()


@pytest.mark.parametrize(("field", "typed"), [("From", "11202026"), ("to", "11122026")])
def test_a_day_is_typed_to_its_end_though_it_crosses_the_other_one(
    page: Page, server: Server, field: str, typed: str
) -> None:
    page.goto(f"{server.url}/#/spend?since=2026-10-27&until=2026-11-25")
    day = page.get_by_label(field, exact=True)
    day.focus()
    page.keyboard.type(typed, delay=60)
    expect(day).to_be_focused()
    chosen = f"2026-11-{typed[2:4]}"
    expect(day).to_have_value(chosen)
    expect(page).to_have_url(re.compile(f"{'since' if field == 'From' else 'until'}={chosen}"))
    expect(page.locator("#no-span")).to_be_hidden()
    day.fill({"From": "2026-12-31", "to": "2026-01-01"}[field])
    expect(page.locator("#no-span")).to_be_visible()
    expect(page).to_have_url(re.compile(chosen))


def test_a_day_that_is_still_being_typed_asks_for_nothing(page: Page) -> None:
    page.get_by_label("Last activity from").focus()
    page.keyboard.type("01152024")
    expect(page).to_have_url(re.compile(r"#/workflows\?since=2024-01-15$"))
    expect(page.get_by_label("Last activity from")).to_have_value("2024-01-15")
    found(page, 60)
    expect(page.locator("main")).not_to_contain_text("left out")
    page.go_back()
    assert query(page) == "/workflows"


def test_conditions_of_spend_filter_the_table_and_stay_in_the_address(page: Page) -> None:
    def asked(text: str, workflows: int) -> None:
        page.get_by_label("Where").fill(text)
        page.keyboard.press("Enter")
        found(page, workflows)

    asked("template=adw_0, status=comp*", 19)
    assert query(page) == "/workflows?where=template%3Dadw_0&where=status%3Dcomp*"
    page.reload()
    found(page, 19)
    expect(page.get_by_label("Where")).to_have_value("template=adw_0, status=comp*")
    asked("", WORKFLOWS)
