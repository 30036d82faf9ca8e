"""Pictures of the page on made-up workflows: the README's two, or with `--all DIR` every view.

Needs `pip install -e '.[server,browser]'` and Debian's `chromium` (or `--chromium PATH`).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, expect, sync_playwright

from ledger.storage.directory_store import DirectoryStore
from projections.cli.example_workflows import STORY_ID, write_weeks

expect.set_options(timeout=30_000)

DOCS: Final = Path(__file__).resolve().parent
ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
VIEWS: Final = {
    "overview": "#/",
    "workflows": "#/workflows",
    "workflow": f"#/workflows/{STORY_ID}",
    "spend": "#/spend",
    "health": "#/health",
}


@contextmanager
def served(data: Path) -> Iterator[str]:
    """The address of a server for a data directory."""
    command = [sys.executable, "-m", "projections", "--data", str(data), "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=DOCS.parent) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://\S+", process.stderr.readline())
            if found is None:
                raise SystemExit(process.stderr.read())
            yield found[0]
        finally:
            process.terminate()


def picture(browser: Browser, url: str, view: str, to: Path, *, width: int, theme: str, whole: bool) -> None:
    """One picture of a view."""
    context = browser.new_context(
        viewport={"width": width, "height": 1040},
        color_scheme="dark" if theme == "dark" else "light",
        timezone_id="Europe/Berlin",
    )
    page = context.new_page()
    page.on("console", lambda message: print(f"{view}: {message.text}", file=sys.stderr))
    page.goto(url + VIEWS[view])
    page.locator("h1").wait_for()
    page.locator("#live[data-state=live]").wait_for()
    expect(page.locator("main [aria-busy=true], main .loading")).to_have_count(0)
    page.wait_for_timeout(300)
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        print(f"{view} is {wide} pixels wide in a window of {width}", file=sys.stderr)
    page.screenshot(path=to, full_page=whole)
    context.close()


def main(folder: Path | None, chromium: str) -> None:
    with (
        tempfile.TemporaryDirectory() as data,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS)) as browser,
    ):
        write_weeks(DirectoryStore(Path(data), durability="none"), datetime.now(UTC))
        with served(Path(data)) as url:
            if folder is None:
                for view, theme in (("overview", "light"), ("workflow", "dark")):
                    to = DOCS / f"page-{view}.png"
                    picture(browser, url, view, to, width=1280, theme=theme, whole=False)
                return
            folder.mkdir(parents=True, exist_ok=True)
            for view in VIEWS:
                for width, theme in ((1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")):
                    to = folder / f"{view}-{width}-{theme}.png"
                    picture(browser, url, view, to, width=width, theme=theme, whole=width == 375)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="DIR", help="every page, wide and narrow, light and dark")
    parser.add_argument("--chromium", default="/usr/bin/chromium", metavar="PATH")
    given = parser.parse_args()
    main(given.all, given.chromium)
