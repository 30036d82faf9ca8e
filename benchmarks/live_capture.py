"""How long Claude Code waits for `costledger statusline` and `costledger hook`, against Python itself, alternating.

Each status line has a new cost, so each one is recorded and starts a process that appends while the next ones run.

Usage: python benchmarks/live_capture.py [rounds]
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(command: list[str], given: str, environment: dict[str, str]) -> tuple[float, float]:
    """Wall time of one process, from its start to its exit with its output read, and the processor time it took."""
    start = time.perf_counter()
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # Python itself does not read it
            process.stdin.write(given.encode())
            process.stdin.close()
        process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - start, used.ru_utime + used.ru_stime


def status_json(session_id: str, number: int, transcript: Path) -> str:
    """What Claude Code gives to either command."""
    return json.dumps(
        {
            "session_id": session_id,
            "transcript_path": str(transcript),
            "hook_event_name": "Stop",
            "workspace": {"current_dir": "/tmp", "project_dir": "/tmp"},
            "model": {"id": "claude-sonnet-4-5", "display_name": "Sonnet 4.5"},
            "cost": {"total_cost_usd": round(0.01 * number, 2), "total_duration_ms": 1000 * number},
            "context_window": {"used_percentage": 42, "context_window_size": 200_000},
        }
    )


def main(rounds: int) -> None:
    """Print p50 and p99 of each command, its ratio to a Python that does nothing, and its median processor time."""
    costledger = str(Path(sys.executable).with_name("costledger"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import pydantic": [sys.executable, "-c", "import pydantic"],
        "costledger statusline": [costledger, "statusline"],
        "costledger hook": [costledger, "hook"],
    }
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"COSTLEDGER_DATA": folder}
        transcript = Path(folder) / "transcript.jsonl"
        transcript.touch()
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                taken[name].append(seconds(command, status_json("session-1", number, transcript), environment))
        time.sleep(2)  # the last drain still writes
    medians = {name: statistics.median(wall for wall, _ in times[1:]) for name, times in taken.items()}
    for name, times in taken.items():
        last = statistics.quantiles((wall for wall, _ in times[1:]), n=100)[98]
        used = statistics.median(cpu for _, cpu in times[1:])
        ratio = medians[name] / medians["python -c pass"]
        walls = f"p50 {medians[name] * 1000:6.1f} ms   p99 {last * 1000:6.1f} ms   {ratio:5.2f} x pass"
        print(f"{name:<24} {walls}   processor {used * 1000:6.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
