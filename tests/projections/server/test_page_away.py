"""The page while its server goes away and comes back, and while its token is revoked."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from ledger.events.event import cost_observed
from projections.server.service.tokens import TokenRegister
from tests.projections.server.browsing import Visit, expect, live, settled
from tests.projections.server.conftest import Process
from tests.waiting import until


def test_a_token_lets_in_and_a_logout_lets_out(browser: Browser, tmp_path: Path) -> None:
    tokens = TokenRegister(tmp_path)
    read, append = tokens.create("read"), tokens.create("append")
    server = Process(tmp_path, "--require-tokens")
    try:
        context = browser.new_context()
        page = Visit(context.new_page(), server.url).open("#/health")
        expect(page.locator("h1")).to_have_text("Log in")
        for token, why in (("wrong", "unknown or was revoked"), (append, "for append")):
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("alert")).to_contain_text(why)
        page.get_by_label("Token").fill(read)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Health")
        live(page)
        assert page.evaluate("document.cookie") == ""
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        expect(page.get_by_role("button", name="Verify now")).to_have_count(0)
        page.goto(f"{server.url}/#/")
        expect(page.locator(".empty")).to_contain_text("costledger import adw")
        tokens.revoke(read.split("_")[1])
        page.reload()
        expect(page.locator("h1")).to_have_text("Log in")
        page.get_by_label("Token").fill(tokens.create("admin"))
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Overview")
        page.get_by_role("button", name="Log out").click()
        expect(page.locator("h1")).to_have_text("Log in")
        assert context.cookies() == []
        context.close()
    finally:
        server.stop()


def test_the_page_says_that_it_reconnects_and_misses_nothing(browser: Browser, tmp_path: Path) -> None:
    server = Process(tmp_path)
    context = browser.new_context()
    page = Visit(context.new_page(), server.url).open()
    live(page)
    port = server.port
    server.stop()
    expect(page.locator("#live")).to_have_text("○ Reconnecting…")
    server.ledgers.append([cost_observed("meanwhile", cost_usd="0.42")])
    server = Process(tmp_path, "--port", str(port))
    try:
        live(page)
        expect(page.locator("tr[data-workflow=meanwhile]")).to_contain_text("$0.42")
    finally:
        context.close()
        server.stop()


def test_what_could_not_be_shown_is_once_the_server_is_back(browser: Browser, tmp_path: Path) -> None:
    server = Process(tmp_path)
    server.ledgers.append([cost_observed("stays", cost_usd="0.42")])
    port = str(server.port)
    context = browser.new_context()
    page = Visit(context.new_page(), server.url).open()
    live(page)
    server.stop()
    page.evaluate("location.hash = '#/workflows/stays'")
    expect(page.locator("main")).to_contain_text("The server does not answer")
    server = Process(tmp_path, "--port", port)
    try:
        expect(page.locator("#cost")).to_have_text("$0.42")
        page.evaluate("location.hash = '#/workflows/later'")
        expect(page.locator("h1")).to_have_text("Not found")
        server.ledgers.append([cost_observed("later", cost_usd="0.07")])
        expect(page.locator("#cost")).to_have_text("$0.07")
        server.stop()
        for path in tmp_path.glob("history.db*"):
            path.unlink()
        server = Process(tmp_path, "--port", port)
        live(page)
        server.ledgers.append([cost_observed("later", cost_usd="1.00")])
        expect(page.locator("#cost")).to_have_text("$1.00")
    finally:
        context.close()
        server.stop()


SLOW = """() => {
  const ask = window.fetch, waits_ms = [2000, 3500];
  window.asked = window.answered = 0;
  window.fetch = async (address, ...more) => {
    if (address !== "api/access") return ask(address, ...more);
    window.asked += 1;
    await new Promise((done) => setTimeout(done, waits_ms.shift() ?? 0));
    try { return await ask(address, ...more); } finally { window.answered += 1; }
  };
}"""
"""The first two questions who is logged in are answered late, the second one after the third."""


def test_an_open_page_whose_token_is_revoked_asks_for_another(browser: Browser, tmp_path: Path) -> None:
    tokens = TokenRegister(tmp_path)
    token = tokens.create("read")
    server = Process(tmp_path, "--require-tokens")
    try:
        context = browser.new_context()
        page = Visit(context.new_page(), server.url).open("#/workflows")
        expect(page.locator("h1")).to_have_text("Log in")
        expect(page.get_by_label("Token")).to_be_focused()
        expect(page.locator("main")).not_to_contain_text("no longer valid")
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Workflows")
        live(page)
        settled(page)  # from here on only the stream asks
        page.evaluate(SLOW)
        tokens.revoke(token.split("_")[1])
        expect(page.locator("h1")).to_have_text("Log in")
        expect(page.get_by_role("status")).to_contain_text(["The token is no longer valid here"])
        expect(page.get_by_label("Token")).to_be_focused()
        expect(page.locator("#live")).to_be_empty()
        page.get_by_label("Token").fill(token := tokens.create("read"))
        until(lambda: page.evaluate("[window.asked, window.answered]"), lambda both: both[0] == both[1])
        expect(page.get_by_label("Token")).to_have_value(token)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Workflows")
        live(page)
        settled(page)
        server.stop()
        expect(page.locator("#live")).to_have_text("○ Reconnecting…")
        page.wait_for_timeout(3000)  # long enough to have tried again
        expect(page.locator("#live")).to_have_text("○ Reconnecting…")
        expect(page.locator("h1")).to_have_text("Workflows")
        context.close()
    finally:
        server.stop()
