"""The results of the campaign, one line each in `results.jsonl`, and the part of `docs/conformance.md` made of them."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.clients.cell import Result
from tests.clients.scenarios import SCENARIOS
from tests.clients.stage import numbered
from tests.clients.verdict import ABSENT, BELOW, EXACT, EXACT_AT_LEAST, KINDS, WITH_CUT, WRONG, Outcome

__all__ = ["PAGE", "RESULTS", "counted", "page", "record", "rendered"]

RESULTS: Final = Path(__file__).with_name("results.jsonl")
PAGE: Final = Path(__file__).parents[2] / "docs" / "conformance.md"

_BEGIN, _END = "<!-- Written by `python -m tests.clients --record` -->", "<!-- End of what it writes -->"
_SHORT: Final = {
    EXACT: "exact",
    EXACT_AT_LEAST: "exact, at least",
    BELOW: "below, at least",
    WITH_CUT: "with a cut call",
    ABSENT: "no row",
    WRONG: "**WRONG**",
}

Recorded = dict[str, Any]


def record(results: Iterable[Result]) -> None:
    """Put results in the place of earlier ones of the same cells, and write the page."""
    with RESULTS.open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _replace(results)
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _replace(results: Iterable[Result]) -> None:
    today, fields = f"{datetime.now(UTC):%Y-%m-%d}", ("client", "version", "scenario", "way", "verdict", "why")
    given = [result.document() | {"date": today, "seconds": round(result.seconds)} for result in results]
    replaced = {_key(one)[:3] for one in given}
    stored = {_key(one): one for one in _read() if _key(one)[:3] not in replaced}
    stored |= {_key(one): {name: one[name] for name in (*fields, "date", "seconds")} for one in given}
    lines = [json.dumps(stored[key], ensure_ascii=False) for key in sorted(stored)]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read() -> list[Recorded]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def _key(one: Recorded) -> tuple[str, ...]:
    return one["client"], one["version"], one["scenario"], one["way"]


def page(text: str) -> str:
    """Return the page with the tables of the stored results."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{rendered(_read())}\n\n{_END}{after}"


def rendered(results: list[Recorded]) -> str:
    """Return a table for each version of each client: scenarios by ways."""
    versions = {(one["client"], one["version"]) for one in results}
    newest_first = sorted(versions, key=lambda one: (one[0], [-part for part in numbered(one[1])]))
    known = [f"| {scenario.name} | {scenario.sentence} |" for scenario in SCENARIOS.values()]
    scenarios = "\n".join(["| scenario | what happens |", "|---|---|", *known])
    return "\n\n".join([scenarios, *(_table(client, version, results) for client, version in newest_first)])


def _table(client: str, version: str, results: list[Recorded]) -> str:
    own = {
        (one["scenario"], one["way"]): one for one in results if (one["client"], one["version"]) == (client, version)
    }
    ways = list(dict.fromkeys(one["way"] for one in sorted(own.values(), key=lambda one: _WAYS.index(one["way"]))))
    reasons: list[str] = []
    rows = []
    for scenario in SCENARIOS:
        if any(key[0] == scenario for key in own):
            found = [_cell(own.get((scenario, way)), reasons) for way in ways]
            rows.append(f"| {scenario} | {' | '.join(found)} |")
    dates = sorted({one["date"] for one in own.values()})
    head = f"### {client} {version}\n\nRun on {' and '.join(dict.fromkeys((dates[0], dates[-1])))}.\n"
    lines = [head, f"| scenario | {' | '.join(ways)} |", f"|---|{'---|' * len(ways)}", *rows]
    lines += [""] + [f"{at}. {reason}" for at, reason in enumerate(reasons, 1)] if reasons else []
    return "\n".join(lines)


_WAYS: Final = (
    "track",
    "charge",
    "callback",
    "spans",
    "openllmetry",
    "transcripts",
    "rollouts",
    "logs",
    "stream logs",
    "OTLP JSON",
    "OTLP protobuf",
    "status line",
    "hooks",
    "live",
    "all together",
)


def _cell(one: Recorded | None, reasons: list[str]) -> str:
    if one is None:
        return "—"
    why = one["why"]
    if why is None:
        return _SHORT[one["verdict"]]
    if why not in reasons:
        reasons.append(why)
    return f"{_SHORT[one['verdict']]} ({reasons.index(why) + 1})"


def counted(rows: list[tuple[str, str, list[Outcome]]]) -> str:
    """Return a table of recorded clients and ways in: how many rows there are of each verdict."""
    lines = [f"| client | read from | {' | '.join(KINDS)} |", f"|---|---|{'---:|' * len(KINDS)}"]
    for client, way, found in rows:
        counts = [sum(outcome.kind == kind for outcome in found) for kind in KINDS]
        if found:
            lines.append(f"| {client} | {way} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)
