"""The bars of spend: many small groups, days that dwarf others, and fingers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from tests.projections.server.browsing import WIDE, Visit, expect, settled
from tests.projections.server.conftest import Here, Server

DAYS: Final = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")
SMALL: Final = 60
VIEW: Final = f"#/spend?by=workflow&since={DAYS[0]}&until={DAYS[-1]}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("charts") / "data"
    ledgers = DirectoryStore(data, durability="none")
    spent = [("large", DAYS[0], "5.00"), ("large", DAYS[2], "900.00"), ("large", DAYS[3], "2.00")]
    spent += [(f"small{number:02d}", DAYS[0], f"0.{number + 20:03d}") for number in range(SMALL)]
    spent += [(f"small{number:02d}", DAYS[1], "0.10") for number in range(SMALL)]
    for name, day, cost in spent:
        ledgers.append([cost_observed(name, session_id=day, cost_usd=cost, observed_at=f"{day}T12:00:00Z")])
    started = Here(data)
    yield started
    started.stop()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    context = browser.new_context(viewport=WIDE, has_touch=True, timezone_id="Europe/Berlin")
    made = Visit(context.new_page(), server.url)
    yield made
    context.close()
    assert made.wrong == []


def heights(page: Page) -> list[tuple[list[float], list[float]]]:
    """Of each bar, from left to right: of the groups with a colour of their own, and of the others."""
    found: list[tuple[float, str, float]] = page.locator(".chart rect").evaluate_all(
        "all => all.map(one => [Number(one.getAttribute('x')), one.dataset.series, Number(one.getAttribute('height'))])"
    )
    places = sorted({x for x, _, _ in found})
    return [
        (
            [height for x, series, height in found if x == place and series != "others"],
            [height for x, series, height in found if x == place and series == "others"],
        )
        for place in places
    ]


def test_others_are_drawn_as_one_and_are_never_the_largest(visit: Visit) -> None:
    page = visit.open(f"#/spend?by=workflow&since={DAYS[0]}&until={DAYS[1]}")
    (own, others), (own_equal, others_equal) = heights(page)
    assert len(others) == 1
    assert max(own) > others[0] > 0
    assert len(own_equal) + len(others_equal) == SMALL
    assert max(others_equal) == pytest.approx(max(own_equal), abs=0.02)
    page.locator(".chart").focus()
    page.keyboard.press("Home")
    lines = page.locator(".chart .tip dd").all_text_contents()
    amounts = [float(line.removeprefix("$")) for line in lines]
    assert max(amounts) == amounts[0] == 5


def test_where_a_day_dwarfs_the_others_logarithms_show_them(visit: Visit) -> None:
    page = visit.open(VIEW)
    linear = [sum(own + others) for own, others in heights(page)]
    assert linear[2] > 50 * linear[1]
    turn = page.get_by_role("button", name="Logarithmic")
    turn.click()
    expect(turn).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".chart svg text", has_text=re.compile(r"^\$"))).to_have_text(
        ["$0", "$0.10", "$1", "$10", "$100", "$1K"]
    )
    bars = [sum(own + others) for own, others in heights(page)]
    assert bars[2] > bars[0] > bars[1] > bars[3] > bars[2] / 4
    (own, others), *_ = heights(page)
    assert max(own) > sum(others)
    page.locator(".chart").focus()
    page.keyboard.press("End")
    expect(page.locator(".chart .tip")).to_contain_text("$2.00")
    turn.click()
    expect(page.locator(".chart rect")).not_to_have_count(0)
    assert [sum(own + others) for own, others in heights(page)] == linear
    page = visit.open(f"#/spend?by=workflow&since={DAYS[0]}&until={DAYS[1]}")
    expect(page.get_by_role("button", name="Logarithmic")).to_have_count(0)


def test_a_tap_opens_a_bar_and_a_finger_that_scrolls_does_not(visit: Visit) -> None:
    page = visit.open(VIEW)
    box = page.locator(".chart rect[data-series]").last.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = {"pointerType": "touch", "button": 0, "clientX": x, "clientY": y}
    for name in ("pointerdown", "pointercancel", "pointerup"):
        page.locator(".chart").dispatch_event(name, finger)
    assert page.url.endswith(VIEW)
    page.touchscreen.tap(x, y)
    expect(page).to_have_url(re.compile(f"since={DAYS[-1]}&until={DAYS[-1]}"))
    settled(page)
    expect(page.get_by_role("table", name="Spend by workflow").locator("tbody tr")).to_have_count(1)
