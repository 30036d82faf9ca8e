"""Ledgers to rows."""
