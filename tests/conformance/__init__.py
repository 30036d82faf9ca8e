"""Rows beside what real clients were charged."""
