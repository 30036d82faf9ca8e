"""The tags of a workflow: its own, and those that the rules of a configuration give it when it is read; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, Protocol

import orjson

__all__ = ["TAGGED_BY", "TagRule", "TagRules", "tags_of"]

TAGGED_BY: Final = ("tags", "project", "branch", "workflow_template")
"""The columns of a row that decide its tags."""


class TagRule(Protocol):
    """Tags for the workflows that match: `ledger.config.schema.TagConfig`."""

    @property
    def patterns(self) -> Mapping[str, str]:
        """The globs that must match, by the column of the row, compared without case."""
        ...

    @property
    def set(self) -> Mapping[str, str]:
        """The tags."""
        ...


TagRules = Sequence[TagRule]


def tags_of(columns: Mapping[str, object], rules: TagRules) -> dict[str, str]:
    """Return the tags of a workflow: of each key its own value, else that of the first rule that matches.

    Args:
        columns: `TAGGED_BY` of its row.
    """
    own = columns["tags"]
    found: dict[str, str] = dict(orjson.loads(own)) if isinstance(own, str) else {}
    for rule in rules:
        if any(key not in found for key in rule.set) and _matches(rule.patterns.items(), columns):
            found = {**rule.set, **found}
    return found


def _matches(patterns: Iterable[tuple[str, str]], columns: Mapping[str, object]) -> bool:
    return all(fnmatchcase(str(columns[name] or "").lower(), glob.lower()) for name, glob in patterns)
