"""The bare command in a home in which many agents were used, with nothing new: what the number of tools costs.

Usage: python benchmarks/many_tools.py [runs]

One home has the samples of all agents' logs in their default places, another one those of Claude Code alone. Commands
alternate; times are medians, of the wall clock and of the processors.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.compare_ccusage import Took, print_medians, run
from tests.ledger.sources.agent_home import use_agents

OURS = str(Path(sys.executable).with_name("costledger"))


def main(runs: int) -> None:
    """Import once, then time the same command again."""
    for name in [name for name in os.environ if name.startswith(("COSTLEDGER", "XDG_", "CLAUDE_", "CODEX_"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        many, one = Path(folder) / "many", Path(folder) / "one"
        os.environ["HOME"] = str(many)
        kinds = use_agents()
        shutil.copytree(many / ".claude", one / ".claude")
        taken: dict[str, list[Took]] = {}
        for number in range(runs + 1):
            for name, home, arguments in (
                (f"costledger, {len(kinds)} tools", many, ()),
                ("costledger, Claude Code alone", one, ()),
                (f"costledger sources, {len(kinds)} tools", many, ("sources",)),
                ("costledger --version", one, ("--version",)),
            ):
                took = run(OURS, *arguments, folder=Path(folder), HOME=str(home))
                if number:  # the first one imports
                    taken.setdefault(name, []).append(took)
        for name, each in taken.items():
            print_medians(name, each)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
