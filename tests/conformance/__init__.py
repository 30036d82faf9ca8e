"""Rows compared with what real clients were charged."""
