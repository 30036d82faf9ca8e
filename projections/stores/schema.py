"""The SQL files beside this module."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["statements"]


def statements(name: str) -> list[str]:
    """The statements of a file, without its comments."""
    text = files("projections.stores").joinpath(name).read_text(encoding="utf-8")
    plain = "\n".join(line.partition("--")[0] for line in text.splitlines())
    return [statement.strip() for statement in plain.split(";") if statement.strip()]
