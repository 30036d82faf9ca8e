"""Pictures of the page on made-up workflows: the README's two, or with `--all DIR` every view.

Needs `pip install -e '.[server,browser]'` and Debian's `chromium` (or `--chromium PATH`).
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, expect, sync_playwright

from ledger.events.event import Event, cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore

DOCS: Final = Path(__file__).resolve().parent
ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
DAYS: Final = 30
AGENTS: Final = ("sdlc_planner", "sdlc_implementor", "sdlc_tester", "sdlc_reviewer")
MODELS: Final = (
    ("claude-sonnet-4-5-20250929", 0.62),
    ("claude-opus-4-5-20251101", 1.9),
    ("claude-haiku-4-5-20251001", 0.06),
)
TEMPLATES: Final = ("adw_sdlc", "adw_plan_build", "adw_review")
VIEWS: Final = {
    "overview": "#/",
    "workflows": "#/workflows",
    "workflow": "#/workflows/a5b80595",
    "spend": "#/spend",
    "health": "#/health",
}


def workflow(chance: random.Random, name: str, start: datetime, *, running: bool) -> list[Event]:
    """What a workflow of a few agents says: readings of growing sessions, and totals at the end."""
    issue, template = chance.randrange(11, 70), chance.choice(TEMPLATES)
    budget = chance.choice([None, "5.00", "12.00"])
    said = [
        workflow_started(
            name, issue_number=issue, workflow_template=template, project="shop", budget_usd=budget, observed_at=start
        )
    ]
    at = start
    for agent in AGENTS[: chance.randrange(1, 3) if running else 4]:
        model, dear = MODELS[0] if chance.random() < 0.7 else chance.choice(MODELS)
        reached, steps = 0.0, chance.randrange(2, 6)
        for step in range(steps):
            at += timedelta(minutes=chance.uniform(1, 6))
            reached += dear * chance.uniform(0.05, 0.5)
            tokens = int(reached / dear * 1_400_000)
            usage = {
                "input_tokens": tokens // 90,
                "cache_write_tokens": tokens // 12,
                "cache_read_tokens": tokens - tokens // 8,
                "output_tokens": tokens // 60,
            }
            said.append(
                cost_observed(
                    name,
                    agent=agent,
                    model=model,
                    cost_usd=f"{reached:.6f}",
                    usage=usage,
                    observed_at=at,
                    source={
                        "kind": "claude_stream",
                        "file": f"agents/{name}/{agent}/raw_output.jsonl",
                        "line": 40 * step + 7,
                    },
                )
            )
    if not running:
        status = "failed" if chance.random() < 0.15 else "completed"
        error = "the tests failed twice" if status == "failed" else None
        said.append(workflow_ended(name, status, error_message=error, observed_at=at + timedelta(seconds=20)))
    return said


def story(start: datetime) -> list[Event]:
    """The row that showed $0.09 when the workflow had cost $2.37."""
    name = "a5b80595"
    said = [workflow_started(name, issue_number=17, workflow_template="adw_sdlc", budget_usd="2.50", observed_at=start)]
    readings = [(2, 0, "0.09"), (6, 0, "0.24"), (11, 1, "0.31"), (17, 1, "0.78"), (24, 1, "1.05")]
    readings += [(29, 2, "0.18"), (33, 2, "0.42"), (38, 3, "0.21"), (44, 3, "0.46")]
    for minute, agent, cost in readings:
        tokens = int(float(cost) * 700_000)
        usage = {"input_tokens": tokens // 90, "cache_write_tokens": tokens // 12, "output_tokens": tokens // 60}
        said.append(
            cost_observed(
                name,
                agent=AGENTS[agent],
                model=MODELS[0][0],
                cost_usd=cost,
                usage=usage | {"cache_read_tokens": tokens - tokens // 8},
                observed_at=start + timedelta(minutes=minute),
                source={
                    "kind": "claude_stream",
                    "file": f"agents/{name}/{AGENTS[agent]}/raw_output.jsonl",
                    "line": minute,
                },
            )
        )
    at = start + timedelta(minutes=46)
    said.append(
        cost_observed(
            name, agent=AGENTS[3], model=MODELS[0][0], cost_usd="0.66", usage=usage, final=True, observed_at=at
        )
    )
    return [*said, workflow_ended(name, "completed", observed_at=at + timedelta(seconds=40))]


def fill(data: Path) -> None:
    """A month of workflows, the last ones running, one of them with a model that has no price."""
    chance, now = random.Random(17), datetime.now(UTC)
    ledgers = DirectoryStore(data, durability="none")
    for day in range(DAYS, -1, -1):
        for _ in range(chance.randrange(1, 5) if (now - timedelta(days=day)).weekday() < 5 else chance.randrange(0, 2)):
            start = now - timedelta(days=day, hours=chance.uniform(1, 9))
            ledgers.append(workflow(chance, f"{chance.randrange(16**8):08x}", start, running=False))
    for _ in range(4):
        ledgers.append(workflow(chance, f"{chance.randrange(16**8):08x}", now - timedelta(minutes=50), running=True))
    unpriced = cost_observed(
        "c0ffee01", agent="sdlc_planner", model="qwen3-coder-next-local", usage={"output_tokens": 3100}
    )
    ledgers.append([workflow_started("c0ffee01", workflow_template="adw_plan_build"), unpriced])
    ledgers.append(story(now - timedelta(hours=2)))


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
        viewport={"width": width, "height": 960},
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
        fill(Path(data))
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
