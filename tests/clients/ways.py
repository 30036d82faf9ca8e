"""The ways in: how each kind of record that a client left behind gets into a data directory.

A recording is a folder: `homes/<n>/` (or `.codex/`), `streams/`, `otlp/`, `statusline.log`, `hooks.log`, `live/`.
"""

from __future__ import annotations

import base64
import json
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ledger.claude_code.spool import Spool
from ledger.config.schema import BudgetConfig
from ledger.errors import InvalidInput
from ledger.importing.importer import import_source
from ledger.pricing.genai_book import GenaiPrices
from ledger.sources import transcript
from ledger.storage.directory_store import DirectoryStore
from projections.claude_code.drain import drain

__all__ = ["LIVE", "POSTED", "PROGRAMS", "WAYS", "Way", "live"]

Way = Callable[[DirectoryStore, Path, random.Random], None]


def _homes(folder: Path) -> list[Path]:
    return sorted((folder / "homes").iterdir()) if (folder / "homes").is_dir() else []


def _transcripts(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    homes = [home for home in _homes(folder) if (home / ".claude").is_dir()]
    if chance.random() < 0.5:
        for home in homes:
            import_source(store, "claude", home / ".claude")
        return
    files = [file for home in homes for file in sorted((home / ".claude" / "projects").rglob("*.jsonl"))]
    chance.shuffle(files)
    for file in files:
        import_source(store, "claude", file)


def _streams(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    files = sorted(file for file in (folder / "streams").rglob("*.json*"))
    chance.shuffle(files)
    for file in files:
        try:
            import_source(store, "claude-stream", file)
        except InvalidInput as error:
            assert "names no session" in str(error)


def _telemetry(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    files = sorted((folder / "otlp").glob("*.jsonl")) + sorted(folder.glob("http-*.jsonl"))
    chance.shuffle(files)
    for file in files:
        import_source(store, "otlp", file)


def _otlp(media: str) -> Way:
    """Post the requests of one media type to the server, as they were received."""

    def post(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
        from starlette.testclient import TestClient

        from ledger.config.schema import Config
        from projections.history.sqlite.history import SqliteHistory
        from projections.server.app import create_app
        from projections.server.service.service import Service
        from projections.server.service.settings import Settings

        lines = (folder / "otlp" / "requests").read_text(encoding="utf-8").splitlines()
        requests = [request for request in map(json.loads, lines) if request["media"] == media]
        chance.shuffle(requests)
        data = store.path
        service = Service(
            Settings(data), lambda: SqliteHistory(data / "history.db"), config=Config(), prices=GenaiPrices()
        )
        with TestClient(create_app(service), base_url="http://127.0.0.1") as server:
            for request in requests:
                headers = {"content-type": media, "content-encoding": request["encoding"]}
                answer = server.post(request["path"], content=base64.b64decode(request["body"]), headers=headers)
                assert answer.status_code == 200, answer.text

    return post


def _status_lines(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    spool = Spool(str(store.path))
    for at, given in _recorded(folder / "statusline.log"):
        cost = given["cost"]
        line = {"at": _moment(at), "session_id": given["session_id"], "version": given["version"]}
        line |= {"project_dir": given["workspace"]["project_dir"], "counter_usd": str(cost["total_cost_usd"])}
        since = int(at * 1000) - cost["total_duration_ms"]
        spool.add(line | {"since_ms": since, "duration_ms": cost["total_duration_ms"]})
        if chance.random() < 0.2:
            drain(spool, store, GenaiPrices(), BudgetConfig())
    drain(spool, store, GenaiPrices(), BudgetConfig())


def _hooks(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    spool = Spool(str(store.path))
    for at, given in _recorded(folder / "hooks.log"):
        _, _, below = given["transcript_path"].partition("/homes/")
        path = folder / "homes" / below
        if path.is_file():
            cleared = {"cleared": True} if given.get("reason") == "clear" else {}
            spool.add({"at": _moment(at), "session_id": given["session_id"], "transcripts": [str(path)]} | cleared)
        if chance.random() < 0.1:
            drain(spool, store, GenaiPrices(), BudgetConfig())
    drain(spool, store, GenaiPrices(), BudgetConfig())


def live(store: DirectoryStore, folder: Path, _: random.Random) -> None:
    """Take the data directory that the installed status line and hooks wrote while the client ran."""
    shutil.copytree(folder / "live", store.path, dirs_exist_ok=True)
    drain(Spool(str(store.path)), store, GenaiPrices(), BudgetConfig())


def _rollouts(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    homes = [home / ".codex" for home in [*_homes(folder), folder] if (home / ".codex").is_dir()]
    files = [file for home in homes for file in sorted(home.rglob("rollout-*.jsonl"))]
    chance.shuffle(files)
    for file in files:
        import_source(store, "codex", file)


_PLACES: Final = {
    "gemini": ".gemini/tmp",
    "opencode": ".local/share/opencode",
    "qwen": ".qwen",
    "pi": ".pi/agent/sessions",
}
"""Where other agents have their logs, by kind."""


def _logs(store: DirectoryStore, folder: Path, chance: random.Random) -> None:
    for kind, place in _PLACES.items():
        for logs in [home / place for home in _homes(folder) if (home / place).is_dir()]:
            files = transcript(kind).files(logs)
            chance.shuffle(files)
            for file in files if chance.random() < 0.5 else [logs]:
                import_source(store, kind, file)


WAYS: Final[dict[str, Way]] = {
    "logs": _logs,
    "transcripts": _transcripts,
    "stream logs": _streams,
    "telemetry": _telemetry,
    "status line": _status_lines,
    "hooks": _hooks,
    "rollouts": _rollouts,
}

POSTED: Final[dict[str, Way]] = {
    "OTLP JSON": _otlp("application/json"),
    "OTLP protobuf": _otlp("application/x-protobuf"),
}
"""What clients sent to a server, in `otlp/requests`."""


def _ledgers(way: str) -> Way:
    """Take the data directory that a program wrote."""

    def take(store: DirectoryStore, folder: Path, _: random.Random) -> None:
        shutil.copytree(folder / "ledgers" / way, store.path, dirs_exist_ok=True)

    return take


PROGRAMS: Final[dict[str, Way]] = {
    name: _ledgers(name) for name in ("track", "charge", "callback", "spans", "openllmetry")
}
"""What a program recorded itself, in `ledgers/WAY`; these cannot be put into one data directory afterwards."""

LIVE: Final = "live"
"""The status line and the hooks as `costledger install claude-code` installs them, while the client runs."""


def _recorded(path: Path) -> Iterator[tuple[float, dict[str, Any]]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            at, _, given = line.partition("\t")
            yield float(at), json.loads(given)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
