"""Sources into ledgers, idempotently."""
