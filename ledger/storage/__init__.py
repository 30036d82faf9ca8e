"""Ledger files: append, read, recover."""
