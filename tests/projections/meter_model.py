"""The meaning of a cost, written a second time and naively: from the whole list of lines, with fractions.

Nothing here is incremental and nothing is shared with the fold; it follows the formulae of the design word by word.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

Path = tuple[tuple[str, str], ...]
LEVELS = ("agent", "session_id", "model", "message_id")


def path_of(line: dict[str, Any]) -> Path:
    return tuple((level, line[level]) for level in LEVELS if level in line)


def parent_of(path: Path) -> Path:
    return path[:-1]


class MeterModel:
    """The cost of every meter after all lines."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.settled: dict[Path, Fraction] = {}
        self.window: list[dict[str, Any]] = []
        self.ended, self.run, self.status = False, 0, "running"
        self.paths: set[Path] = {()}
        for line in lines:
            self.take(line)

    def take(self, line: dict[str, Any]) -> None:
        kind = line["type"]
        if kind == "cost_observed":
            path = path_of(line)
            self.paths |= {path[:length] for length in range(len(path) + 1)}
            if "cost_usd" in line:
                self.window.append(line)
        elif kind == "workflow_started":
            if line["run"] > self.run:
                if self.ended:
                    self.settled = {path: self.cost(path) for path in self.paths}
                    self.window, self.ended, self.status = [], False, "running"
                self.run = line["run"]
        elif line["run"] >= self.run:
            self.run, self.ended, self.status = line["run"], True, kind.removeprefix("workflow_")

    def cost(self, path: Path) -> Fraction:
        own = [line for line in self.window if path_of(line) == path]
        if not own:
            return self.below(path)
        if not self.ended:
            return max(max(usd(line) for line in own), self.below(path))
        latest = max(own, key=moment)
        later = [x for x in self.window if is_below(path_of(x), path) and moment(x) > moment(latest)]
        if latest.get("final") and not later:
            return usd(latest)
        return max(usd(latest), self.below(path))

    def below(self, path: Path) -> Fraction:
        children = {p for p in self.paths if p and parent_of(p) == path}
        grown = sum((self.cost(child) - self.settled.get(child, Fraction(0)) for child in children), Fraction(0))
        return max(Fraction(0), self.settled.get(path, Fraction(0)) + grown)


def usd(line: dict[str, Any]) -> Fraction:
    return Fraction(line["cost_usd"])


def moment(line: dict[str, Any]) -> tuple[str, int]:
    return line.get("observed_at", line["recorded_at"]), line["seq"]


def is_below(path: Path, above: Path) -> bool:
    return len(path) > len(above) and path[: len(above)] == above
