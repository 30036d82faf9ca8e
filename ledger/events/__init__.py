"""What may be in a ledger: events, money, timestamps and runs."""
