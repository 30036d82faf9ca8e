"""One workflow on the page: tree, chart and events show the same branch, and time goes on while it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page

from ledger.events.event import Event, cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from tests.projections.server.browsing import Visit, expect, settled
from tests.projections.server.conftest import Here, Server

NOW: Final = datetime.now(UTC).replace(microsecond=0)


def at(minutes: float) -> datetime:
    """So many minutes before now."""
    return NOW - timedelta(minutes=minutes)


def read(agent: str, session: str, cost: str, minutes: float, **fields: Any) -> Event:
    spent: dict[str, Any] = {"agent": agent, "session_id": session, "model": "opus", "cost_usd": cost}
    return cost_observed("retried", message_id=f"{session}-{cost}", observed_at=at(minutes), **(spent | fields))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("workflow") / "data"
    ledgers = DirectoryStore(data, durability="none")
    first = [read("plan", "p1", "0.50", 55), read("build", "b1", "2.00", 50)]
    second = [read("plan", "p2", "0.40", 20, partial=True), read("build", "b2", "1.50", 10)]
    ledgers.append([workflow_started("retried", observed_at=at(60)), *first])
    ledgers.append([workflow_ended("retried", "failed", observed_at=at(45))])
    ledgers.append([workflow_started("retried", observed_at=at(25)), *second])
    idle = cost_observed("idle", agent="plan", cost_usd="1.00", observed_at=at(60 * 24 * 3))
    ledgers.append([workflow_started("idle", observed_at=at(60 * 24 * 3 + 30)), idle])
    started = Here(data)
    yield started
    started.stop()


def branch(page: Page, name: str) -> Locator:
    return page.locator("button.branch", has_text=re.compile(f"{name}$"))


def listed(page: Page) -> list[str]:
    return page.locator("#events tbody tr td:first-child").all_text_contents()


def test_a_branch_marks_its_steps_and_lists_its_events_and_back_undoes_it(visit: Visit) -> None:
    page = visit.open("#/workflows/retried")
    expect(page.locator(".chart circle")).to_have_count(4)
    expect(page.locator(".chart .mine")).to_have_count(0)
    branch(page, "build").click()
    expect(page.locator("#events tbody tr")).to_have_count(2)
    assert listed(page) == ["4", "8"]
    expect(page.locator(".chart circle.mine")).to_have_count(2)
    expect(branch(page, "build")).to_be_focused()
    branch(page, "b2").click()
    expect(page.locator("#events tbody tr")).to_have_count(1)
    expect(page.locator(".chart circle.mine")).to_have_count(1)
    expect(page.locator("[aria-current=true].branch")).to_have_text("▾ b2")
    page.reload()
    settled(page)
    assert (listed(page), "agent=build&session_id=b2" in page.url) == (["8"], True)
    page.go_back()
    settled(page)
    expect(page.locator("#events tbody tr")).to_have_count(2)
    page.locator("#events-all").click()
    expect(page.locator("#events tbody tr")).to_have_count(8)
    expect(page.locator(".chart .mine")).to_have_count(0)


def test_a_model_lists_its_events_alone_and_back_undoes_it(visit: Visit) -> None:
    page = visit.open("#/workflows/retried")
    page.get_by_role("region", name="By model").get_by_role("link", name="opus").click()
    expect(page.locator("#events tbody tr")).to_have_count(4)
    assert (listed(page), page.url.endswith("/retried?model=opus")) == (["3", "4", "7", "8"], True)
    expect(page.locator(".chart circle.mine")).to_have_count(4)
    page.go_back()
    expect(page.locator("#events tbody tr")).to_have_count(8)


def test_a_step_of_the_chart_opens_its_event_and_its_branch(visit: Visit) -> None:
    page = visit.open("#/workflows/retried")
    page.locator(".chart circle").nth(2).click()
    event = page.locator("#events details[open]")
    expect(event.locator("summary")).to_be_focused()
    expect(event).to_have_attribute("data-seq", "7")
    expect(page.locator("[aria-current=true].branch")).to_contain_text("opus")
    expect(page.locator(".chart circle.mine")).to_have_count(1)
    page.locator(".chart").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#events details[open]")).to_have_attribute("data-seq", "3")


def test_runs_the_start_and_lower_bounds_are_seen_in_tree_and_chart(visit: Visit) -> None:
    page = visit.open("#/workflows/retried")
    tree = page.get_by_role("region", name="By agent, session and model")
    expect(tree.locator(".axis .run")).to_have_text(["run 1", "run 2"])
    expect(tree.locator(".axis .ends span").last).to_have_text("now")
    expect(tree).to_contain_text("2 runs: run 1 failed, from")
    expect(page.locator(".chart .run-mark")).to_have_text("run 2")
    expect(tree.get_by_role("row", name="plan")).to_contain_text("at least $0.90")
    expect(tree.get_by_role("row", name="build")).not_to_contain_text("at least")
    expect(tree.get_by_role("row", name="build").locator(".active")).to_have_count(2)


def test_an_idle_workflow_has_its_idle_time_on_the_axis(visit: Visit) -> None:
    page = visit.open("#/workflows/idle")
    tree = page.get_by_role("region", name="By agent, session and model")
    expect(tree.locator(".axis .idle")).to_have_text("idle")
    expect(tree.locator(".note")).to_contain_text(re.compile(r"idle since .*, for 3 d"))


def test_time_goes_on_while_a_workflow_runs(visit: Visit) -> None:
    visit.page.clock.install(time=NOW)
    page = visit.open("#/workflows/retried")
    active = page.locator("dd", has_text=re.compile(r"^1 h"))
    expect(active).to_have_text("1 h")
    bar = page.locator("tbody .track .active").first
    wide = bar.evaluate("bar => bar.offsetLeft")
    page.clock.run_for(30 * 60_000)
    expect(active).to_have_text(re.compile("1 h 30 m"))
    expect(page.locator(".note", has_text="to now")).to_contain_text("1 h 30 m")
    assert bar.evaluate("bar => bar.offsetLeft") < wide
