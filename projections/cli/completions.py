"""What a shell completes in addition to ids: models, projects, templates and tools.

A completion is bounded, changes nothing, and is never an error: a person is in the middle of a line. So it
reads only what is stored in the data directory, and no database of another machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from projections.cli.options import Completion, completion, history_spelling
from projections.folding.tools import split_tools

if TYPE_CHECKING:
    from projections.folding.row import Row

__all__ = ["complete_model", "complete_project", "complete_template", "complete_tool"]

_ROWS_MAX: Final = 500
"""The last active workflows, whose names are offered."""

_PLAIN: Final = re.compile(r"[\w.@+,/-]+")
"""A name that every shell takes without quotes."""


def _named(names: Callable[[Row], Iterable[str]]) -> Completion:
    def values(incomplete: str) -> Iterable[str]:
        found = sorted({name for row in _last_rows() for name in names(row) if _PLAIN.fullmatch(name)})
        return (name for name in found if name.lower().startswith(incomplete.lower()))

    return completion(values)


def _last_rows() -> list[Row]:
    path = history_spelling()
    if not isinstance(path, Path) or not path.is_file():
        return []
    from projections.history.open import open_history
    from projections.history.query import Query

    with open_history(path, writes=False) as history:
        return list(history.page(Query(limit=_ROWS_MAX)).rows)


def _projects(row: Row) -> Iterator[str]:
    """Yield the name of the project: all of it, or the last part of its path, which `--project` takes, too."""
    yield (row.project or "").rstrip("/\\").replace("\\", "/").rpartition("/")[2]


def _templates(row: Row) -> Iterator[str]:
    yield row.workflow_template or ""


def _tools(row: Row) -> Iterator[str]:
    """Yield the tools as `--tool` takes them: "claude-code" is "Claude Code"."""
    for tool in split_tools(row.tool):
        yield tool.lower().replace(" ", "-")


def _models(row: Row) -> Iterator[str]:
    """Yield the models that its cost or tokens are attributed to."""
    from projections.folding.models_used import models_used

    yield from models_used(row)


complete_model: Final = _named(_models)
complete_project: Final = _named(_projects)
complete_template: Final = _named(_templates)
complete_tool: Final = _named(_tools)
