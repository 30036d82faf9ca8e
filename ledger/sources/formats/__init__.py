"""Formats that several sources share: JSON lines, JSON documents, CSV, SQLite."""
