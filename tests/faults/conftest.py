"""Servers, as the tests of the server start them."""

from tests.projections.server.conftest import serve

__all__ = ["serve"]
