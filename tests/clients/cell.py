"""One cell: one version of one client plays one scenario; what it left is read by every way, and judged."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from ledger.storage.directory_store import DirectoryStore
from tests.clients import sandbox
from tests.clients.anthropic_api import AnthropicHandler
from tests.clients.gemini_api import GeminiHandler
from tests.clients.http_fake import FakeApi, FakeHandler
from tests.clients.interruption import cut_documents
from tests.clients.openai_api import OpenAiHandler
from tests.clients.otlp_receiver import OtlpHandler, write_requests
from tests.clients.scenarios import SCENARIOS
from tests.clients.script import Script
from tests.clients.stage import Client, Stage
from tests.clients.verdict import ABSENT, BELOW, EXACT, WITH_CUT, WRONG, Outcome, Truth, whole, worst
from tests.clients.ways import LIVE, POSTED, PROGRAMS, WAYS, live

__all__ = ["TOGETHER", "Result", "judged", "played"]

TOGETHER: Final = "all together"


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one way of one cell.

    Attributes:
        detail: the sessions that are not exact, in dollars.
        why: why this way cannot show all of it.
    """

    client: str
    version: str
    scenario: str
    way: str
    verdict: str
    detail: str
    why: str | None
    seconds: float

    @property
    def is_wrong(self) -> bool:
        return self.verdict == WRONG or (self.verdict in (BELOW, ABSENT) and self.why is None)

    def document(self) -> dict[str, object]:
        return asdict(self)


def played(client: Client, version: str, scenario: str, folder: Path, executable: Path) -> None:
    """Let a client play a scenario in a folder; the truth is next to its records.

    Raises:
        RuntimeError: the client did not do its part.
    """
    if sandbox.is_isolated():
        sandbox.raise_loopback()
    chance = random.Random(f"{client.name} {version} {scenario}")
    script = Script(chance)
    with ExitStack() as running:
        handlers: dict[str, type[FakeHandler]] = {
            "anthropic": AnthropicHandler,
            "openai": OpenAiHandler,
            "gemini": GeminiHandler,
        }
        apis = {name: running.enter_context(FakeApi(handler, script).running()) for name, handler in handlers.items()}
        otlp = running.enter_context(FakeApi(OtlpHandler, script).running())
        base = {name: os.environ[name] for name in ("PATH",)} | {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
        stage = Stage(client, version, scenario, executable, folder, apis, otlp, base | sandbox.environment(), chance)
        if list(SCENARIOS).index(scenario) % 2:
            stage.protocols = ("http/protobuf", "http/json")
        stage.make()
        try:
            SCENARIOS[scenario].play(stage)
        finally:
            stage.finish()
            write_requests(otlp, folder / "otlp" / "requests")
            stage.write_truth()


def judged(client: Client, version: str, scenario: str, folder: Path, seconds: float) -> list[Result]:
    """Read what a client left by each way alone and by all together, and judge every row."""
    truth = Truth.read(folder)
    found = []
    for way in client.ways:
        if not _recorded(folder, way):
            continue
        store = DirectoryStore(folder / "data" / way.replace(" ", "-"), durability="none")
        ALL[way](store, folder, random.Random(1))
        found.append(_result(client, version, scenario, way, whole(store, truth), seconds))
    if any(way in PROGRAMS for way in client.ways):
        return found
    together = _together(client, folder, truth)
    return [*found, _result(client, version, scenario, TOGETHER, together, seconds)]


def _together(client: Client, folder: Path, truth: Truth) -> list[Outcome]:
    """Read by every way into one data directory: in random order, cut off at first, and some of it twice.

    Returns:
        The verdicts at the end; a row that was above the truth on the way, if there was one.
    """
    chance = random.Random(str(folder.name))
    ways = [way for way in client.ways if way not in PROGRAMS and _recorded(folder, way)]
    chance.shuffle(ways)
    if LIVE in ways and chance.random() < 0.5:  # it can only be where all others begin
        ways = [LIVE, *(way for way in ways if way != LIVE)]
    else:
        ways = [way for way in ways if way != LIVE]
    store = DirectoryStore(folder / "data" / "together", durability="none")
    above: list[Outcome] = []
    interrupted = _interrupted(folder, chance)
    for at, (way, source) in enumerate(
        [(way, interrupted) for way in ways] + [(way, folder) for way in [*ways, *ways[:2]] if way != LIVE]
    ):
        ALL[way](store, source, chance)
        above += [replace(one, kind=f"{WRONG} after step {at} ({way})") for one in whole(store, truth) if _above(one)]
    return above[:1] or whole(store, truth)


def _above(one: Outcome) -> bool:
    return one.kind == WRONG and one.row_nanousd > one.truth_nanousd


def _interrupted(folder: Path, chance: random.Random) -> Path:
    """Return a copy of a recording whose logs end somewhere, as when they are read while the client runs."""
    copy = folder / "interrupted"
    for name in ("homes", "streams", "otlp", "live"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, copy / name, symlinks=True)
    for file in [*folder.glob("*.log")]:
        shutil.copy(file, copy / file.name)
    for file in [*copy.rglob("*.jsonl"), *copy.glob("*.log"), copy / "otlp" / "requests"]:
        if file.is_file() and "live" not in file.relative_to(copy).parts:
            lines = file.read_bytes().splitlines(keepends=True)
            file.write_bytes(b"".join(lines[: chance.randint(len(lines) // 2, len(lines))]))
    cut_documents(copy / "homes", chance)
    return copy


ALL: Final = {**WAYS, **POSTED, **PROGRAMS, LIVE: live}


def _recorded(folder: Path, way: str) -> bool:
    """Return whether a client left any record of this way."""
    if way.startswith("OTLP"):
        media = {"OTLP JSON": '"application/json"', "OTLP protobuf": '"application/x-protobuf"'}[way]
        return media in (folder / "otlp" / "requests").read_text(encoding="utf-8")
    if way in PROGRAMS:
        return (folder / "ledgers" / way).exists()
    places = {"status line": "statusline.log", "hooks": "hooks.log", "live": "live", "stream logs": "streams/01.jsonl"}
    return (folder / places.get(way, ".")).exists()


def _result(client: Client, version: str, scenario: str, way: str, outcomes: list[Outcome], seconds: float) -> Result:
    verdict = worst(outcomes)
    limits = [limit for limit in client.limits if limit.concerns(version, scenario, way)]
    if verdict in (BELOW, ABSENT):
        limits = [limit for limit in limits if limit.explains(scenario)]
    why = limits[0].why if limits and verdict not in (EXACT, WITH_CUT, WRONG) else None
    detail = "; ".join(
        f"{one.session[:8]} {one.kind}: {one.row_nanousd / 1e9:.9f} of {one.truth_nanousd / 1e9:.9f}"
        for one in outcomes
        if one.kind != EXACT
    )
    return Result(client.name, version, scenario, way, verdict, detail, why, seconds)
