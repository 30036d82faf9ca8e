"""Several windows of one browser: they share one event stream, so that each still has a connection to load by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from ledger.events.event import cost_observed
from tests.projections.server.browsing import Visit, expect, live
from tests.projections.server.conftest import Process, Server

CONNECTIONS: Final = 6
"""Of a browser to one address, over HTTP/1.1."""


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


def opened(context: BrowserContext, server: Server, many: int) -> list[Page]:
    pages = [Visit(context.new_page(), server.url).open() for _ in range(many)]
    for page in pages:
        live(page)
    return pages


def costs(pages: list[Page], workflow: str, shown: str) -> None:
    for page in pages:
        expect(page.locator(f"tr[data-workflow={workflow}]")).to_contain_text(shown)


def streams(server: Server) -> int:
    found: int = server.client.get("/api/health").json()["streams"]
    return found


def test_seven_windows_are_live_and_each_can_load(context: BrowserContext, server: Server) -> None:
    pages = opened(context, server, CONNECTIONS + 1)
    assert streams(server) == 1
    server.ledgers.append([cost_observed("w", cost_usd="1.00")])
    costs(pages, "w", "$1.00")
    pages[0].close()  # it holds the stream
    server.ledgers.append([cost_observed("w", cost_usd="2.00")])
    costs(pages[1:], "w", "$2.00")
    for page in pages[1:]:
        live(page)
    assert streams(server) == 1
    server.ledgers.append([cost_observed("w", cost_usd="3.00")])
    costs(pages[1:], "w", "$3.00")


def test_all_windows_say_that_they_reconnect_and_miss_nothing(context: BrowserContext, tmp_path: Path) -> None:
    server = Process(tmp_path)
    pages = opened(context, server, 3)
    port = str(server.port)
    server.stop()
    for page in pages:
        expect(page.locator("#live")).to_have_text("○ Reconnecting…")
    server.ledgers.append([cost_observed("meanwhile", cost_usd="0.42")])
    server = Process(tmp_path, "--port", port)
    try:
        costs(pages, "meanwhile", "$0.42")
        for page in pages:
            live(page)
    finally:
        server.stop()


def test_where_a_browser_has_no_locks_each_window_has_its_own_stream(context: BrowserContext, server: Server) -> None:
    context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', {value: undefined})")
    pages = opened(context, server, 2)
    assert streams(server) == 2
    server.ledgers.append([cost_observed("w", cost_usd="1.00")])
    costs(pages, "w", "$1.00")
