"""`python -m projections.cli.draining DATA`: the process that appends what waits in the spool. It has no terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from costledger.spool import Spool
from ledger import clock
from ledger.store import DirectoryStore
from projections.live import drain

if __name__ == "__main__":
    data = sys.argv[1]
    spool = Spool(data)
    try:
        drain(spool, DirectoryStore(Path(data)))
    except Exception as error:
        spool.log(clock.to_wire(clock.now()), f"drain: {type(error).__name__}: {error}")
        sys.exit(1)
