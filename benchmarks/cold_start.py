"""How long a cold `costledger observe` takes, compared with `python -c "import pydantic"`, alternating, in one run.

Usage: python benchmarks/cold_start.py [rounds]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(command: list[str], folder: str) -> float:
    """Wall time of one process."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(rounds: int) -> None:
    """Print medians and the ratio of each pair."""
    costledger = str(Path(sys.executable).with_name("costledger"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import pydantic": [sys.executable, "-c", "import pydantic"],
        "from pydantic import BaseModel": [sys.executable, "-c", "from pydantic import BaseModel"],
        "costledger observe": [costledger, "observe", "w", "--agent", "plan", "--cost-usd", "0.09"],
    }
    with tempfile.TemporaryDirectory() as folder:
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):
            for name, command in commands.items():
                taken[name].append(seconds(command, folder))
    medians = {name: statistics.median(times[1:]) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{name:<32} {median * 1000:7.1f} ms  {median / medians['import pydantic']:5.2f} x import pydantic")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
