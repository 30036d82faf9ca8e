"""`python -m projections.claude_code.drain_process DATA LOCK`: the process that appends the lines of the spool.

It has no terminal. LOCK is the descriptor of the drain lock, inherited from the process that an agent waited for.
"""

from __future__ import annotations

import fcntl
import sys
from pathlib import Path

from ledger.claude_code.spool import Spool
from ledger.config.locate import config_file
from ledger.config.select import price_book
from ledger.events import timestamps
from ledger.storage.directory_store import DirectoryStore
from projections.claude_code.drain import drain
from projections.reports.budgets import configured_budgets

if __name__ == "__main__":
    data, lock = Path(sys.argv[1]), int(sys.argv[2])
    fcntl.fcntl(lock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # not inherited by processes that the drain may start
    spool = Spool(str(data))
    try:
        config = config_file(data)
        drain(spool, DirectoryStore(data), price_book(config), configured_budgets(config), lock=lock)
    except Exception as error:
        spool.log(timestamps.to_wire(timestamps.now()), f"drain: {type(error).__name__}: {error}")
        sys.exit(1)
