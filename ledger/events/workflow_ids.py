"""Workflow ids: the texts that can name a workflow, and therefore a ledger file."""

from __future__ import annotations

import re
from typing import Final

from ledger.errors import InvalidWorkflowId

__all__ = ["WORKFLOW_ID_PATTERN", "check_workflow_id", "is_workflow_id"]

WORKFLOW_ID_PATTERN: Final = "[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
"""A regular expression for a whole id: without separators or a dot in front, every id is a safe file name."""

_WORKFLOW_ID: Final = re.compile(rf"{WORKFLOW_ID_PATTERN}\Z", re.ASCII)


def is_workflow_id(value: str) -> bool:
    """Return whether a text can be the id of a workflow."""
    return _WORKFLOW_ID.match(value) is not None


def check_workflow_id(value: object) -> str:
    """Return the id itself.

    Raises:
        InvalidWorkflowId: it is not a valid id.
    """
    if not isinstance(value, str) or not _WORKFLOW_ID.match(value):
        raise InvalidWorkflowId(value)
    return value
