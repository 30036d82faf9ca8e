"""Requests and responses: access, parameters, problems, JSON."""
