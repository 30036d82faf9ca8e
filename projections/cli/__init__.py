"""The command line: parse, call one library function, print. A command's module is imported when it is called."""

from projections.cli.app import main

__all__ = ["main"]
