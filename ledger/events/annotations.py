"""Events that say something about a workflow and change no figure of its ledger: acceptances, tags and moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ledger.events.event import FINDING_ACCEPTED, WORKFLOW_MOVED, WORKFLOW_TAGGED, Event, event

__all__ = ["finding_accepted", "workflow_moved", "workflow_tagged"]


def finding_accepted(
    workflow_id: str,
    *,
    findings: Mapping[str, str],
    reason: str,
    observed_at: str | datetime | None = None,
    id: str | None = None,
) -> Event:
    """Return the acceptance of what needs attention in a row; it changes no figure and is no activity.

    Args:
        findings: what each finding covers, by its kind; a finding shows again when it covers something else.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is missing, of the wrong kind or out of range.
    """
    return event({"type": FINDING_ACCEPTED} | locals())


def workflow_tagged(
    workflow_id: str,
    *,
    tags: Mapping[str, str],
    observed_at: str | datetime | None = None,
    source: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> Event:
    """Return new tags of a workflow; they group its cost, change no figure and are no activity.

    Args:
        tags: by key; the last value of a key counts, and an empty one removes it.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is missing, of the wrong kind or out of range.
    """
    return event({"type": WORKFLOW_TAGGED} | locals())


def workflow_moved(
    workflow_id: str,
    *,
    to: str,
    session_id: str | None = None,
    agent: str | None = None,
    reason: str | None = None,
    observed_at: str | datetime | None = None,
    id: str | None = None,
) -> Event:
    """Return the move of what a workflow costs, or one of its sessions, to another workflow's row.

    Args:
        to: that workflow; the workflow itself ends an earlier move.
        agent: the agent's name there; None leaves the names as they are.

    Raises:
        InvalidEvent, InvalidWorkflowId: a value is missing, of the wrong kind or out of range.
    """
    return event({"type": WORKFLOW_MOVED} | locals())
