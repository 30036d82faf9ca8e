"""How many of our files four ways enter: a request that appends, one that reads, an append by the command, an import.

The first is of a workflow that has events already, as most requests are.
A file is entered when one of its functions is called. Each way is taken several times in one process, and only files
that every round after the first enters are counted, so imports are not; nor are the server's background threads.
Usage: python benchmarks/ways.py [--files]
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Final

import httpx

from projections.cli.app import main
from projections.history.sqlite.history import SqliteHistory
from projections.server.asgi import http_server
from projections.server.service.service import Service
from projections.server.service.settings import Settings

_PROJECT: Final = Path(__file__).resolve().parent.parent
_OURS: Final = tuple(f"{_PROJECT / package}/" for package in ("ledger", "projections"))
_ROUNDS: Final = 5
_PAUSE_SECONDS: Final = 0.3
"""Before each round: what the one before has set off in the background is over."""

_FUNCTION: Final = 0x1
"""`inspect.CO_OPTIMIZED`: the code of a function, not that of a module or a class."""

_BACKGROUND: Final = frozenset({"row refresher", "ledger watcher", "follower"})
"""Threads of the server that work for no request."""

_entered: set[str] = set()


def _note(frame: FrameType, event: str, argument: object) -> None:  # noqa: ARG001
    """A profile function: note the file of a function that is called."""
    code = frame.f_code
    is_ours = event == "call" and code.co_flags & _FUNCTION and code.co_filename.startswith(_OURS)
    if is_ours and threading.current_thread().name not in _BACKGROUND:
        _entered.add(code.co_filename)


def files_entered(way: Callable[[int], None]) -> set[str]:
    """Return our files that each round of a way enters, in this thread and in those started under `_note`.

    Args:
        way: called with the number of the round.
    """
    rounds: list[set[str]] = []
    for number in range(_ROUNDS + 1):
        time.sleep(_PAUSE_SECONDS)
        _entered.clear()
        sys.setprofile(_note)
        try:
            way(number)
        finally:
            sys.setprofile(None)
        rounds.append(set(_entered))
    return set.intersection(*rounds[1:])


def command(*arguments: str) -> None:
    """Run a command in this process."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as ended:
            assert not ended.code, (arguments, ended.code)


@contextmanager
def served(data: Path) -> Iterator[httpx.Client]:
    """Serve a data directory in threads of this process, which note what they enter."""
    server = http_server(Service(Settings(data), lambda: SqliteHistory(data / "history.db")))
    listening = socket.create_server(("127.0.0.1", 0))
    threading.setprofile(_note)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=20) as client:
            yield client
    finally:
        threading.setprofile(None)
        server.should_exit = True
        thread.join()
        listening.close()


def transcript(folder: Path, number: int) -> None:
    """Write a Claude Code transcript of ten responses."""
    session = f"{number:08x}-0000-4000-8000-000000000000"
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 1200, "cache_read_input_tokens": 9000}
    lines = [
        {
            "type": "assistant",
            "sessionId": session,
            "cwd": "/home/dev/shop",
            "version": "2.0.37",
            "timestamp": f"2026-08-01T08:{minute:02}:00.000Z",
            "uuid": f"{number:08x}-0000-4000-8000-{minute:012x}",
            "requestId": f"req_{number}_{minute}",
            "message": {
                "id": f"msg_{number}_{minute}",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5-20250929",
                "content": [{"type": "text", "text": "Done."}],
                "stop_reason": "end_turn",
                "usage": usage | {"output_tokens": 100 + minute},
            },
        }
        for minute in range(10)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{session}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def ways(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each way and the files that it enters."""
    with served(folder / "served") as client:

        def append(number: int) -> None:
            event = {"type": "cost_observed", "workflow_id": "w", "agent": "plan", "cost_usd": f"0.{number + 1}"}
            assert client.post("/api/events", json=event).status_code == HTTPStatus.CREATED

        yield "POST /api/events", files_entered(append)

        def history(number: int) -> None:  # noqa: ARG001
            client.get("/api/workflow-history").raise_for_status()

        yield "GET /api/workflow-history", files_entered(history)

    data = folder / "data"

    def observe(number: int) -> None:
        command("--data", str(data), "observe", f"w{number}", "--agent", "plan", "--cost-usd", "0.09")

    yield "costledger observe", files_entered(observe)

    def import_three(number: int) -> None:
        projects = folder / "claude" / str(number)
        for each in range(3):
            transcript(projects / "-home-dev-shop", 3 * number + each)
        command("--data", str(data), "import", "claude", str(projects))

    yield "costledger import, three transcripts", files_entered(import_three)


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        for name, files in ways(Path(made)):
            print(f"{len(files):3}  {name}")
            if "--files" in sys.argv:
                print(*(f"       {Path(file).relative_to(_PROJECT)}" for file in sorted(files)), sep="\n")
