"""Processes whom the mode of a file binds, also when root runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import PROJECT

__all__ = ["AS_OTHERS", "costledger_at", "needs_permissions"]

AS_OTHERS: Final = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all") if os.geteuid() == 0 else ()
)
"""Root as a user whom the mode of a file binds."""

needs_permissions: Final = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads everything"
)


def costledger_at(home: Path, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Run `costledger` at a home of its own, in the folder of that; return its exit code, output and errors."""
    gone = ("COSTLEDGER_DATA", "COSTLEDGER_CONFIG", "XDG_DATA_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in gone}
    done = subprocess.run(
        [*AS_OTHERS, sys.executable, "-m", "projections", *arguments],
        cwd=home,
        env=environment | {"HOME": str(home), "PYTHONPATH": str(PROJECT), "COLUMNS": "200"},
        input=stdin,
        capture_output=True,
        check=False,
        text=True,
    )
    assert "this should not happen" not in done.stderr
    return done.returncode, done.stdout, done.stderr
