"""Imports of transcripts compared with ccusage, in one run: the same tokens, what it took, and where costs differ.

Needs Node's `ccusage@20.0.24`: npm install --prefix FOLDER ccusage@20.0.24

Usage: python benchmarks/compare_ccusage.py CCUSAGE TRANSCRIPTS FOLDER [runs]

CCUSAGE is the native program, FOLDER/node_modules/@ccusage/ccusage-linux-x64/bin/ccusage; npm may leave it without the
permission to run (chmod +x). TRANSCRIPTS is a folder with `projects` in it, as `benchmarks/transcripts.py` makes one;
nothing else is read. Times are seconds of the wall clock and of the processors, the median of the runs, side by side;
memory is that of the largest process.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

BUCKETS = {
    "input": "inputTokens",
    "output": "outputTokens",
    "cache writes": "cacheCreationTokens",
    "cache reads": "cacheReadTokens",
}


class Took(NamedTuple):
    """One command."""

    wall_seconds: float
    processor_seconds: float
    memory_mb: float
    output: str


os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as pip does for an installed package


def run(*command: str, **environment: str) -> Took:
    """Run a command to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | environment
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Took(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, output)


def print_medians(name: str, runs: list[list[Took]]) -> tuple[float, float]:
    """Print the medians of commands that belong together."""
    wall = statistics.median(sum(took.wall_seconds for took in one) for one in runs)
    processor = statistics.median(sum(took.processor_seconds for took in one) for one in runs)
    memory = max(took.memory_mb for one in runs for took in one)
    print(f"{name:<44} {wall:8.2f} s {processor:8.2f} s processors {memory:6.0f} MB")
    return wall, processor


def counted(totals: dict[str, Any]) -> dict[str, int]:
    return {bucket: totals[name] for bucket, name in BUCKETS.items()}


def main(ccusage: str, transcripts: Path, folder: Path, runs: int) -> None:
    """Time both, then compare what they counted."""
    bench = folder / "bench-ccusage"
    shutil.rmtree(bench, ignore_errors=True)
    home = bench / "home"
    home.mkdir(parents=True)
    time.sleep(6)  # ext4 goes round inodes that were freed within five seconds, which would be on our account
    theirs: list[list[Took]] = []
    first: list[list[Took]] = []
    again: list[list[Took]] = []
    for number in range(runs):
        ours = [sys.executable, "-m", "projections", "--data", str(bench / f"data{number}")]
        place = {"CLAUDE_CONFIG_DIR": str(transcripts), "HOME": str(home)}
        theirs.append([run(ccusage, "daily", "--offline", "--json", "--timezone", "UTC", **place)])
        reading, report = [*ours, "import", "claude", str(transcripts)], [*ours, "daily", "--json", "--timezone", "UTC"]
        first.append([run(*reading), run(*report)])
        again.append([run(*reading), run(*report)])
    peer = print_medians("ccusage daily --offline", theirs)
    for name, took in (("costledger import claude, daily: first", first), ("the same, nothing new", again)):
        wall, processor = print_medians(name, took)
        print(f"{'':<44} {wall / peer[0]:8.2f} x {processor / peer[1]:8.2f} x")
    totals = json.loads(theirs[-1][0].output)["totals"]
    mine = json.loads(again[-1][1].output)["total"]
    named = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
    for (bucket, count), name in zip(counted(totals).items(), named, strict=True):
        print(
            f"{bucket:<14} ccusage {count:>16,}   costledger {mine[name]:>16,}   difference {mine[name] - count:>12,}"
        )
    print(f"{'cost':<14} ccusage {totals['totalCost']:>16,.4f}   costledger {float(mine['cost_usd']):>16,.4f}")
    shutil.rmtree(bench)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 3)
