"""What all programs share: a job with its prompt, and its workflow in one data directory for each way."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger import workflow
from ledger.capture.workflow import Workflow

__all__ = ["CALLS", "COMMAND", "Job", "run_shell_command"]

CALLS: Final = 4
"""How many calls are made at once."""

COMMAND: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"command": {"type": "string"}, "description": {"type": "string"}},
    "required": ["command", "description"],
}
"""The schema of the only tool."""


def run_shell_command(command: str, description: str) -> str:
    """Run a command.

    Args:
        command: what to run.
        description: why.
    """
    return f"{command}: {description}"


@dataclass
class Job:
    """What one process does, and the ledgers that it writes."""

    prompt: str
    workflow_id: str
    ways: ExitStack
    _open: dict[str, Workflow] = field(default_factory=dict)

    @classmethod
    def run(cls, work: Callable[[Job], object]) -> None:
        """Do the job that the arguments name; print its workflow first, as a client prints its session."""
        prompt, workflow_id = sys.argv[1:]
        print(json.dumps({"session_id": workflow_id}), flush=True)
        try:
            with ExitStack() as ways:
                work(cls(prompt, workflow_id, ways))
        except BaseException as error:
            print(json.dumps({"failed": repr(error)}), flush=True)
            raise

    def says(self, *words: str) -> bool:
        return any(word in self.prompt for word in words)

    @property
    def is_streamed(self) -> bool:
        return self.says("STREAM", "DROP", "SLOW")

    @property
    def headers(self) -> dict[str, str]:
        """Return what names the workflow to the API, whose truth is by workflow."""
        return {"x-session-id": self.workflow_id}

    @staticmethod
    def address(api: str) -> str:
        return os.environ[f"{api.upper()}_ADDRESS"]

    def way(self, name: str) -> Workflow:
        """Return the workflow in the data directory of a way."""
        if name not in self._open:
            run = workflow(self.workflow_id, data=Path(os.environ["LEDGERS"]) / name)
            self._open[name] = self.ways.enter_context(run)
        return self._open[name]

    def charge(self, response: object, **meter: Any) -> None:
        """Charge a response, and once more, which adds nothing."""
        for _ in range(2):
            self.way("charge").charge(response, agent="main", **meter)

    # Several calls at once

    def in_threads(self, call: Callable[[str], object]) -> None:
        with ThreadPoolExecutor(CALLS) as pool:
            list(pool.map(call, self.prompts))

    async def in_tasks(self, call: Callable[[str], Coroutine[Any, Any, object]]) -> None:
        await asyncio.gather(*map(call, self.prompts))

    @property
    def prompts(self) -> list[str]:
        return [f"{self.prompt}, number {at}" for at in range(CALLS)]

    @staticmethod
    def until_whole(call: Callable[[], Any]) -> Any:
        """Call again when a stream breaks; any other error comes again."""
        try:
            return call()
        except Exception:
            return call()
