"""`python -m tests.clients --client claude-code --version 2.1.332 --scenario fork`: run cells of the campaign."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ledger.errors import CostledgerError
from tests.clients.campaign import CLIENTS, Cell, cells, run
from tests.clients.cell import Result
from tests.clients.scenarios import SCENARIOS
from tests.clients.table import record


def main() -> int:
    """Run the cells that the options name, all of them without options; exit with 1 when one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("--client", choices=CLIENTS)
    parser.add_argument("--version", help="one that npm has; without it: the newest and the pinned ones")
    parser.add_argument("--scenario", choices=SCENARIOS)
    parser.add_argument("--jobs", type=int, default=2, help="cells that run at once")
    parser.add_argument("--folder", type=Path, help="where each cell's records are left; otherwise they are removed")
    parser.add_argument("--record", action="store_true", help="write docs/conformance.md")
    given = parser.parse_args()
    started, wrong = time.monotonic(), 0
    wanted = list(cells(given.client, given.version, given.scenario))
    with tempfile.TemporaryDirectory(prefix="clients-") as temporary, ThreadPoolExecutor(given.jobs) as pool:
        root = given.folder or Path(temporary)
        for cell, results in zip(wanted, pool.map(lambda one: _attempt(one, root), wanted), strict=True):
            wrong += results is None or any(result.is_wrong for result in results)
            _print(cell, results)
            if given.record and results is not None:
                record(results)
    print(f"{len(wanted)} cells, {wrong} wrong, {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


def _attempt(cell: Cell, root: Path) -> list[Result] | None:
    """Run a cell; None when the client did not do its part, or what it left could not be read."""
    try:
        return run(cell, root / f"{cell.client}-{cell.version}-{cell.scenario}")
    except (subprocess.SubprocessError, AssertionError, CostledgerError) as error:
        print(f"{cell}: {error!r}", file=sys.stderr)
        return None


def _print(cell: Cell, results: list[Result] | None) -> None:
    if results is None:
        print(f"{cell.client} {cell.version} {cell.scenario}: not played", flush=True)
        return
    print(f"{cell.client} {results[0].version} {cell.scenario}: {results[0].seconds:.0f} s")
    for result in results:
        problem = "!!" if result.is_wrong else "  "
        print(f"  {problem} {result.way}: {result.verdict}; {result.detail or 'nothing else'}; {result.why or ''}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
