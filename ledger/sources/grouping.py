"""Findings sorted by workflow in bounded memory, for files that speak of many workflows.

A source hands over what it finds, in file order; it is checked and laid aside, on disk when it is much, and a
workflow's part reads back only its own. In memory stay eight bytes for each call or counter, a few hundred for each
workflow, and the part that is being read.
"""

from __future__ import annotations

import contextlib
import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, Final

import orjson

from ledger.errors import InvalidInput, SourceUnreadable
from ledger.events.event import COST_OBSERVED, event, workflow_started
from ledger.events.ids import digest
from ledger.events.workflow_ids import check_workflow_id
from ledger.sources.findings import Call, Counter, Findings, Part, Place, Skipped

__all__ = ["Found", "WorkflowGroups", "sorted_parts"]

_MEMORY_BYTES_MAX: Final = 16 * 1024 * 1024
"""What is laid aside beyond this lies in a temporary file."""

_PART_READINGS_MAX: Final = 20_000
"""Events of a part are in memory at once, some kilobytes each."""

_READING: Final = ("cost_usd", "usage", "partial", "observed_at")
_CHECKED: Final = ("agent", "session_id", "model", "message_id", "service_tier", *_READING)


@dataclass(frozen=True, slots=True)
class Found:
    """One call or counter, and the workflow it is of.

    Attributes:
        told: what was said beside it of the workflow: `project`, `workflow_template`, `issue_number`.
    """

    workflow_id: str
    reading: Call | Counter
    told: dict[str, Any] = field(default_factory=dict)


class WorkflowGroups:
    """Findings laid aside by workflow."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_MEMORY_BYTES_MAX)  # noqa: SIM115 - it lives as long as its parts
        self._places: dict[str, array[int]] = {}
        self._digests: dict[str, Any] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self.skipped: list[Skipped] = []

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._file.close()

    def take(self, found: Found | Skipped) -> None:
        """Lay something aside; what could never become an event is skipped with its place."""
        if isinstance(found, Skipped):
            self.skipped.append(found)
            return
        try:
            self._check(found)
        except InvalidInput as error:
            place = found.reading.place
            self.skipped.append(Skipped(Path(place.file), place.line, str(error)))
            return
        places = self._places.setdefault(found.workflow_id, array("Q"))
        places.append(self._file.tell())
        line = orjson.dumps([isinstance(found.reading, Call), found.reading], default=str) + b"\n"
        self._file.write(line)
        self._digests.setdefault(found.workflow_id, hashlib.blake2b(digest_size=16)).update(line)
        if found.told:
            self._tell(found)

    def _check(self, found: Found) -> None:
        check_workflow_id(found.workflow_id)
        given = {name: getattr(found.reading, name, None) for name in _CHECKED}
        event({"type": COST_OBSERVED, "workflow_id": found.workflow_id} | given)
        if found.told:
            workflow_started(found.workflow_id, **found.told)

    def _tell(self, found: Found) -> None:
        """What is said first about a workflow is believed, and dated by the call that says it first."""
        facts = self._told.setdefault(found.workflow_id, {})
        for name, value in found.told.items():
            facts.setdefault(name, value)
        if found.reading.observed_at is not None:
            facts.setdefault("observed_at", found.reading.observed_at)

    def parts(self) -> list[Part]:
        """By workflow id, a large one in several; the first part tells what had to be skipped."""
        parts: list[Part] = []
        for name, places in sorted(self._places.items()):
            fingerprint = self._digests[name].hexdigest()
            if not parts:
                fingerprint = digest(fingerprint, *self.skipped)
            for start in range(0, len(places), _PART_READINGS_MAX):
                chunk = places[start : start + _PART_READINGS_MAX]
                read = _Reader(self, name, chunk, start == 0, not parts)
                parts.append(Part(name, len(chunk), read, fingerprint=fingerprint))
        return parts

    def read(self, workflow_id: str, places: Iterable[int], *, facts_too: bool) -> Findings:
        """What was laid aside at these places, and what was told of its workflow."""
        findings = Findings()
        for place in places:
            self._file.seek(place)
            is_call, fields = orjson.loads(self._file.readline())
            fields["place"] = Place(**fields["place"])
            if is_call:
                findings.calls.append(Call(**fields))
            else:
                findings.counters.append(Counter(**fields))
        if facts_too and (facts := self._told.get(workflow_id)):
            said = sorted((name, value) for name, value in facts.items() if name != "observed_at")
            findings.facts = {"id": digest("facts", workflow_id, *said), **facts}
        return findings


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one part back; the parts keep their spool alive."""

    spool: WorkflowGroups
    workflow_id: str
    places: array[int]
    tells_facts: bool
    tells_skipped: bool

    def __call__(self) -> Findings:
        findings = self.spool.read(self.workflow_id, self.places, facts_too=self.tells_facts)
        if self.tells_skipped:
            findings.skipped += self.spool.skipped
        return findings


def sorted_parts(path: Path, found: Iterable[Found | Skipped], kind: str) -> list[Part]:
    """The parts of everything that was found in a path.

    Raises:
        SourceUnreadable: there is nothing; the sentence names the first line that was skipped.
    """
    spool = WorkflowGroups()
    for each in found:
        spool.take(each)
    parts = spool.parts()
    if not parts:
        why = ""
        if spool.skipped:
            first = spool.skipped[0]
            line = "" if first.line is None else f"line {first.line} "
            why = f"; {len(spool.skipped):,} skipped, the first: {first.path.name} {line}{first.reason}"
        raise SourceUnreadable(path, f"holds no cost that `import {kind}` knows{why}")
    return parts
