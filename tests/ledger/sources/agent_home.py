"""A home in which agents were used: the samples of their logs in their default places."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from ledger.errors import NoLogs
from ledger.sources import transcript
from ledger.sources.agent_places import agent_folders
from ledger.sources.agents import AGENTS
from tests.ledger.sources.agent_samples import SAMPLES, sample

__all__ = ["OPENCODE_GOES_ON", "use_agents"]

OPENCODE_GOES_ON: Final = (
    "INSERT INTO message SELECT 'msg_f3', session_id, 1767228000000, 1767228000000, "
    "replace(data, '1767226050000', '1767228000000') FROM message WHERE id = 'msg_f2'"
)
"""One more call of the session `ses_fork` in the sample of OpenCode, which had one."""

_TRANSCRIPTS = Path(__file__).parents[1] / "samples"
_OLDEST = {"claude": ".claude", "codex": ".codex"}
"""Kinds whose samples are older than those of `agent_samples`, and their folders."""


def use_agents() -> list[str]:
    """Write the samples into the default places of this home; return their kinds."""
    return [kind for kind in AGENTS if _write(kind)]


def _write(kind: str) -> bool:
    if kind in _OLDEST:
        shutil.copytree(_TRANSCRIPTS / kind, Path.home() / _OLDEST[kind])
        return True
    places = agent_folders(kind)
    if not places or not (SAMPLES / kind).is_dir():
        return False
    place = places[0]
    with tempfile.TemporaryDirectory() as folder:
        logs = sample(kind, Path(folder))
        inner = logs / place.name
        shutil.copytree(inner if inner.is_dir() else logs, place, dirs_exist_ok=True)
    try:
        return bool(transcript(kind).files(place))
    except NoLogs:
        return False
