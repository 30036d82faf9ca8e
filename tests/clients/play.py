"""`python -m tests.clients.play CLIENT VERSION SCENARIO EXECUTABLE FOLDER`: what runs without a network."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.clients.campaign import CLIENTS
from tests.clients.cell import played

if __name__ == "__main__":
    name, version, scenario, executable, folder = sys.argv[1:]
    played(CLIENTS[name], version, scenario, Path(folder), Path(executable))
