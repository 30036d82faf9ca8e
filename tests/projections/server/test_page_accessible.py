"""The page for everybody: axe-core finds nothing wrong on any page, in any width or theme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ViewportSize

from ledger.events.annotations import workflow_moved
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from tests.projections.server.browsing import Visit
from tests.projections.server.conftest import Here, Server

BUDGETS: Final = '[[budgets.period]]\nper = "month"\nusd = "1.00"\n'
VIEWS: Final = (
    "#/",
    "#/workflows",
    "#/workflows/w1",
    "#/workflows/w1?agent=plan",
    "#/workflows/moved",
    "#/workflows/none-of-this-name",
    "#/spend?period=week",
    "#/spend?by=workflow&where=project%3Dshop&sort=change",
    "#/health",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("accessible") / "data"
    ledgers = DirectoryStore(data, durability="none")
    for number, status in enumerate(("completed", "failed", "cancelled", None)):
        name, model = f"w{number}", f"model-{number}"
        start = workflow_started(name, issue_number=number, project="shop", workflow_template="sdlc", budget_usd="2.10")
        spent = [cost_observed(name, agent="plan", model=model, session_id="s", message_id="m", cost_usd="2.00")]
        spent.append(cost_observed(name, agent="build", model="home-made", message_id="u", usage={"output_tokens": 9}))
        ledgers.append([start, *spent, *([workflow_ended(name, status)] if status else [])])
    ledgers.append([cost_observed("moved", cost_usd="1.00"), workflow_moved("moved", to="w1")])
    (data / "costledger.toml").write_text(BUDGETS)
    started = Here(data)
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("width", "theme"), [(390, "light"), (820, "light"), (1280, "light"), (1280, "dark"), (390, "dark")]
)
def test_axe_finds_nothing_wrong_on_any_page(browser: Browser, server: Server, width: int, theme: str) -> None:
    context = browser.new_context(
        viewport=ViewportSize(width=width, height=900), color_scheme="dark" if theme == "dark" else "light"
    )
    visit = Visit(context.new_page(), server.url)
    wrong: list[tuple[str, str, list[str]]] = []

    def look(where: str) -> None:
        found = Axe().run(visit.page).response["violations"]
        wrong.extend((where, each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found)

    for view in VIEWS:
        visit.open(view)
        look(view)
    visit.page.keyboard.press("Control+k")
    visit.page.locator("#found").get_by_role("option").first.wait_for()
    look("palette")
    context.close()
    assert wrong == []
