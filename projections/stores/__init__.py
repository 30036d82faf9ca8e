"""Adapters of `projections.store.HistoryStore`, one file per engine."""
