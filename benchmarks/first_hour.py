"""The first hour compared with ccusage: one command on a home with transcripts and no data, and the same command again.

Needs Node's `ccusage@20.0.24`: npm install --prefix FOLDER ccusage@20.0.24

Usage: python benchmarks/first_hour.py CCUSAGE TRANSCRIPTS FOLDER [runs]

The arguments are those of `compare_ccusage.py`. Both programs see the same home, ccusage first, alternating. Times are
medians, of the wall clock and of the processors; each ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from pathlib import Path

from benchmarks.compare_ccusage import Took, print_medians, run


def ratio(ours: list[list[Took]], theirs: list[list[Took]]) -> str:
    """Ours to theirs, round by round."""
    pairs = [(mine[0], other[0]) for mine, other in zip(ours, theirs, strict=True)]
    wall = statistics.median(mine.wall_seconds / other.wall_seconds for mine, other in pairs)
    processor = statistics.median(mine.processor_seconds / other.processor_seconds for mine, other in pairs)
    return f"{'':<44} {wall:8.2f} x {processor:8.2f} x"


def main(ccusage: str, transcripts: Path, folder: Path, runs: int) -> None:
    """Time both, then compare what they counted."""
    bench = folder / "bench-first-hour"
    shutil.rmtree(bench, ignore_errors=True)
    theirs: list[list[Took]] = []
    first: list[list[Took]] = []
    again: list[list[Took]] = []
    bench.mkdir(parents=True)
    time.sleep(6)  # ext4 goes round inodes that were freed within five seconds
    for number in range(runs):
        home = bench / f"home{number}"
        (home / ".claude").mkdir(parents=True)
        (home / ".claude" / "projects").symlink_to((transcripts / "projects").absolute())
        place = {"HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / ".claude"), "XDG_DATA_HOME": str(home / "share")}
        place |= {"COSTLEDGER_DATA": "", "CODEX_HOME": str(home / ".codex")}
        ours = [str(Path(sys.executable).with_name("costledger"))]
        theirs.append([run(ccusage, "daily", "--offline", "--json", "--timezone", "UTC", **place)])
        first.append([run(*ours, **place)])
        again.append([run(*ours, **place)])
        last = run(*ours, "daily", "--json", "--timezone", "UTC", **place)
    print_medians("ccusage daily --offline", theirs)
    for name, took in (("costledger, on a machine without data", first), ("costledger, again", again)):
        print_medians(name, took)
        print(ratio(took, theirs))
    totals, mine = json.loads(theirs[-1][0].output)["totals"], json.loads(last.output)["total"]
    print(f"output tokens  ccusage {totals['outputTokens']:,}   costledger {mine['output_tokens']:,}")
    shutil.rmtree(bench)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 5)
