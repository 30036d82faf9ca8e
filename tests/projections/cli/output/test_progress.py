from __future__ import annotations

import os
import pty
import subprocess
import sys

from projections.cli.output.progress import counted_bar, progress_bar
from tests.terminal import shown_until_end

SCRIPT = """
from projections.cli.output.progress import counted_bar
with counted_bar("replaying", "ledgers") as progress:
    progress(3, 7)
    import time; time.sleep(0.3)
"""


def test_without_a_terminal_nothing_is_shown_and_rich_is_not_imported() -> None:
    script = f"{SCRIPT}\nimport sys; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_both_bars_take_how_much_is_done() -> None:
    for bar in (counted_bar("replaying", "ledgers"), progress_bar("reading")):
        with bar as progress:
            progress(1, 2)


def test_on_a_terminal_the_bar_names_the_task_and_how_much_is_done() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=theirs, env=environment)
    shown = shown_until_end(ours, theirs, process).decode()
    assert "replaying" in shown
    assert "3/7" in shown
    assert "ledgers" in shown
