"""Dimensions: what spend can be split and filtered by; pure.

A dimension has a name, the columns of spend or of rows that it is made of, and how a value is asked for. A name that is
none of `DIMENSIONS` is the key of a tag; `tag:KEY` always is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

import orjson

from ledger.errors import InvalidInput, shown
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.row import Row
from projections.folding.tools import split_tools, tool_called
from projections.history.idle import shown_status
from projections.history.query import STATUSES
from projections.history.store import OWN, Derived, Group
from projections.reports.tags import TAGGED_BY, TagRules, tags_of

__all__ = ["DIMENSIONS", "Dimension", "Value", "dimension", "is_project", "parsed_where", "split_names"]

Value = str | int | None
Columns = Mapping[str, Value]

_TAG: Final = "tag:"
_EXACT: Final = frozenset({"agent", "model", "session", "workflow", "template", "issue", "branch", "status", "run"})
"""Dimensions whose values are those of a column; a project is found by its last part, and a tool among several."""
_NUMBERS: Final = frozenset({"issue", "run"})
_DIGITS_MAX: Final = 19
_NAMED_BY_PEOPLE: Final = frozenset({"user", "host"})
"""Tags that are often asked for before anybody has set them."""
_ABSENT: Final = frozenset({"", UNATTRIBUTED})
"""How the value of what names none is asked for."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """What spend is split or filtered by.

    Attributes:
        columns: of spend and of rows, which its value is made of.
        value: the value by these columns; None where there is none.
    """

    name: str
    columns: tuple[Group, ...]
    value: Callable[[Columns], Value]

    @property
    def is_of_spend(self) -> bool:
        """Whether it is a property of the spend, and not of its workflow's row."""
        return set(self.columns) <= OWN

    @property
    def group(self) -> Group | Derived:
        """What a store groups by."""
        if DIMENSIONS.get(self.name) is self:
            return self.columns[0]
        return Derived(self.columns, lambda values: self.value(dict(zip(self.columns, values, strict=True))))

    def test(self, asked: Sequence[str]) -> Derived:
        """Return what a store tests: whether a value is one of those that are asked for."""
        return Derived(self.columns, lambda values: self.matches(dict(zip(self.columns, values, strict=True)), asked))

    def exact(self, asked: Sequence[str], known: Callable[[Group], Iterable[Value]]) -> tuple[Value, ...] | None:
        """Return the values of its one column that match what is asked for; None when a column is no test of it.

        Args:
            known: `HistoryStore.row_values`.

        Raises:
            InvalidInput: it is a number, and what is asked for is none.
        """
        if self.name in _EXACT and not any(set("*?") & set(one) for one in asked):
            return tuple([_parsed(self.name, one) for one in asked])
        if len(self.columns) > 1 or self.is_of_spend:
            return None
        (column,) = self.columns
        return tuple([value for value in known(column) if self.matches({column: value}, asked)])

    def matches(self, columns: Columns, asked: Sequence[str]) -> bool:
        """Return whether a value by these columns is one of those that are asked for."""
        value = self.value(columns)
        return any(_is_asked(self.name, value, one) for one in asked)

    def matches_row(self, row: Row, asked: Sequence[str]) -> bool:
        """Return whether a workflow's value is one of those that are asked for; not of a property of spend."""
        found: dict[str, Value] = {
            name: shown_status(row) if name == "status" else getattr(row, name) for name in self.columns
        }
        return self.matches(found, asked)


def _column(name: str, column: Group) -> Dimension:
    return Dimension(name, (column,), lambda columns: columns[column])


_COLUMNS: Final[dict[str, Group]] = {
    "agent": "agent",
    "model": "model",
    "session": "session_id",
    "workflow": "adw_id",
    "template": "workflow_template",
    "issue": "issue_number",
    "project": "project",
    "branch": "branch",
    "tool": "tool",
    "status": "status",
    "run": "run",
}

DIMENSIONS: Final = {name: _column(name, column) for name, column in _COLUMNS.items()}
"""What is known of spend without tags, by name."""


def dimension(
    name: str,
    rules: TagRules = (),
    known: Callable[[Group], Iterable[Value]] | None = None,
    *,
    where: str = "by",
) -> Dimension:
    """Return the dimension of a name.

    Args:
        rules: those of the configuration, which tag workflows when they are read.
        known: `HistoryStore.row_values`; a key that neither rows nor the rules have is then refused.
        where: what names it, for the message.

    Raises:
        InvalidInput: the name is neither a dimension nor the key of a tag.
    """
    if name in DIMENSIONS:
        return DIMENSIONS[name]
    key = name.removeprefix(_TAG)
    keys = {key for rule in rules for key in rule.set}
    if known is not None and key not in keys:
        keys |= {key for tags in known("tags") if tags for key in orjson.loads(str(tags))}
        if key not in keys:
            raise InvalidInput(f"{where} {_unknown(name, keys)}")
    columns: tuple[Group, ...] = TAGGED_BY if rules else TAGGED_BY[:1]
    return Dimension(name, columns, lambda columns: tags_of(columns, rules).get(key))


def split_names(given: Iterable[str]) -> list[str]:
    """Return the names in options such as `agent,model`, each once; an empty one, which no dimension has, is `""`."""
    return list(dict.fromkeys(name.strip() for one in given for name in one.split(",")))


def parsed_where(where: str, given: Iterable[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the conditions of a `SpendQuery` in texts such as `team=payments`; those of one name are alternatives.

    Args:
        where: the name of the option or parameter, for the message.

    Raises:
        InvalidInput: a text is none, or no store could have its value.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InvalidInput(f"{where} {shown(text)}: give NAME=VALUE, such as project=shop or team=payments")
        if not value.isprintable():
            raise InvalidInput(f"{where} {shown(text)}: the value is not printable text")
        if name.strip() == "status" and not set("*?") & set(value) and value not in STATUSES:
            hint = "; an idle workflow is running: `costledger history --status idle`" if value == "idle" else ""
            raise InvalidInput(f"{where} {shown(text)}: give one of {', '.join(STATUSES)}{hint}")
        found[name.strip()] = (*found.get(name.strip(), ()), value)
    return tuple(found.items())


def is_project(project: str, asked: str) -> bool:
    """Return whether a project is the one that is asked for: by its folder, or the last part of it, in any case."""
    whole, asked = project.rstrip("/\\").lower(), asked.rstrip("/\\").lower()
    return asked in (whole, whole.replace("\\", "/").rpartition("/")[2])


def _is_asked(name: str, value: Value, asked: str) -> bool:
    if value is None or asked in _ABSENT:
        return value is None and asked in _ABSENT
    text = str(value)
    if name == "project" and is_project(text, asked):
        return True
    if name == "tool" and tool_called(asked) in split_tools(text):
        return True
    return fnmatchcase(text.lower(), asked.lower()) if set("*?") & set(asked) else text == asked


def _parsed(name: str, asked: str) -> Value:
    if asked in _ABSENT:
        return None
    if name not in _NUMBERS:
        return asked
    digits = asked.removeprefix("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) < _DIGITS_MAX):
        raise InvalidInput(f"{name}={asked}: give a number, such as {name}=17")
    return int(digits)


def _unknown(name: str, keys: Iterable[str]) -> str:
    tags = sorted(keys)
    near = get_close_matches(name, [*DIMENSIONS, *tags], n=1)
    hint = f": did you mean {near[0]!r}?" if near else "."
    if name in _NAMED_BY_PEOPLE:
        hint = ": no log says it; set COSTLEDGER_TAGS for new workflows, and [[tags]] for those that there are."
    named = f"the tags {', '.join(tags)}" if tags else "no workflow has a tag yet (`costledger tag ID team=payments`)"
    return f"{shown(name)}: no dimension and no tag{hint} There are {', '.join(DIMENSIONS)}; and {named}"
