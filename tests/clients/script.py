"""What a fake API answers: words in a prompt say it, so that a scenario is readable where its prompts are.

| word | answer |
|---|---|
| `USE_BASH` | a call of the client's shell tool; `TWICE`: two, one after the other |
| `USE_TASK` | a sub-agent that uses the shell; `TASKS_2`: two at once |
| `USE_SEARCH` | a web search, by the client's tool or the API's own |
| `ERR429`, `ERR529`, `ERR500` | this error, two times; then the answer |
| `DROP` | the first stream is cut in the middle, the second is whole |
| `SLOW` | a stream that goes on until its client is killed; once |
| `BIG_CONTEXT` | more than 200,000 cached tokens read |
| `CACHE_5M`, `CACHE_1H`, `CACHE_NONE` | only cache writes of this lifetime; no cache at all |
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["COMPACTION", "SUB_JOB", "Script", "Step"]

SUB_JOB: Final = "SUB_JOB USE_BASH please"
"""The prompt of a sub-agent."""

COMPACTION: Final = "(a summary of the session)"
"""What stands for the prompt by which a client has its session summarised."""

_ERRORS: Final = 2
"""How often a request with an error in its prompt is refused."""

Action = Literal["text", "bash", "task", "search"]


@dataclass(frozen=True, slots=True)
class Step:
    """One answer."""

    action: Action = "text"
    count: int = 1
    error: int | None = None
    slow: bool = False
    drop: bool = False


@dataclass
class Script:
    """Decides the answers, and draws the figures of their usage.

    Attributes:
        chance: seeded by the cell, so that a cell's figures are the same whenever it runs.
    """

    chance: random.Random
    _counts: Counter[tuple[str, str | None, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, prompt: str, results: int, session: str | None = None) -> Step:
        """Return the answer to a prompt.

        Args:
            results: how many rounds of tool results follow the prompt.
        """
        found = re.search(r"\bERR(\d{3})\b", prompt)
        if found and self._times("error", session, prompt) <= _ERRORS:
            return Step(error=int(found[1]))
        drop = "DROP" in prompt and results == 0 and self._times("drop", session, prompt) == 1
        if results == 0 and "USE_TASK" in prompt:
            return Step("task", count=2 if "TASKS_2" in prompt else 1, drop=drop)
        if results == 0 and "USE_SEARCH" in prompt:
            return Step("search", drop=drop)
        if "USE_BASH" in prompt and results < (2 if "TWICE" in prompt else 1):
            return Step("bash", drop=drop)
        slow = (
            "SLOW" in prompt and self._times("slow", None, "") == 1
        )  # a client may repeat the prompt when it is resumed
        return Step(slow=slow, drop=drop)

    def _times(self, what: str, session: str | None, prompt: str) -> int:
        with self._lock:
            self._counts[what, session, prompt[-200:]] += 1
            return self._counts[what, session, prompt[-200:]]

    def between(self, low: int, high: int) -> int:
        with self._lock:
            return self.chance.randint(low, high)
