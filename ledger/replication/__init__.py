"""Ledgers to and from a shared engine."""
