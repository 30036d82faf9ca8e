"""The names of groups, such as agents and projects, in the tables of reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from projections.cli.output.tables import Brief, Id
from projections.cli.output.text import plain, project_names
from projections.folding.breakdown import UNATTRIBUTED
from projections.reports.dimensions import Value

__all__ = ["group_labels"]

_IDS: Final = ("session_id", "adw_id", "session", "workflow")


def group_labels(names: Sequence[str], groups: Iterable[Sequence[Value]]) -> list[list[str]]:
    """Return the cells of groups; in a narrow table, ids are shortened and projects go by the last part of their path.

    Args:
        names: of the dimensions that each group has a value of.
    """
    values = list(groups)
    projects = project_names(
        str(value) for group in values for name, value in zip(names, group, strict=True) if name == "project" and value
    )
    return [[_label(name, value, projects) for name, value in zip(names, group, strict=True)] for group in values]


def _label(name: str, value: Value, projects: dict[str | None, str]) -> str:
    if value is None:
        return UNATTRIBUTED
    text = plain(str(value))
    if name in _IDS:
        return Id(text)
    if name == "project":
        return Brief(text, projects.get(str(value), text))
    return f"#{text}" if name == "issue" else text
