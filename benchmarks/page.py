"""The page in Chromium: its first figure with many workflows, and how soon an append shows while others append.

The first figure is that of the overview, from the start of the navigation, in a browser without a cache; by the same
clock, each answer from its request's start to its first byte. An append of another process shows when the figure stands
in the page, or a later one; it counts from before the append. Sixteen other processes append meanwhile, each to its own
workflow.
Usage: python -m benchmarks.page FOLDER [workflows] [seconds] [appends per second of each process] [windows]
"""

from __future__ import annotations

import os
import random
import re
import shutil
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, Request, sync_playwright

from benchmarks.serve import costledger, server
from ledger.events.event import cost_observed, workflow_ended, workflow_started
from ledger.storage.directory_store import DirectoryStore
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild

CLIENTS: Final = 16
WATCH: Final = """() => {
  const main = document.querySelector("main");
  window.seen = {};
  new MutationObserver(() => {
    for (const [, figure] of main.innerText.matchAll(/\\$([0-9]+\\.[0-9]+)/g))
      window.seen[figure] ??= performance.timeOrigin + performance.now();
  }).observe(main, { subtree: true, childList: true, characterData: true });
}"""
FIGURE: Final = re.compile(r"\$[0-9]")


def fill(data: Path, workflows: int) -> None:
    """Workflows of a year, five agents each, most of them ended, of 500 issues and 20 projects."""
    dice, now = random.Random(17), datetime.now(UTC)
    store = DirectoryStore(data, durability="none")
    for number in range(workflows):
        name, start = f"{number:08x}", now - timedelta(minutes=dice.randrange(60, 365 * 24 * 60))
        template, project = f"template-{number % 8}", f"/code/project-{number % 20}"
        events = [
            workflow_started(
                name, issue_number=number % 500, workflow_template=template, project=project, observed_at=start
            )
        ]
        events += [
            cost_observed(
                name,
                agent=f"agent-{agent}",
                session_id=f"{number:08x}-{agent}",
                model="claude-sonnet-4-5-20250929",
                cost_usd=f"0.{dice.randrange(10**6):06d}",
                observed_at=start + timedelta(minutes=15 * agent),
            )
            for agent in range(5)
        ]
        events += [workflow_ended(name, "completed", observed_at=start + timedelta(minutes=75))] if number % 100 else []
        store.append(events)
    with SqliteHistory(data / "history.db") as history:
        rebuild(store, history)


def visit(browser: Browser, url: str) -> tuple[float, list[tuple[str, float]]]:
    """Open the overview; the seconds to its first figure, and the milliseconds to each answer."""
    page, requests = browser.new_page(), list[Request]()

    def finished(request: Request) -> None:
        requests.append(request)

    page.on("requestfinished", finished)
    start = time.perf_counter()
    page.goto(url)
    page.locator("main").get_by_text(FIGURE).first.wait_for()
    taken = time.perf_counter() - start
    page.wait_for_selector("main [aria-busy=true], main .loading", state="detached")
    timings = [(request.url.partition("/api/")[2].partition("?")[0], request.timing) for request in requests]
    page.close()
    return taken, [(path, timing["responseStart"] - timing["requestStart"]) for path, timing in timings if path]


def first_figure(browser: Browser, url: str, rounds: int = 5) -> None:
    """Print how long the overview takes to its first figure, and each of its answers."""
    shown, answers = list[float](), dict[str, list[float]]()
    for _ in range(rounds):
        taken, waited = visit(browser, url)
        shown.append(taken)
        for path, milliseconds in waited:
            answers.setdefault(path, []).append(milliseconds)
    print(f"first figure{1e3 * shown[0]:>50,.0f} ms, then {1e3 * statistics.median(shown[1:]):,.0f} ms")
    for path, each in answers.items():
        print(f"  {path:<52} {each[0]:>7,.0f} ms, then median {statistics.median(each):,.0f}, most {max(each):,.0f} ms")


def client(data: Path, number: int, until: float, pause: float) -> None:
    """Append to one workflow until then."""
    store = DirectoryStore(data)
    for message in count():
        if time.time() > until:
            return
        store.append([cost_observed(f"client-{number}", agent="build", message_id=f"m{message}", cost_usd="0.000123")])
        time.sleep(pause)


def shows(page: Page, data: Path, url: str, seconds: float, per_second: float) -> None:
    """Print how long an append takes into the open page while others append."""
    store = DirectoryStore(data)
    store.append([cost_observed("probe", agent="build", cost_usd="1.00")])
    page.goto(f"{url}#/workflows/probe")
    page.locator("#live", has_text="Live").wait_for()
    page.evaluate(WATCH)
    until = time.time() + seconds
    each = (data, until, 1 / per_second)
    clients = [get_context("fork").Process(target=client, args=(data, n, *each[1:])) for n in range(CLIENTS)]
    for process in clients:
        process.start()
    sent = dict[str, float]()
    while time.time() < until - 1:
        figure = f"{len(sent) + 2}.00"
        sent[figure] = 1e3 * time.time()
        store.append([cost_observed("probe", agent="build", cost_usd=figure)])
        time.sleep(0.15)
    for process in clients:
        process.join()
    time.sleep(1)
    seen = page.evaluate("window.seen")
    shown, now = dict[str, float](), float("inf")
    for figure in reversed(sent):  # a later figure shows that all before it have arrived
        shown[figure] = now = min(now, seen.get(figure, now))
    taken = sorted(shown[figure] - at for figure, at in sent.items() if shown[figure] < float("inf"))
    lines = sum(sum(1 for _ in (data / f"ledgers/client-{n}.jsonl").open()) for n in range(CLIENTS))
    p50, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.99))
    print(f"{lines / seconds:,.0f} other appends a second, load {os.getloadavg()[0]:.1f}")
    print(
        f"an append shows after p50 {p50:.0f} ms, p99 {p99:.0f} ms; {len(sent) - len(taken)} of {len(sent)} not shown"
    )


def main(folder: Path, workflows: int, seconds: float, per_second: float, windows: int) -> None:
    """Print both."""
    data = folder / "bench-page"
    shutil.rmtree(data, ignore_errors=True)
    fill(data, workflows)
    with server(*costledger(data)) as (port, _), sync_playwright() as playwright:
        url = f"http://127.0.0.1:{port}/"
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        first_figure(browser, url)
        context = browser.new_context()
        for _ in range(windows - 1):
            context.new_page().goto(url)
        shows(context.new_page(), data, url, seconds, per_second)
        browser.close()
    shutil.rmtree(data)


if __name__ == "__main__":
    given = [float(text) for text in sys.argv[2:]]
    numbers = (*given, *(50_000, 30, 5, 1)[len(given) :])
    main(Path(sys.argv[1]), int(numbers[0]), numbers[1], numbers[2], int(numbers[3]))
