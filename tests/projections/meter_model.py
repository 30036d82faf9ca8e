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
NO_FIGURES: list[Any] = [Fraction(0), *NO_TOKENS]


class MeterModel:
    """The cost and the tokens of every meter after all lines, and the latest activity."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.settled: dict[Path, Fraction] = {}
        self.settled_tokens: dict[Path, list[int]] = {}
        self.settled_unpriced: dict[Path, list[int]] = {}
        self.counted: dict[Path, list[Any]] = {}
        self.bases: dict[tuple[Path, str], list[Any]] = {}
        self.unpriced: dict[Path, list[int]] = {}
        self.unpriced_bases: dict[tuple[Path, str], list[int]] = {}
        self.unpriced_window: list[dict[str, Any]] = []
        self.subagents: dict[Path, str] = {}
        self.lacking: set[Path] = set()
        self.settled_lacking: set[Path] = set()
        self.window: list[dict[str, Any]] = []
        self.ended, self.run, self.status, self.run_start = False, 0, "running", ""
        self.started, self.restarted_at = False, ""
        self.restarted: dict[Path, dict[str, Any]] = {}
        self.floors: dict[Path, dict[str, Any]] = {}
        self.paths: set[Path] = {()}
        self.last_activity: str | None = None
        for line in lines:
            self.take(line)

    def take(self, line: dict[str, Any]) -> None:
        kind = line["type"]
        undated = kind == "workflow_started" and "source" in line and "observed_at" not in line
        if not undated and ("reason" not in line or kind != "cost_observed"):
            happened = line.get("spent_at") or line.get("observed_at") or line["recorded_at"]
            self.last_activity = max(self.last_activity or "", min(happened, line["recorded_at"]))
        if kind == "cost_observed":
            self.hear(line)
        elif kind == "workflow_started":
            self.start(line)
        elif line["run"] >= self.run:
            self.run, self.ended, self.status = line["run"], True, kind.removeprefix("workflow_")

    def start(self, line: dict[str, Any]) -> None:
        """A new run, or the program was started again in this one; an import starts no program."""
        if line["run"] < self.run or (self.ended and line["run"] == self.run):
            return
        self.run = line["run"]
        if self.ended:
            self.settle()
            self.run_start, self.started = moment(line)[0], False
        if "source" not in line:
            if self.started:
                self.restart()
                self.restarted_at = moment(line)[0]
            self.started = True

    def restart(self) -> None:
        """What each workflow, agent and model had read, had the run ended here."""
        self.ended = True
        words = {
            path: self.last_word(path) for path in self.paths if not {"session_id", "message_id"} & dict(path).keys()
        }
        self.restarted = {path: word for path, word in words.items() if word is not None}
        self.ended = False

    def hear(self, line: dict[str, Any]) -> None:
        path = path_of(line)
        self.paths |= {path[:length] for length in range(len(path) + 1)}
        if "subagent" in line:
            self.subagents[path] = min(self.subagents.get(path, line["subagent"]), line["subagent"])
        if "counter" in line:
            self.counted.setdefault(path, self.settled_figures(path))
        if "cost_usd" in line:
            again = usd(line) < self.settled.get(path, 0) and moment(line)[0] >= self.run_start
            if path in self.restarted and usd(line) < usd(self.restarted[path]):
                again = again or moment(line)[0] >= self.restarted_at
            correction = line.get("final") and "reason" in line
            if again and "counter" not in line and "message_id" not in line and not correction:
                self.lacking.add(path)
                if path in self.restarted:
                    self.floors[path] = self.restarted[path] | {"partial": True, "final": False}
                line = line | {"partial": True}
            self.window.append(line)
        elif "usage" not in line or any(usage_of(line)):
            if "counter" in line:
                self.unpriced_window.append(line)
            else:
                self.unpriced[path] = list(map(max, self.unpriced.get(path, NO_TOKENS), usage_of(line)))

    def settle(self) -> None:
        """A new run begins."""
        settled = {path: self.cost(path) for path in self.paths}
        tokens = {path: self.tokens(path) for path in self.paths}
        counted = {path: self.reached(path) for path in self.counted}
        uncovered = {path: usage for path in self.paths if (usage := self.uncovered(path)) is not None}
        self.settled_lacking, self.lacking = self.without_counter(), set()
        self.counted = {path: list(map(min, [settled[path], *tokens[path]], counted[path])) for path in counted}
        for path in self.paths:
            for counter in self.counters(path):
                base = self.bases.get((path, counter), NO_FIGURES)
                self.bases[path, counter] = list(map(max, base, figures_of(self.latest(path, counter))))
        for line in self.unpriced_window:
            key = (path_of(line), line["counter"])
            self.unpriced_bases[key] = list(map(max, self.unpriced_bases.get(key, NO_TOKENS), usage_of(line)))
        self.settled, self.settled_tokens, self.settled_unpriced = settled, tokens, uncovered
        self.unpriced = dict(uncovered)
        self.window, self.unpriced_window, self.ended, self.status = [], [], False, "running"
        self.restarted, self.floors = {}, {}

    def cost(self, path: Path) -> Fraction:
        chosen = self.chosen(path)
        return self.below(path) if chosen is None else usd(chosen)

    def chosen(self, path: Path) -> dict[str, Any] | None:
        """The reading that decides, or what the counters add up to, as a reading."""
        own = [line for line in self.window if path_of(line) == path and "counter" not in line]
        summed = [self.summed(path)] if self.counters(path) else []
        if not own and not summed:
            return None
        if not self.ended:
            highest = max([*own, *summed], key=standing)
            return highest if usd(highest) >= self.below(path) else None
        latest, word = max([*own, *summed], key=moment), self.last_word(path)
        assert word is not None
        later = [x for x in self.window if is_below(path_of(x), path) and moment(x) > moment(latest)]
        return word if (word.get("final") and not later) or usd(word) >= self.below(path) else None

    def last_word(self, path: Path) -> dict[str, Any] | None:
        """Its own figure once ended: no incomplete reading that lacks a counter is below what was read before."""
        own = [line for line in self.window if path_of(line) == path and "counter" not in line]
        latest = max([*own, *([self.summed(path)] if self.counters(path) else [])], key=moment, default=None)
        floor, final = self.floors.get(path), self.word(path)
        if latest is None or floor is None or usd(latest) >= usd(floor):
            return latest
        return latest if final is not None and not final.get("partial") else floor

    def counters(self, path: Path) -> list[str]:
        """Those that were read in this run."""
        return sorted({line["counter"] for line in self.window if path_of(line) == path and "counter" in line})

    def latest(self, path: Path, counter: str, before: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The latest reading of a counter, or the latest that a reading without one takes the place of."""
        own = [line for line in self.window if path_of(line) == path and line.get("counter") == counter]
        if before is not None:
            own = [x for x in own if x["seq"] < before["seq"] or moment(x) < moment(before)]
        return max(own, key=moment, default=None)

    def word(self, path: Path) -> dict[str, Any] | None:
        """The latest reading without a counter, when it is final."""
        own = [line for line in self.window if path_of(line) == path and "counter" not in line]
        latest = max(own, key=moment, default=None)
        return latest if latest is not None and latest.get("final") else None

    def summed(self, path: Path) -> dict[str, Any]:
        read = [self.latest(path, counter) for counter in self.counters(path)]
        at = max(moment(line) for line in read if line is not None)
        word = self.word(path) if self.ended else None
        settled = self.settled_figures(path)
        if not self.ended:
            read = [self.highest(path, counter) for counter in self.counters(path)]
        pairs = list(zip(self.counters(path), read, strict=True))
        old = [grown(line, self.bases[path, name]) for name, line in pairs if (path, name) in self.bases]
        new = [grown(line, NO_FIGURES) for name, line in pairs if (path, name) not in self.bases]
        earlier = list(map(max, settled, total([self.counted[path], *old])))
        cost, *tokens = total([earlier, *new])
        usage = tokens if any("usage" in line for _, line in pairs if line) else None
        _, *more = total([NO_FIGURES, *old, *new])
        sums: dict[str, Any] = {"counters": True, "grown": more}
        if word is not None:
            pairs = [(name, line) for name, line in pairs if line != self.latest(path, name, word)]
            (cost, *tokens), usage = self.on_top(path, word), usage_of(word) if "usage" in word else usage
            usage = tokens if "usage" in word else usage
            sums = {}
        lines = [line for _, line in pairs if line is not None]
        spoken = lines if word is None else [*lines, word]
        sums |= {"cost_usd": cost, "observed_at": at[0], "seq": at[1], "final": all(x.get("final") for x in lines)}
        sums |= {"cost_source": "reported" if all(x["cost_source"] != "priced" for x in spoken) else "priced"}
        sums |= {"partial": any(x.get("partial") for x in spoken)}
        return sums if usage is None else sums | {"usage": dict(zip(USAGE, usage, strict=True))}

    def settled_figures(self, path: Path) -> list[Any]:
        return [self.settled.get(path, Fraction(0)), *self.settled_tokens.get(path, NO_TOKENS)]

    def highest(self, path: Path, counter: str) -> dict[str, Any]:
        own = [line for line in self.window if path_of(line) == path and line.get("counter") == counter]
        return max(own, key=standing)

    def on_top(self, path: Path, word: dict[str, Any]) -> list[Any]:
        """What a final reading without a counter and the growth of counters since come to."""
        since = []
        for counter in self.counters(path):
            then = self.latest(path, counter, word)
            base = self.bases.get((path, counter), NO_FIGURES) if then is None else figures_of(then)
            latest = self.latest(path, counter)
            since.append(grown(latest, base) if latest != then else NO_FIGURES)
        return total([figures_of(word), *since])

    def reached(self, path: Path) -> list[Any]:
        """How much the counters account for, once ended."""
        pairs = [(counter, self.latest(path, counter)) for counter in self.counters(path)]
        plain = total(
            [self.counted[path], *[grown(line, self.bases.get((path, name), NO_FIGURES)) for name, line in pairs]]
        )
        word = self.word(path)
        if word is None:
            return plain
        since = self.on_top(path, word)
        return since if "usage" in word else [since[0], *plain[1:]]

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
        return list(map(max, tokens, self.uncovered(path) or NO_TOKENS))

    def unpriced_usage(self, path: Path) -> list[int] | None:
        counted: dict[str, list[int]] = {}
        for line in self.unpriced_window:
            if path_of(line) == path:
                name = line["counter"]
                counted[name] = list(map(max, counted.get(name, NO_TOKENS), usage_of(line)))
        if not counted:
            return self.unpriced.get(path)
        more = [
            [
                max(0, now - then)
                for now, then in zip(use, self.unpriced_bases.get((path, name), NO_TOKENS), strict=True)
            ]
            for name, use in counted.items()
        ]
        summed = total([self.settled_unpriced.get(path, NO_TOKENS), *more])
        return list(map(max, self.unpriced.get(path, NO_TOKENS), summed))

    def uncovered(self, path: Path) -> list[int] | None:
        """Its usage that no price covers; a sum of counters covers none of earlier runs."""
        unpriced = self.unpriced_usage(path)
        if unpriced is None:
            return None
        above = [self.chosen(path[:length]) for length in range(len(path))]
        covering = [line for line in above if line is not None]
        chosen, carried = self.chosen(path), self.settled_unpriced.get(path)
        if chosen is not None:
            usage, left = usage_of(chosen), unpriced
            if "counters" in chosen:
                usage = chosen["grown"]
                left = [all_ - then for all_, then in zip(unpriced, carried or NO_TOKENS, strict=True)]
            if chosen.get("final") or ("usage" in chosen and all(map(int.__ge__, usage, left))):
                covering.append(chosen)
        if any("counters" not in line for line in covering):
            return None
        return carried if covering else unpriced

    def without_counter(self) -> set[Path]:
        """The meters that lack a counter, and whose figure nothing replaces; a sum above, only that of this run."""
        found = set()
        for path in self.lacking | self.settled_lacking:
            own = self.chosen(path)
            if own and own.get("final") and not own.get("partial") and "counters" not in own:
                continue
            above = [line for length in range(len(path)) if (line := self.chosen(path[:length])) is not None]
            absolute = any("counters" not in line for line in above)
            if not absolute and (path in self.settled_lacking or not above):
                found.add(path)
        return found

    def unpriced_tokens(self, path: Path) -> int:
        below = sum(self.unpriced_tokens(child) for child in self.children(path))
        uncached, writes, _, reads, output, _ = self.uncovered(path) or NO_TOKENS
        return max(below, uncached + writes + reads + output)

    def figures(self, path: Path) -> list[int]:
        """Nanodollars, tokens, unpriced tokens; what telescopes."""
        return [int(self.cost(path) * 10**9), *self.tokens(path), self.unpriced_tokens(path)]

    def breakdown(self) -> Counter[tuple[Any, ...]]:
        """What each meter contributes, by agent, session, model and which figure; no zeros."""
        found: Counter[tuple[Any, ...]] = Counter()
        for path in self.paths:
            names = dict(path)
            if path in self.subagents:
                names["agent"] = self.subagents[path]
            key = tuple(names.get(level) for level in LEVELS[:3])
            parts = [self.figures(child) for child in self.children(path)]
            for place, (whole, *below) in enumerate(zip(self.figures(path), *parts, strict=True)):
                found[(*key, place)] += whole - sum(below)
            found[(*key, "unpriced_events")] += self.uncovered(path) is not None
        return Counter({key: figure for key, figure in found.items() if figure})


def usd(line: dict[str, Any]) -> Fraction:
    return Fraction(line["cost_usd"])


def usage_of(line: dict[str, Any]) -> list[int]:
    usage = line.get("usage", {})
    return [usage.get(name, 0) for name in USAGE]


def figures_of(line: dict[str, Any] | None) -> list[Any]:
    return NO_FIGURES if line is None else [usd(line), *usage_of(line)]


def grown(line: dict[str, Any] | None, base: list[Any]) -> list[Any]:
    """By how much a reading is above what its counter had read before."""
    return [max(0, now - then) for now, then in zip(figures_of(line), base, strict=True)]


def total(parts: list[list[Any]]) -> list[Any]:
    return [sum(column) for column in zip(*parts, strict=True)]


def standing(line: dict[str, Any]) -> tuple[Any, ...]:
    """Which of two readings of a meter is the higher one: by cost, then reported, complete, final, usage."""
    reported, complete = line["cost_source"] != "priced", not line.get("partial")
    return usd(line), reported, complete, bool(line.get("final")), usage_of(line) if "usage" in line else []


def moment(line: dict[str, Any]) -> tuple[str, int]:
    return line.get("observed_at") or line["recorded_at"], line["seq"]


def is_below(path: Path, above: Path) -> bool:
    return len(path) > len(above) and path[: len(above)] == above
