"""The HTTP API: durable appends compared with bare uvicorn, how soon a row follows, a page of a large table, memory.

Clients are 16 connections of one process, sides alternate. Bare uvicorn takes the same body, writes 500 bytes, syncs
them once per request and answers as many bytes as we do.
Usage: python benchmarks/serve.py [FOLDER] [--seconds N] [--rows N] [--soak-seconds N]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.memory_store import MemoryStore
from projections.folding.row import COLUMNS
from projections.history.sqlite.history import SqliteHistory
from projections.replay.refresh import project

CONNECTIONS = 16
BATCH = 100
USAGE = {"input_tokens": 5, "cache_write_tokens": 15362, "cache_read_tokens": 41628, "output_tokens": 2306}

BARE = """
import asyncio, os, socket, sys, uvicorn
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
answer = b"x" * int(sys.argv[2])

def write():
    os.write(file, b"x" * 499 + b"\\n")
    os.fdatasync(file)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await asyncio.to_thread(write)
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

listening = socket.create_server(("127.0.0.1", 0))
listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(f"http://127.0.0.1:{listening.getsockname()[1]}/", file=sys.stderr, flush=True)
config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="warning", access_log=False)
uvicorn.Server(config).run([listening])
"""


@contextmanager
def server(*command: str) -> Iterator[tuple[int, int]]:
    """A server process; its port and its process id."""
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r":(\d+)/", line)
    assert found is not None, line
    try:
        yield int(found[1]), process.pid
    finally:
        process.terminate()
        process.wait(30)


def costledger(data: Path) -> tuple[str, ...]:
    options = ("--port", "0", "--requests-per-second-max", "1000000")
    return ("-m", "projections", "--data", str(data), "serve", *options)


def body(connection: int, number: int, events: int) -> bytes:
    """Readings of the usual size, of a workflow for each connection."""
    sent = [
        {
            "type": "cost_observed",
            "workflow_id": f"w{connection}",
            "agent": "sdlc_planner",
            "session_id": "8a70f767-5b3e-5b0e-9d3c-6f1f6f4f0a11",
            "model": "claude-sonnet-4-5-20250929",
            "cost_usd": f"{number}.{event:03d}1",
            "usage": {
                "input_tokens": 5,
                "cache_write_tokens": 15362,
                "cache_read_tokens": 41628,
                "output_tokens": 2306,
            },
        }
        for event in range(events)
    ]
    return json.dumps(sent[0] if events == 1 else sent).encode()


async def client(port: int, connection: int, events: int, until: float, seconds: list[float]) -> int:
    """One connection that posts as fast as it is answered; the size of the last answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    length = 0
    for number in itertools.count():
        if time.perf_counter() >= until:
            break
        sent = body(connection, number, events)
        head = f"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        began = time.perf_counter()
        writer.write(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 201"), answer
        length = int(re.search(rb"content-length: (\d+)", answer.lower())[1])  # type: ignore[index]
        await reader.readexactly(length)
        seconds.append(time.perf_counter() - began)
    writer.close()
    return length


def load(port: int, events: int, seconds: float, connections: int = CONNECTIONS) -> tuple[list[float], int]:
    async def run() -> tuple[list[float], int]:
        taken: list[float] = []
        until = time.perf_counter() + seconds
        sizes = await asyncio.gather(*(client(port, c, events, until, taken) for c in range(connections)))
        return taken, max(sizes)

    return asyncio.run(run())


def show(name: str, seconds: list[float], took: float, events: int = 1) -> float:
    """A line; the requests per second."""
    ordered = sorted(seconds)
    rate = len(ordered) / took
    p50, p99 = (1e3 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    print(f"  {name:44} {rate:9,.0f} requests/s {rate * events:9,.0f} events/s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms")
    return rate


def appends(folder: Path, seconds: float) -> None:
    print(f"POST /api/events, durable before the answer, {CONNECTIONS} connections, {seconds:g} s each, twice")
    with server(*costledger(folder / "warm")) as (port, _):
        size = load(port, 1, 0.5)[1]
    ratios = []
    for number in range(2):
        with server("-c", BARE, str(folder / f"bare{number}"), str(size)) as (port, _):
            bare = show(f"bare uvicorn, one fdatasync, {size} bytes back", load(port, 1, seconds)[0], seconds)
        with server(*costledger(folder / f"ours{number}")) as (port, _):
            ours = show("one event a request", load(port, 1, seconds)[0], seconds)
            show(f"{BATCH} events a request", load(port, BATCH, seconds)[0], seconds, BATCH)
        ratios.append(ours / bare)
    print(f"  one event ÷ bare uvicorn: {statistics.median(ratios):.2f}")


def get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        found: bytes = answer.read()
    return found


def visible(folder: Path, count: int = 200) -> None:
    """From the return of an append in this process to the row in the API."""
    data, taken = folder / "visible", []
    with server(*costledger(data)) as (port, _):
        get(port, "/healthz")
        ledgers = DirectoryStore(data)
        for number in range(1, count + 1):
            ledgers.append([cost_observed("w", cost_usd=number)])
            began, shown = time.perf_counter(), f'"actual_cost_total":"{number}.00"'.encode()
            while True:
                try:
                    if shown in get(port, "/api/workflow-history/w"):
                        break
                except OSError:
                    pass  # 404: there is no row yet
            taken.append(time.perf_counter() - began)
    ordered = sorted(taken)
    p50, p99 = (1e3 * ordered[int(count * share)] for share in (0.5, 0.99))
    print(f"an append of another process → visible in the API: p50 {p50:.0f} ms, p99 {p99:.0f} ms ({count} appends)")


def fill(path: Path, rows: int) -> None:
    """Rows of many days, statuses and templates, as a projection would have written them."""
    SqliteHistory(path).close()
    ledgers = MemoryStore()
    ledgers.append([cost_observed("w", cost_usd="1.25", agent="a", model="m", usage={"input_tokens": 5})])
    row = project(ledgers, "w").row
    statuses, templates = ("completed", "completed", "failed", "running"), ("sdlc", "patch", "chore")

    def made() -> Iterator[tuple[object, ...]]:
        for number in range(rows):
            at = f"2026-{number // 84_000 % 12 + 1:02d}-{number // 3_000 % 28 + 1:02d}T{number % 24:02d}:00:00.000000Z"
            yield astuple(
                replace(
                    row,
                    adw_id=f"{number:08x}",
                    status=statuses[number % 4],
                    workflow_template=templates[number % 3],
                    issue_number=number % 5_000,
                    actual_cost_nanousd=number * 1_000,
                    actual_cost_total=number / 1e6,
                    last_activity=at,
                    updated_at=at,
                )
            )

    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")
    with db:
        marks = ", ".join("?" * len(COLUMNS))
        db.executemany(f"INSERT INTO workflow_history ({', '.join(COLUMNS)}) VALUES ({marks})", made())
    db.close()


def pages(folder: Path, rows: int) -> None:
    data = folder / "pages"
    data.mkdir()
    began = time.perf_counter()
    fill(data / "history.db", rows)
    print(f"GET /api/workflow-history, a page of 50 of {rows:,} rows (filled in {time.perf_counter() - began:.0f} s)")
    with server(*costledger(data)) as (port, _):
        get(port, "/healthz")
        for name in (
            "",
            "?sort=cost",
            "?status=running&sort=last_activity",
            "?workflow_template=sdlc&sort=cost",
            "?since=2026-03-01T00:00:00Z&until=2026-03-08T12:00:00Z",
            "?offset=500",
            "?text=ffff",
        ):
            get(port, f"/api/workflow-history{name}")
            taken = []
            for _ in range(5 if "text" in name else 30):
                before = time.perf_counter()
                get(port, f"/api/workflow-history{name}")
                taken.append(1e3 * (time.perf_counter() - before))
            print(f"  {name or '(all, newest first)':58} median {statistics.median(taken):8.1f} ms")


def soak(folder: Path, seconds: float) -> None:
    """Memory of the server under a steady load of new workflows."""
    data = folder / "soak"
    with server(*costledger(data)) as (port, pid):
        get(port, "/healthz")
        marks = [0.1, 0.25, 0.5, 0.75, 1.0]
        done, shown = 0.0, []
        for mark in marks:
            load(port, 1, mark * seconds - done, connections=4)
            done = mark * seconds
            text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            shown.append(f"{int(text.split('VmRSS:')[1].split()[0]) / 1024:.0f} MB")
        lines = sum(path.read_bytes().count(b"\n") for path in (data / "ledgers").iterdir())
    sizes = ", ".join(f"{mark:.0%} {size}" for mark, size in zip(marks, shown, strict=True))
    print(f"resident memory over {seconds:g} s under load ({lines:,} events): {sizes}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="/tmp/costledger-serve", type=Path)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--soak-seconds", type=float, default=600)
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    steps: list[Callable[[], None]] = [
        lambda: appends(given.folder, given.seconds),
        lambda: visible(given.folder),
        lambda: pages(given.folder, given.rows) if given.rows else None,
        lambda: soak(given.folder, given.soak_seconds) if given.soak_seconds else None,
    ]
    for step in steps:
        step()
    shutil.rmtree(given.folder)


if __name__ == "__main__":
    main()
