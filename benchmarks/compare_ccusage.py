"""The first hour with transcripts compared with ccusage: one command on a home without data, and the same again.

Needs Node's `ccusage@20.0.24`: npm install --prefix FOLDER ccusage@20.0.24

Usage: python benchmarks/compare_ccusage.py CCUSAGE TRANSCRIPTS FOLDER [runs] [command]

CCUSAGE is the native program, FOLDER/node_modules/@ccusage/ccusage-linux-x64/bin/ccusage; npm may leave it without the
permission to run (chmod +x). TRANSCRIPTS is a folder with `projects` in it, as `benchmarks/transcripts.py` makes one,
on the file system of FOLDER; no folder above FOLDER may have a `data/ledgers`. The command is `daily`, or `today` for
`costledger` alone. Both programs read the same home, ccusage first, alternating: without data; again, with nothing new;
and after the last lines of ten transcripts, 1 % of all bytes, were written. Times are seconds of the wall clock and of
the processors, medians; each ratio is the median of the rounds' own ratios; memory is that of the largest process.
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
from typing import Any, Final, NamedTuple

BUCKETS = {
    "input": "inputTokens",
    "output": "outputTokens",
    "cache writes": "cacheCreationTokens",
    "cache reads": "cacheReadTokens",
}
REPORT: Final = ("daily", "--json", "--timezone", "UTC")
COMMANDS: Final = {"daily": REPORT, "today": ()}


class Took(NamedTuple):
    """One command."""

    wall_seconds: float
    processor_seconds: float
    memory_mb: float
    output: str


os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as pip does for an installed package


def run(*command: str, folder: Path, **environment: str) -> Took:
    """Run a command to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | environment
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Took(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, output)


class Growing:
    """A copy of transcripts, ten of which can be without their last lines, together one per cent of all bytes."""

    def __init__(self, transcripts: Path, copy: Path) -> None:
        self._rest: dict[Path, tuple[int, bytes]] = {}
        files = sorted(path for path in transcripts.rglob("*") if path.is_file())
        share = sum(path.stat().st_size for path in files) // 1000
        for path in files:
            same = copy / path.relative_to(transcripts)
            same.parent.mkdir(parents=True, exist_ok=True)
            if len(self._rest) < 10 and path.stat().st_size > 2 * share:
                shutil.copy2(path, same)
                data = path.read_bytes()
                cut = data.index(b"\n", len(data) - share) + 1
                self._rest[same] = (cut, data[cut:])
            else:
                same.hardlink_to(path)

    def shrink(self) -> None:
        """Take the last lines away."""
        for path, (size, _) in self._rest.items():
            os.truncate(path, size)

    def grow(self) -> None:
        """Write the last lines."""
        for path, (_, lines) in self._rest.items():
            with path.open("ab") as file:
                file.write(lines)


def print_medians(name: str, runs: list[Took], theirs: list[Took] | None = None) -> None:
    """Print the medians of a command, and of its ratios to the other program's in the same rounds."""
    wall = statistics.median(took.wall_seconds for took in runs)
    processor = statistics.median(took.processor_seconds for took in runs)
    print(f"{name:<44} {wall:8.2f} s {processor:8.2f} s processors {max(took.memory_mb for took in runs):6.0f} MB")
    if theirs is not None:
        pairs = list(zip(runs, theirs, strict=True))
        wall = statistics.median(mine.wall_seconds / other.wall_seconds for mine, other in pairs)
        processor = statistics.median(mine.processor_seconds / other.processor_seconds for mine, other in pairs)
        print(f"{'':<44} {wall:8.2f} x {processor:8.2f} x")


def print_totals(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Print what both counted."""
    named = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
    for (bucket, name), own in zip(BUCKETS.items(), named, strict=True):
        difference = ours[own] - theirs[name]
        print(f"{bucket:<14} ccusage {theirs[name]:>16,}   costledger {ours[own]:>16,}   difference {difference:>12,}")
    print(f"{'cost':<14} ccusage {theirs['totalCost']:>16,.4f}   costledger {float(ours['cost_usd']):>16,.4f}")


def main(ccusage: str, transcripts: Path, folder: Path, runs: int, command: str) -> None:
    """Time both, then compare what they counted."""
    bench = folder.absolute() / "bench-ccusage"
    shutil.rmtree(bench, ignore_errors=True)
    growing = Growing(transcripts / "projects", bench / "claude" / "projects")
    time.sleep(6)  # ext4 goes round inodes that were freed within five seconds, which would be on our account
    peer, ours = (
        (str(Path(ccusage).absolute()), *REPORT, "--offline"),
        str(Path(sys.executable).with_name("costledger")),
    )
    theirs: list[Took] = []
    took: dict[str, list[Took]] = {"without data": [], "nothing new": [], "1 % new": []}
    for number in range(runs):
        home = bench / f"home{number}"
        home.mkdir()
        place = {"HOME": str(home), "CLAUDE_CONFIG_DIR": str(bench / "claude"), "XDG_DATA_HOME": str(home / "share")}
        place |= {"COSTLEDGER_DATA": "", "CODEX_HOME": str(home / ".codex")}
        growing.shrink()
        theirs.append(run(*peer, folder=bench, **place))
        for name, each in took.items():
            if name == "1 % new":
                growing.grow()
            each.append(run(ours, *COMMANDS[command], folder=bench, **place))
    totals = json.loads(run(*peer, folder=bench, **place).output)["totals"]
    mine = json.loads(run(ours, *REPORT, folder=bench, **place).output)["total"]
    print_medians("ccusage daily --offline", theirs)
    for name, each in took.items():
        print_medians(f"costledger{' daily' if COMMANDS[command] else ''}, {name}", each, theirs)
    print_totals(totals, mine)
    shutil.rmtree(bench)


if __name__ == "__main__":
    given = sys.argv[4:] + ["5", "daily"][len(sys.argv) - 4 :]
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(given[0]), given[1])
