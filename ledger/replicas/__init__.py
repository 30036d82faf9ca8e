"""Adapters of the port `ledger.replica.Replica`, one file each."""
