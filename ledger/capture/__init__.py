"""Calls of a running program, appended as they are made."""
