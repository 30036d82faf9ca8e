"""`python -m projections.cli.draining DATA`: the process that appends what waits in the spool. It has no terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from ledger import clock
from ledger.config import Budgets, load
from ledger.pricing import price_book
from ledger.spool import Spool
from ledger.store import DirectoryStore
from ledger.workflow import config_file
from projections.live import drain

if __name__ == "__main__":
    data = Path(sys.argv[1])
    spool = Spool(str(data))
    try:
        config = config_file(data)
        budgets = Budgets() if config is None else load(config).budgets
        drain(spool, DirectoryStore(data), price_book(config), budgets)
    except Exception as error:
        spool.log(clock.to_wire(clock.now()), f"drain: {type(error).__name__}: {error}")
        sys.exit(1)
