"""Totals of coding agents' logs, compared with ccusage and codeburn, tool by tool: tokens and money.

Needs `ccusage` and `codeburn` (Node 22) of npm.

Usage: python benchmarks/compare_peers.py HOME CCUSAGE [NODE CODEBURN]

HOME is a home directory with logs in the tools' default places; nothing else is read, and nothing of costledger is
written there. The peers keep caches in it, so name a copy. CCUSAGE is the native program (see `compare_ccusage.py`),
CODEBURN the script `node_modules/.bin/codeburn`, run by NODE. A peer that does not read a tool has no line for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from decimal import Decimal
from typing import Any

TOOLS = {
    "Claude Code": ("claude", "claude"),
    "Cline": ("", "cline"),
    "Codex": ("codex", "codex"),
    "Crush": ("", "crush"),
    "Gemini CLI": ("gemini", "gemini"),
    "GitHub Copilot CLI": ("copilot", "copilot"),
    "Kilo CLI": ("kilo", ""),
    "Kimi CLI": ("kimi", "kimi"),
    "OpenCode": ("opencode", "opencode"),
    "Qwen Code": ("qwen", "qwen"),
    "pi": ("pi", "pi"),
}
"""The names that ccusage and codeburn have for a tool; "" where one does not read it."""

OURS = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens", "cost_usd")
CCUSAGE = ("inputTokens", "cacheCreationTokens", "cacheReadTokens", "outputTokens", "totalCost")
CODEBURN = ("inputTokens", "cacheWriteTokens", "cacheReadTokens", "outputTokens", "costUSD")


def printed(home: str, *command: str) -> Any:
    """Return the JSON that a command prints at a home directory; None where it prints none."""
    environment = {"HOME": home, "PATH": os.environ["PATH"], "TZ": "UTC"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout, parse_float=Decimal)
    except json.JSONDecodeError:
        return None


def summed(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[Decimal]:
    """Return the sums of columns."""
    return [sum((Decimal(row.get(name) or 0) for row in rows), Decimal(0)) for name in names]


def of_costledger(home: str) -> dict[str, list[Decimal]]:
    """Import everything that is found into a data directory of its own; return the sums of each tool."""
    own = (sys.executable, "-m", "projections")
    with tempfile.TemporaryDirectory() as data:
        for kind in (
            "claude",
            "cline",
            "codex",
            "crush",
            "gemini",
            "copilot",
            "kilo",
            "kimi",
            "opencode",
            "qwen",
            "pi",
        ):
            printed(home, *own, "--data", data, "import", kind, "--json")
        days = printed(home, *own, "--data", data, "--no-import", "daily", "--by", "tool", "--json")
    rows = defaultdict(list)
    for line in days["lines"]:
        rows[line["group"]].append(line)
    return {tool: summed(lines, OURS) for tool, lines in rows.items()}


def main(home: str, ccusage: str, *codeburn: str) -> None:
    """Print a line for each tool and program."""
    print(f"{'tool':<20} {'program':<11}{'input':>13}{'writes':>12}{'reads':>14}{'output':>11}{'cost':>14}")
    mine = of_costledger(home)
    for tool, (theirs, burnt) in TOOLS.items():
        figures = {"costledger": mine.get(tool)}
        if theirs and (found := printed(home, ccusage, theirs, "daily", "--offline", "--json", "--timezone", "UTC")):
            totals = found["totals"]
            figures["ccusage"] = summed([{"totalCost": totals.get("costUSD"), **totals}], CCUSAGE)
        if burnt and codeburn:
            period = ("--from", "2024-01-01", "--to", "2030-01-01", "--provider", burnt, "--format", "json")
            figures["codeburn"] = summed(printed(home, *codeburn, "models", *period) or [], CODEBURN)
        for program, sums in figures.items():
            if sums is not None:
                *tokens, cost = sums
                widths = zip(tokens, (13, 12, 14, 11), strict=True)
                print(f"{tool:<20} {program:<11}{''.join(f'{each:>{width},}' for each, width in widths)}{cost:>14.6f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
