"""What a server has in memory at most while it is sent bodies that are small on the wire and large in memory.

    python benchmarks/bombs.py [PART]     each once; those below the limits from eight and from sixteen clients at the
                                          same time; then all of them from eight clients, and again over slow
                                          connections; PART: only those whose names contain it

A server of its own for each line of the table; Linux.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.projections.server.bombs import bombs, peak_megabytes

_PIECES = 20
"""In which a slow client sends a body."""


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """A server's address and process id."""
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "projections", "--data", data, "serve", "--port", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        found = re.search(r"http://\S+?:\d+", process.stderr.readline())
        assert found is not None
        httpx.get(f"{found[0]}/readyz").raise_for_status()
        try:
            yield found[0], process.pid
        finally:
            process.terminate()
            process.communicate()


def sent(url: str, name: str, seconds: float = 0) -> tuple[int, float]:
    """The status of the answer, and how long it took, in seconds.

    Args:
        seconds: how long the body takes to be sent.
    """
    path, body, headers = bombs()[name]
    began = time.perf_counter()
    content = _slowly(body, seconds) if seconds else body
    answer = httpx.post(url + path, content=content, headers=headers, timeout=300)
    return answer.status_code, time.perf_counter() - began


def _slowly(body: bytes, seconds: float) -> Iterator[bytes]:
    step = len(body) // _PIECES + 1
    for start in range(0, len(body), step):
        yield body[start : start + step]
        time.sleep(seconds / _PIECES)


def at_once(label: str, names: list[str], clients: int, seconds: float = 0) -> None:
    """Send bodies from several clients at the same time, and print a line."""
    with server() as (url, pid), ThreadPoolExecutor(clients) as pool:
        began = time.perf_counter()
        statuses = [status for status, _ in pool.map(lambda name: sent(url, name, seconds), names)]
        duration = time.perf_counter() - began
        counts = ", ".join(f"{status} × {statuses.count(status)}" for status in sorted(set(statuses)))
        print(f"{label}, {clients} at once: {peak_megabytes(pid):.0f} MB, {duration:.1f} s; {counts}", flush=True)


def main() -> None:
    """Send them, and print a table."""
    with server() as (_, pid):
        print(f"{'(a server at rest)':<48} {'':>10} {'':>6} {peak_megabytes(pid):>6.0f} MB")
    names = [name for name in bombs() if not sys.argv[1:] or sys.argv[1] in name]
    for name in names:
        body = bombs()[name][1]
        with server() as (url, pid):
            status, seconds = sent(url, name)
            print(
                f"{name:<48} {len(body) / 1e3:>7,.0f} kB {status:>5} {peak_megabytes(pid):>6.0f} MB {seconds:>6.2f} s"
            )
    for name in [name for name in names if name.startswith("below")]:
        for clients in (8, 16):
            at_once(name, [name] * clients, clients)
    at_once("all of them", names, 8)
    at_once("all of them, each sent in 10 s", names, 8, 10)


if __name__ == "__main__":
    main()
