"""The campaign: which cells there are, and one cell from its installation to its verdicts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.clients import sandbox
from tests.clients.cell import Result, judged
from tests.clients.claude_code import ClaudeCode
from tests.clients.codex import Codex
from tests.clients.gemini_cli import GeminiCli
from tests.clients.opencode import OpenCode
from tests.clients.pi import Pi
from tests.clients.python_sdk import SDKS
from tests.clients.qwen_code import QwenCode
from tests.clients.scenarios import SCENARIOS
from tests.clients.stage import Client

__all__ = ["CLIENTS", "NEWEST", "Cell", "cells", "newest", "run"]

_CLIENTS: Final[tuple[Client, ...]] = (ClaudeCode(), Codex(), GeminiCli(), OpenCode(), Pi(), QwenCode(), *SDKS)
CLIENTS: Final = {client.name: client for client in _CLIENTS}

NEWEST: Final = "newest"
"""The version that the registry calls the latest."""

_PLAY_SECONDS_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class Cell:
    """A client, its version or `NEWEST`, and a scenario."""

    client: str
    version: str
    scenario: str


def cells(client: str | None = None, version: str | None = None, scenario: str | None = None) -> Iterator[Cell]:
    """Yield the cells of the campaign, or those that are asked for; a version that is not pinned may be named, too."""
    for name, one in CLIENTS.items():
        for each in [version] if version else [NEWEST, *one.versions]:
            for wanted in SCENARIOS:
                if client in (None, name) and scenario in (None, wanted) and _can(one, each, wanted):
                    yield Cell(name, each, wanted)


def _can(client: Client, version: str, scenario: str) -> bool:
    if not SCENARIOS[scenario].needs <= client.abilities:
        return False
    number = "9999" if version == NEWEST else version
    return not any(limit.concerns(number, scenario) for limit in client.missing)


@cache
def newest(client: str) -> str:
    """Return the newest version of a client; the registry is asked once."""
    return CLIENTS[client].newest()


def run(cell: Cell, folder: Path) -> list[Result]:
    """Install, play in a process without a network, and judge.

    Raises:
        subprocess.SubprocessError: the client did not do its part.
    """
    client = CLIENTS[cell.client]
    version = newest(cell.client) if cell.version == NEWEST else cell.version
    executable, started = client.install(version), time.monotonic()
    play = [sys.executable, "-m", "tests.clients.play", client.name, version, cell.scenario]
    command = sandbox.isolated([*play, str(executable), str(folder)])
    subprocess.run(command, check=True, timeout=_PLAY_SECONDS_MAX, cwd=Path(__file__).parents[2])
    return judged(client, version, cell.scenario, folder, time.monotonic() - started)
