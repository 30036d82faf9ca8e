"""Errors of an event's fields in the words of the command line: which option, what is wrong with it, and an example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from ledger.errors import InvalidEvent, InvalidInput, InvalidWorkflowId
from ledger.events.fields import USAGE_FIELDS
from projections.cli.options import example_of

__all__ = ["InvalidOption", "fields_as_options"]

_FIELD: Final = re.compile(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b")
"""A name of several words, which prose has none of: `cost_usd`."""


class InvalidOption(InvalidInput):
    """An option or argument that cannot be recorded; the message ends with an example of the command."""

    def __init__(self, problem: str) -> None:
        context = click.get_current_context(silent=True)
        shown = None if context is None else example_of(context.command)
        super().__init__(problem if shown is None else f"{problem}\nExample: {shown}")


@contextmanager
def fields_as_options() -> Iterator[None]:
    """Raise what is wrong with a field, or with an id, as an error of the option that gave it.

    Raises:
        InvalidOption: a field or the id is not valid.
    """
    try:
        yield
    except InvalidEvent as error:
        raise InvalidOption(_by_option(error)) from None
    except InvalidWorkflowId as error:
        raise InvalidOption(str(error)) from None


def _by_option(error: InvalidEvent) -> str:
    """Return the sentence of an error with the options of the current command instead of fields."""
    parameters = click.get_current_context().command.params
    options = {each.name: max(each.opts, key=len) for each in parameters if isinstance(each, click.Option)}
    field, problem = error.field, str(error).removeprefix(f"field {error.field!r}: ")
    bucket, colon, rest = problem.partition(": ")
    if field == "usage" and bucket in USAGE_FIELDS and colon:
        field, problem = bucket, rest
    problem = _FIELD.sub(lambda found: options.get(found[0], found[0]), problem)
    if field == "usage":  # of several buckets, which the sentence names
        return problem
    return f"{options.get(field, field)}: {problem}"
