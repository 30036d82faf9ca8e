"""Rows to answers: spend, budgets, time zones."""
