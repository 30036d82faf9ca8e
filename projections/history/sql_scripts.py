"""The SQL that creates the tables, one file per database."""

from __future__ import annotations

from importlib.resources import files

from projections.history.suspects import SUSPECT_INDEX

__all__ = ["statements"]


def statements(database: str) -> list[str]:
    """Return the statements of a database's `schema.sql`, without its comments and with `SUSPECT_INDEX`."""
    text = files("projections.history").joinpath(database, "schema.sql").read_text(encoding="utf-8")
    plain = "\n".join(line.partition("--")[0] for line in text.splitlines())
    plain = plain.replace("SUSPECT_INDEX", SUSPECT_INDEX)
    return [statement.strip() for statement in plain.split(";") if statement.strip()]
