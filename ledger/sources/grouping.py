"""Findings grouped by workflow in bounded memory, for files with calls of many workflows.

A source hands over its findings in file order. Each is stored, in a temporary file when there are many, and the part of
a workflow reads back only its own. In memory are eight bytes for each call or counter, some hundred for
each workflow, and the part that is being read.
"""

from __future__ import annotations

import contextlib
import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, Final

import orjson

from ledger.errors import SourceUnreadable
from ledger.events.event import COST_OBSERVED, WORKFLOW_STARTED, checked_fields
from ledger.events.ids import digest
from ledger.events.workflow_ids import check_workflow_id
from ledger.sources.findings import Call, Counter, Findings, Location, Part, Skipped

__all__ = ["WorkflowFinding", "WorkflowGroups", "parts_by_workflow"]

_MEMORY_BYTES_MAX: Final = 16 * 1024 * 1024
"""More than this is stored in a temporary file."""

_PART_READINGS_MAX: Final = 20_000
"""Events of a part are in memory at once, some kilobytes each."""

_READING: Final = ("cost_usd", "usage", "partial", "observed_at")
_CHECKED: Final = ("agent", "session_id", "model", "message_id", "service_tier", *_READING)


@dataclass(frozen=True, slots=True)
class WorkflowFinding:
    """One call or counter, and its workflow; its values are valid in a ledger.

    Attributes:
        facts: what the same record has about the workflow: `project`, `workflow_template`, `issue_number`.

    Raises:
        InvalidInput: a value could never be in a ledger.
    """

    workflow_id: str
    reading: Call | Counter
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_workflow_id(self.workflow_id)
        checked_fields(COST_OBSERVED, {name: getattr(self.reading, name, None) for name in _CHECKED})
        checked_fields(WORKFLOW_STARTED, self.facts)


class WorkflowGroups:
    """Findings stored by workflow."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_MEMORY_BYTES_MAX)  # noqa: SIM115 - it lives as long as its parts
        self._offsets: dict[str, array[int]] = {}
        self._digests: dict[str, Any] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self.skipped: list[Skipped] = []

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._file.close()

    def take(self, found: WorkflowFinding | Skipped) -> None:
        """Store a finding."""
        if isinstance(found, Skipped):
            self.skipped.append(found)
            return
        self._offsets.setdefault(found.workflow_id, array("Q")).append(self._file.tell())
        line = orjson.dumps([isinstance(found.reading, Call), found.reading], default=str) + b"\n"
        self._file.write(line)
        self._digests.setdefault(found.workflow_id, hashlib.blake2b(digest_size=16)).update(line)
        if found.facts:
            self._add_facts(found)

    def _add_facts(self, found: WorkflowFinding) -> None:
        """Add facts; the first value of each counts, at the time of the first call that has one."""
        facts = self._facts.setdefault(found.workflow_id, {})
        for name, value in found.facts.items():
            facts.setdefault(name, value)
        if found.reading.observed_at is not None:
            facts.setdefault("observed_at", found.reading.observed_at)

    def parts(self) -> list[Part]:
        """Return the parts by workflow id, several for a large one; the first part has what had to be skipped."""
        parts: list[Part] = []
        for name, offsets in sorted(self._offsets.items()):
            fingerprint = self._digests[name].hexdigest()
            if not parts:
                fingerprint = digest(fingerprint, *self.skipped)
            for start in range(0, len(offsets), _PART_READINGS_MAX):
                chunk = offsets[start : start + _PART_READINGS_MAX]
                read = partial(self._read, name, chunk, with_facts=start == 0, with_skipped=not parts)
                parts.append(Part(name, len(chunk), read, fingerprint=fingerprint))
        return parts

    def _read(self, workflow_id: str, offsets: Iterable[int], *, with_facts: bool, with_skipped: bool) -> Findings:
        """Return the findings stored at these offsets; with the facts of their workflow, or with what was skipped."""
        findings = Findings(skipped=list(self.skipped) if with_skipped else [])
        for offset in offsets:
            self._file.seek(offset)
            is_call, fields = orjson.loads(self._file.readline())
            fields["location"] = Location(**fields["location"])
            if is_call:
                findings.calls.append(Call(**fields))
            else:
                findings.counters.append(Counter(**fields))
        if with_facts and (facts := self._facts.get(workflow_id)):
            identity = sorted((name, value) for name, value in facts.items() if name != "observed_at")
            findings.facts = {"id": digest("facts", workflow_id, *identity), **facts}
        return findings


def parts_by_workflow(path: Path, found: Iterable[WorkflowFinding | Skipped], kind: str) -> list[Part]:
    """Return the parts of everything that was found in a path.

    Raises:
        SourceUnreadable: there is nothing; the message names the first line that was skipped.
    """
    groups = WorkflowGroups()
    for each in found:
        groups.take(each)
    parts = groups.parts()
    if not parts:
        why = ""
        if groups.skipped:
            first = groups.skipped[0]
            line = "" if first.line is None else f"line {first.line} "
            why = f"; {len(groups.skipped):,} skipped, the first: {first.path.name} {line}{first.reason}"
        raise SourceUnreadable(path, f"holds no cost that `import {kind}` knows{why}")
    return parts
