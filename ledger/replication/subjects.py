"""Subjects: the address of a chain's lines in a stream, `costledger.<partition>.<workflow>.<origin>`.

A workflow id may hold dots, which separate the tokens of a subject (https://docs.nats.io/nats-concepts/subjects), and
never holds an equals sign; so each dot becomes one. Everything else in an id is a legal token as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ledger.errors import InvalidInput
from ledger.events.workflow_ids import check_workflow_id
from ledger.replication.replica import partition_of

__all__ = ["ALL", "chain_of", "is_chain", "of_origin", "of_partitions", "subject_of"]

_PREFIX: Final = "costledger"
ALL: Final = f"{_PREFIX}.*.*.*"
_ORIGIN = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


def subject_of(workflow_id: str, origin: str) -> str:
    """Return the subject of a chain.

    Raises:
        InvalidWorkflowId, InvalidInput: the id, or the origin, is invalid.
    """
    name = check_workflow_id(workflow_id).replace(".", "=")
    return f"{_PREFIX}.{partition_of(workflow_id):02}.{name}.{_checked(origin)}"


def chain_of(subject: str) -> tuple[str, str]:
    """Return workflow id and origin of a subject that `subject_of` made.

    Raises:
        InvalidInput: it did not.
    """
    tokens = subject.split(".")
    if len(tokens) == 4:
        workflow_id, origin = tokens[2].replace("=", "."), tokens[3]
        if subject_of(workflow_id, origin) == subject:
            return workflow_id, origin
    raise InvalidInput(f"{subject!r} is not the subject of a ledger")


def is_chain(subject: str) -> bool:
    """Return whether `subject_of` made this subject."""
    try:
        chain_of(subject)
    except InvalidInput:
        return False
    return True


def of_origin(origin: str | None) -> str:
    """Return the filter for all chains of one origin, or of all."""
    return ALL if origin is None else f"{_PREFIX}.*.*.{_checked(origin)}"


def of_partitions(partitions: Iterable[int]) -> list[str]:
    """Return the filters for all chains of some partitions."""
    return [f"{_PREFIX}.{number:02}.*.*" for number in sorted(partitions)]


def _checked(origin: str) -> str:
    if not _ORIGIN.match(origin):
        raise InvalidInput(f"{origin!r} is not an origin: expected letters, digits, '_' or '-'")
    return origin
