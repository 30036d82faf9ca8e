"""The meaning of a cost and of its tokens, written a second time and naively: from all lines, with fractions.

Nothing here is incremental and nothing is shared with the fold; it follows the formulae of the design word by word.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

Path = tuple[tuple[str, str], ...]
LEVELS = ("agent", "session_id", "model", "message_id")


def path_of(line: dict[str, Any]) -> Path:
    return tuple((level, line[level]) for level in LEVELS if level in line)


def parent_of(path: Path) -> Path:
    return path[:-1]


USAGE = (
    "input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "output_tokens",
    "web_search_requests",
)
NO_TOKENS = [0] * len(USAGE)


class MeterModel:
    """The cost and the tokens of every meter after all lines, and the latest activity."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.settled: dict[Path, Fraction] = {}
        self.settled_tokens: dict[Path, list[int]] = {}
        self.unpriced: dict[Path, list[int]] = {}
        self.window: list[dict[str, Any]] = []
        self.ended, self.run, self.status = False, 0, "running"
        self.paths: set[Path] = {()}
        self.last_activity: str | None = None
        for line in lines:
            self.take(line)

    def take(self, line: dict[str, Any]) -> None:
        kind = line["type"]
        if "reason" not in line or kind != "cost_observed":
            happened = line.get("spent_at") or line.get("observed_at") or line["recorded_at"]
            self.last_activity = max(self.last_activity or "", min(happened, line["recorded_at"]))
        if kind == "cost_observed":
            path = path_of(line)
            self.paths |= {path[:length] for length in range(len(path) + 1)}
            if "cost_usd" in line:
                self.window.append(line)
            elif "usage" not in line or any(usage_of(line)):
                self.unpriced[path] = list(map(max, self.unpriced.get(path, NO_TOKENS), usage_of(line)))
        elif kind == "workflow_started":
            if line["run"] > self.run:
                if self.ended:
                    tokens = {path: self.tokens(path) for path in self.paths}
                    self.unpriced = {path: use for path, use in self.unpriced.items() if self.uncovered(path)}
                    self.settled, self.settled_tokens = {path: self.cost(path) for path in self.paths}, tokens
                    self.window, self.ended, self.status = [], False, "running"
                self.run = line["run"]
        elif line["run"] >= self.run:
            self.run, self.ended, self.status = line["run"], True, kind.removeprefix("workflow_")

    def cost(self, path: Path) -> Fraction:
        chosen = self.chosen(path)
        return self.below(path) if chosen is None else usd(chosen)

    def chosen(self, path: Path) -> dict[str, Any] | None:
        own = [line for line in self.window if path_of(line) == path]
        if not own:
            return None
        if not self.ended:
            highest = max(own, key=standing)
            return highest if usd(highest) >= self.below(path) else None
        latest = max(own, key=moment)
        later = [x for x in self.window if is_below(path_of(x), path) and moment(x) > moment(latest)]
        return latest if (latest.get("final") and not later) or usd(latest) >= self.below(path) else None

    def children(self, path: Path) -> list[Path]:
        return sorted(p for p in self.paths if p and parent_of(p) == path)

    def below(self, path: Path) -> Fraction:
        grown = [self.cost(child) - self.settled.get(child, Fraction(0)) for child in self.children(path)]
        return max(Fraction(0), self.settled.get(path, Fraction(0)) + sum(grown, Fraction(0)))

    def tokens(self, path: Path) -> list[int]:
        tokens = list(self.settled_tokens.get(path, NO_TOKENS))
        for child in self.children(path):
            settled = self.settled_tokens.get(child, NO_TOKENS)
            tokens = [old + now - then for old, now, then in zip(tokens, self.tokens(child), settled, strict=True)]
        tokens = [max(0, count) for count in tokens]
        chosen = self.chosen(path)
        if chosen and "usage" in chosen and (usd(chosen) != self.below(path) or not any(tokens)):
            tokens = usage_of(chosen)
        return list(map(max, tokens, self.unpriced[path])) if self.uncovered(path) else tokens

    def uncovered(self, path: Path) -> bool:
        """Whether it has usage that no price covers."""
        chosen = self.chosen(path)
        if path not in self.unpriced or any(self.chosen(path[:length]) for length in range(len(path))):
            return False
        if chosen is None:
            return True
        enough = all(map(int.__ge__, usage_of(chosen), self.unpriced[path]))
        return not (chosen.get("final") or ("usage" in chosen and enough))

    def unpriced_tokens(self, path: Path) -> int:
        below = sum(self.unpriced_tokens(child) for child in self.children(path))
        uncached, writes, _, reads, output, _ = self.unpriced[path] if self.uncovered(path) else NO_TOKENS
        return max(below, uncached + writes + reads + output)

    def figures(self, path: Path) -> list[int]:
        """Nanodollars, tokens, unpriced tokens; what telescopes."""
        return [int(self.cost(path) * 10**9), *self.tokens(path), self.unpriced_tokens(path)]

    def breakdown(self) -> Counter[tuple[Any, ...]]:
        """What each meter contributes, by agent, session, model and which figure; no zeros."""
        found: Counter[tuple[Any, ...]] = Counter()
        for path in self.paths:
            names = dict(path)
            key = tuple(names.get(level) for level in LEVELS[:3])
            parts = [self.figures(child) for child in self.children(path)]
            for place, (whole, *below) in enumerate(zip(self.figures(path), *parts, strict=True)):
                found[(*key, place)] += whole - sum(below)
            found[(*key, "unpriced_events")] += self.uncovered(path)
        return Counter({key: figure for key, figure in found.items() if figure})


def usd(line: dict[str, Any]) -> Fraction:
    return Fraction(line["cost_usd"])


def usage_of(line: dict[str, Any]) -> list[int]:
    usage = line.get("usage", {})
    return [usage.get(name, 0) for name in USAGE]


def standing(line: dict[str, Any]) -> tuple[Any, ...]:
    """Which of two readings of a meter is the higher one: by cost, then reported, complete, final, usage."""
    reported, complete = line["cost_source"] != "priced", not line.get("partial")
    return usd(line), reported, complete, bool(line.get("final")), usage_of(line) if "usage" in line else []


def moment(line: dict[str, Any]) -> tuple[str, int]:
    return line.get("observed_at", line["recorded_at"]), line["seq"]


def is_below(path: Path, above: Path) -> bool:
    return len(path) > len(above) and path[: len(above)] == above
