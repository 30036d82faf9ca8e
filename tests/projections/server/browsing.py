"""What tests of the page do in a browser."""

from __future__ import annotations

from playwright.sync_api import Page, ViewportSize, expect

__all__ = ["WIDE", "Visit", "expect", "live", "settled"]

WIDE = ViewportSize(width=1280, height=800)

expect.set_options(timeout=15_000)


class Visit:
    """A page of the browser, and what went wrong in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url, self.wrong = page, url, list[str]()
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(url) else self.wrong.append(request.url))

    def open(self, view: str = "#/") -> Page:
        """Go to a view, and wait until it is shown and live."""
        self.page.goto(f"{self.url}/{view}")
        settled(self.page)
        return self.page


def settled(page: Page) -> None:
    """Its heading is there, nothing loads, and every chart is drawn, which it is as soon as its width is known."""
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("main [aria-busy=true], main .loading, .chart > div:not(.tip):empty")).to_have_count(0)


def live(page: Page) -> None:
    expect(page.locator("#live")).to_have_text("● Live")
