"""Spend against the days before, what caching saved, and what a viewer hides on one page."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from playwright.sync_api import Locator, Page

from ledger.events.event import cost_observed
from tests.projections.server.browsing import Visit, expect, settled
from tests.projections.server.conftest import Here

BERLIN: Final = ZoneInfo("Europe/Berlin")
NOW: Final = datetime.now(UTC)
SPENT: Final = (
    ("opus", 9, "0.123456789"),
    ("opus", 2, "1.200000001"),
    ("haiku", 10, "3.000000007"),
    ("sonnet", 1, "0.50"),
    ("same", 8, "0.25"),
    ("same", 3, "0.25"),
    ("home-made", 8, None),
    ("home-made", 1, None),
)


def day(ago: int) -> str:
    return (NOW - timedelta(days=ago)).astimezone(BERLIN).date().isoformat()


VIEW: Final = f"since={day(6)}&until={day(0)}"


def spent(server: Here) -> None:
    for model, ago, cost in SPENT:
        usage, at = None if cost else {"output_tokens": 7}, NOW - timedelta(days=ago)
        call = cost_observed(f"w-{model}", model=model, session_id=str(at), cost_usd=cost, usage=usage, observed_at=at)
        server.ledgers.append([call])


def groups(page: Page) -> Locator:
    return page.get_by_role("table", name="Spend by model")


def names(page: Page) -> Locator:
    return groups(page).locator("tbody td:first-child")


def test_each_group_says_what_it_changed_by_and_all_add_up_to_the_total(visit: Visit, server: Here) -> None:
    spent(server)
    page = visit.open(f"#/spend?{VIEW}")
    expect(names(page)).to_have_text(["opus", "sonnet", "same", "home-made", "haiku"])
    changed = ["+$1.08", "new", "–", "", "−$3.00", "about −$1.42"]
    expect(groups(page).locator("td[data-name=Change]")).to_have_text(changed)
    groups(page).get_by_role("button", name="Change").click()
    expect(page).to_have_url(re.compile("sort=change"))
    expect(groups(page).get_by_role("button", name="Change")).to_be_focused()
    expect(names(page)).to_have_text(["haiku", "opus", "sonnet", "same", "home-made"])
    with page.expect_download() as saved:
        page.get_by_role("region", name="By model").get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    changes = {row["model"]: Decimal(row["change_usd"]) for row in rows}
    assert list(changes)[:3] == ["haiku", "opus", "sonnet"]
    asked = {"a": f"{day(13)}..{day(7)}", "b": f"{day(6)}..{day(0)}", "by": "model", "timezone": "Europe/Berlin"}
    compared = server.client.get("/api/compare", params=asked).json()
    assert changes == {one["group"]: Decimal(one["difference_usd"]) for one in compared["contributions"]}
    assert sum(changes.values()) == Decimal(compared["difference_usd"]) == Decimal("-1.423456795")
    groups(page).get_by_role("link", name="haiku").click()
    expect(page).to_have_url(re.compile(f"by=workflow.*since={day(13)}&until={day(7)}"))
    settled(page)
    expect(page.get_by_role("table", name="Spend by workflow")).to_contain_text("w-haiku$3.00new")


def test_what_caching_saved_or_cost_is_said_with_what_is_not_known(visit: Visit, server: Here) -> None:
    used = {
        "reader": ("claude-opus-4-5", {"cache_read_tokens": 1_000_000}),
        "writer": ("claude-opus-4-5", {"cache_write_tokens": 1_000_000}),
        "local": ("home-made", {"cache_read_tokens": 1_000_000}),
        "plain": ("home-made", {"input_tokens": 9}),
    }
    for agent, (model, usage) in used.items():
        call = cost_observed("w", agent=agent, message_id=agent, model=model, usage=usage, cost_usd="1.00")
        server.ledgers.append([call])
    for where, says in {
        "": r"Saved by caching *about \$3\.25.*1 model without a price left out",
        "?where=agent%3Dreader": r"Saved by caching *about \$4\.50against plain input, at list prices$",
        "?where=agent%3Dwriter": r"Caching cost *about \$1\.25",
        "?where=agent%3Dlocal": r"Saved by caching *unknown.*1 model without a price left out",
    }.items():
        expect(visit.open(f"#/spend{where}").locator(".card").last).to_have_text(re.compile(says))
    visit.open("#/spend?where=agent%3Dplain")
    expect(visit.page.locator(".card", has_text="aching")).to_have_count(0)


def test_one_end_of_the_days_in_an_address_gives_the_days_up_to_it_or_from_it(visit: Visit, server: Here) -> None:
    server.ledgers.append([cost_observed("w", cost_usd="1.00", observed_at=NOW - timedelta(days=200))])
    for asked, days in {
        "until=2026-01-31": ("2026-01-02", "2026-01-31"),
        "since=2026-02-31&until=2026-03-01": ("2026-01-31", "2026-03-01"),
        "since=2026-03-01&until=2026-01-01": ("2026-01-01", "2026-03-01"),
        f"since={day(-9)}": (day(-9), day(-9)),
        f"since={day(9)}": (day(9), day(0)),
    }.items():
        page = visit.open(f"#/spend?{asked}")
        for field, value in zip(("From", "to"), days, strict=True):
            expect(page.get_by_label(field, exact=True)).to_have_value(value)


def test_a_named_span_stays_in_the_address_and_has_other_days_tomorrow(visit: Visit, server: Here) -> None:
    spent(server)
    visit.page.clock.install(time=NOW)
    page = visit.open("#/spend?sort=change")
    page.get_by_role("button", name="7 days").click()
    expect(page).to_have_url(re.compile(r"#/spend\?by=model&period=day&sort=change&span=week$"))
    page.get_by_label("Split by").select_option("workflow")
    expect(page).to_have_url(re.compile(r"by=workflow&period=day&sort=change&span=week$"))
    expect(page.get_by_label("From")).to_have_value(day(6))
    page.clock.run_for(24 * 3_600_000)
    expect(page.get_by_label("From")).to_have_value(day(5))
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("From").fill(day(4))
    expect(page).to_have_url(re.compile(rf"by=workflow&period=day&since={day(4)}&until={day(-1)}&sort=change$"))
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "false")


def test_thirty_days_that_are_a_month_are_compared_with_thirty_days(visit: Visit, server: Here) -> None:
    server.ledgers.append([cost_observed("w", cost_usd="1.00", observed_at="2026-06-10T12:00:00Z")])
    visit.page.clock.install(time="2026-06-30T12:00:00Z")
    for view, days in {"": "2026-05-02 to 2026-05-31", "?span=month": "2026-05-01 to 2026-05-31"}.items():
        card = visit.open(f"#/spend{view}").locator(".card").first
        expect(card).to_contain_text(f"2026-06-01 to 2026-06-30▲ $1.00 more than {days}")


def test_a_long_time_is_drawn_from_its_first_spend_to_its_last_with_what_is_between(visit: Visit, server: Here) -> None:
    for at in ("2026-01-30", "2026-02-08"):
        server.ledgers.append([cost_observed(f"w-{at}", model="opus", cost_usd="1.00", observed_at=f"{at}T12:00:00Z")])
    page = visit.open("#/spend?since=1990-01-01&until=2040-01-01")
    expect(page.locator(".chart rect")).to_have_count(2)
    labels = page.locator(".chart text").all_text_contents()
    assert [one for one in labels if "$" not in one] == [
        *("Jan 30" if NOW.year == 2026 else "Jan 30, 2026", "Jan 31"),
        *(f"Feb {date}" for date in range(1, 9)),
    ]


def test_a_change_of_a_lower_bound_is_a_bound_too(visit: Visit, server: Here) -> None:
    for name, ago, cost, partial in (("a", 40, "5.00", False), ("b", 30, "3.00", True), ("c", 20, "4.00", False)):
        at = NOW - timedelta(days=ago)
        server.ledgers.append([cost_observed(name, cost_usd=cost, partial=partial, observed_at=at)])
    unpriced = cost_observed("d", model="home-made", usage={"output_tokens": 9}, observed_at=NOW - timedelta(days=1))
    server.ledgers.append([unpriced])
    for ago, says in {30: "▼ at most $2.00 (−40 %) less than", 20: "▲ at most $1.00 (+33 %) more than"}.items():
        page = visit.open(f"#/spend?since={day(ago + 4)}&until={day(ago - 5)}")
        expect(page.locator(".card").first).to_contain_text(says)
    page = visit.open(f"#/spend?since={day(1)}&until={day(1)}")  # nothing before, and at least nothing now
    expect(page.locator(".card").first).to_have_text(re.compile(r"^Totalunpriced\w{3}, \w{3} \d+, \d{4}$"))


def test_what_is_hidden_on_one_page_is_shown_on_the_others(visit: Visit, server: Here) -> None:
    spent(server)
    page = visit.open(f"#/spend?{VIEW}")
    series = page.locator(".legend").get_by_role("button", name="opus")
    series.click()
    expect(series).to_have_attribute("aria-pressed", "false")
    for view, shown in (("Overview", "true"), ("Spend", "false")):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=view).click()
        settled(page)
        expect(series).to_have_attribute("aria-pressed", shown)


def test_a_model_has_its_colour_still_when_another_comes_that_would_have_the_same(visit: Visit, server: Here) -> None:
    for model, ago in (("opus", 3), ("gemini", 1)):  # by their names alone, opus would give way to gemini
        at = NOW - timedelta(days=ago)
        server.ledgers.append([cost_observed(model, model=model, message_id="m", cost_usd="1.00", observed_at=at)])
    colours = list[dict[str, str | None]]()
    for asked in (f"since={day(3)}&until={day(2)}", f"since={day(3)}&until={day(0)}"):
        page = visit.open(f"#/spend?{asked}")
        each = page.locator(".legend button")
        colours.append({one.inner_text(): one.locator(".swatch").get_attribute("data-series") for one in each.all()})
    assert colours[0]["opus"] == colours[1]["opus"] != colours[1]["gemini"]
