"""`python -m tests.clients --client claude-code --version 2.1.332 --scenario fork`: run cells of the campaign."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.clients import sandbox
from tests.clients.cell import judged, played
from tests.clients.claude_code import ClaudeCode
from tests.clients.codex import Codex
from tests.clients.scenarios import SCENARIOS

CLIENTS = {client.name: client for client in (ClaudeCode(), Codex())}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients")
    parser.add_argument("--client", choices=CLIENTS)
    parser.add_argument("--version")
    parser.add_argument("--scenario", choices=SCENARIOS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--play", action="store_true")
    parser.add_argument("--judge", action="store_true")
    given = parser.parse_args()
    client = CLIENTS[given.client]
    folder = given.folder or Path(tempfile.mkdtemp(prefix="clients-"))
    executable = client.install(given.version)
    if given.play:
        played(client, given.version, given.scenario, folder, executable)
        return 0
    started = time.monotonic()
    if not given.judge:
        command = [sys.executable, "-m", "tests.clients", "--client", client.name, "--version", given.version]
        command += ["--scenario", given.scenario, "--folder", str(folder), "--play"]
        subprocess.run(sandbox.isolated(command), check=True)
    seconds = time.monotonic() - started
    for result in judged(client, given.version, given.scenario, folder, seconds):
        print(json.dumps(result.document()))
    print(folder, seconds, time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
