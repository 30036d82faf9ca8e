"""Names, moments and workflow ids from foreign text."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import PurePath
from typing import Final

from ledger.events import timestamps
from ledger.events.fields import check_name

__all__ = ["branch_name", "default_workflow", "grouped_workflow", "moment", "name", "name_id"]

_DETACHED: Final = "HEAD"
"""What git calls the branch while none is checked out."""
_CACHED_IDS_MAX: Final = 1024
"""All messages of a session name the same workflow."""
_NO_ID: Final = re.compile(r"[^A-Za-z0-9_-]+")
_WORKFLOW_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\Z", re.ASCII)


def moment(value: object) -> str:
    """Return a moment in the ledger's spelling; "" for anything else, such as a time without a zone."""
    try:
        return timestamps.parse(value)
    except ValueError:
        return ""


def name(value: object) -> str:
    """Return a name that is valid in a ledger; "" for anything else."""
    try:
        return check_name(value)
    except ValueError:
        return ""


def branch_name(value: object) -> str:
    """Return the name of a git branch; "" while none is checked out."""
    return "" if value == _DETACHED else name(value)


@lru_cache(_CACHED_IDS_MAX)
def name_id(text: str, *, readable: str | None = None) -> str:
    """Return a workflow id for any text: itself when it is one, else its readable part and a digest of all of it.

    Args:
        readable: the readable part of a long text, such as the last folder of a path.
    """
    if readable is None and _WORKFLOW_ID.match(text):
        return text
    shown = _NO_ID.sub("-", readable or text).strip("-")[:64]
    return f"{shown or 'unnamed'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def default_workflow(session_id: str) -> str:
    """Return the workflow of a session whose source names none."""
    return name_id(session_id)


def grouped_workflow(workflow_id: str | None, by: str, project: str, branch: str) -> str | None:
    """Return the workflow that an import names for a session; None where that is the session's own.

    Args:
        workflow_id: the one that is named for all of it.
        by: see `Options.workflow_by`.
        project, branch: of the session; "" where it names none.
    """
    if workflow_id is not None or by == "session" or not project:
        return workflow_id
    folder = PurePath(project).name
    if by == "project":
        return name_id(project, readable=folder)
    return name_id(f"{project}\n{branch}", readable=f"{folder}-{branch or 'no-branch'}")
