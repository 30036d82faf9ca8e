"""A process that appends, and prints each receipt's id and seq as soon as it holds it."""

from __future__ import annotations

import os
import sys

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore


def main(data: str, name: str, count: int, shared: int) -> None:
    store = DirectoryStore(data)
    for number in range(count):
        id = f"shared-{number}" if number < shared else f"{name}-{number}"
        receipt = store.append([cost_observed("w", cost_usd="0.01", id=id)])[0]
        os.write(1, f"{receipt.id} {receipt.seq} {receipt.hash}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
