"""Where coding agents keep their logs here, and their readers, each imported when it is needed.

A command that finds nothing new only looks whether the default places exist, and imports no reader of an agent that was
never used here.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from ledger.errors import InvalidInput
from ledger.sources.agents import AGENTS
from ledger.sources.formats.folders import may_exist

if TYPE_CHECKING:
    from ledger.sources.transcript import Transcript

__all__ = ["agent_folders", "agent_reader"]

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+):-([^}]*)\}|(\w+))")


def agent_reader(kind: str) -> Transcript:
    """Return the reader of an agent's logs; its module is imported only now.

    Raises:
        InvalidInput: no such kind.
    """
    if kind not in AGENTS:
        raise InvalidInput(f"no transcripts are called {kind!r}; there are: {', '.join(AGENTS)}")
    module, _, name = AGENTS[kind].reader.partition(":")
    return cast("Transcript", getattr(import_module(f"ledger.sources.{module}"), name)(kind))


def agent_folders(kind: str, *, existing: bool = False) -> list[Path]:
    """Return the default folders of an agent's logs.

    Args:
        existing: only those that exist here, also where they cannot be read.
    """
    places = AGENTS[kind].places
    if not places and not AGENTS[kind].anywhere:
        reader = agent_reader(kind)
        return reader.existing_folders() if existing else reader.default_folders()
    found = [Path(path).expanduser() for place in places if (path := _expanded(place))]
    return [path for path in found if may_exist(path)] if existing else found


def _expanded(place: str) -> str:
    """A place with the variables of the environment in it; "" when one of them is not set."""
    unset = False

    def value(match: re.Match[str]) -> str:
        nonlocal unset
        found = os.environ.get(match[1] or match[3]) or match[2] or ""
        unset |= not found
        return found

    path = _VARIABLE.sub(value, place)
    return "" if unset else path
