"""What a server has in memory at most while it is sent bodies that are small on the wire and large in memory.

    python benchmarks/bombs.py [PART]     each once, then all of them at the same time, from eight clients; PART: only
                                          those whose names contain it

A server of its own for each bomb, and one for all of them together; Linux.
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

from tests.projections.server.bombs import BOMBS, peak_megabytes


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


def sent(url: str, name: str) -> tuple[int, float]:
    """The status of the answer, and how long it took, in seconds."""
    path, body, headers = BOMBS[name]
    began = time.perf_counter()
    answer = httpx.post(url + path, content=body, headers=headers, timeout=120)
    return answer.status_code, time.perf_counter() - began


def main() -> None:
    """Send them, and print a table."""
    with server() as (_, pid):
        print(f"{'(a server at rest)':<48} {'':>10} {'':>6} {peak_megabytes(pid):>6.0f} MB")
    names = [name for name in BOMBS if not sys.argv[1:] or sys.argv[1] in name]
    for name in names:
        body = BOMBS[name][1]
        with server() as (url, pid):
            status, seconds = sent(url, name)
            print(
                f"{name:<48} {len(body) / 1e3:>7,.0f} kB {status:>5} {peak_megabytes(pid):>6.0f} MB {seconds:>6.2f} s"
            )
    with server() as (url, pid), ThreadPoolExecutor(8) as pool:
        began = time.perf_counter()
        statuses = [status for status, _ in pool.map(lambda name: sent(url, name), names)]
        seconds = time.perf_counter() - began
        told = ", ".join(f"{status} × {statuses.count(status)}" for status in sorted(set(statuses)))
        print(f"all of them, eight at a time: {peak_megabytes(pid):.0f} MB, {seconds:.1f} s; {told}")


if __name__ == "__main__":
    main()
