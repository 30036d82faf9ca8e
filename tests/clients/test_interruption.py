"""Logs that are cut in the middle: each still opens, and has a beginning of its messages."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.clients.interruption import cut_documents

MESSAGES = 8


def test_documents_files_and_databases_lose_their_last_messages(tmp_path: Path) -> None:
    chat = tmp_path / "1" / ".gemini" / "tmp" / "work" / "chats" / "session.json"
    stored = tmp_path / "1" / ".local" / "share" / "opencode" / "storage" / "message" / "ses_1"
    database = stored.parents[2] / "opencode.db"
    for folder in (chat.parent, stored):
        folder.mkdir(parents=True)
    chat.write_text(json.dumps({"messages": [{"id": at} for at in range(MESSAGES)]}), encoding="utf-8")
    for at in range(MESSAGES):
        (stored / f"msg_{at}.json").write_text("{}", encoding="utf-8")
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("CREATE TABLE message (id)")
        db.executemany("INSERT INTO message VALUES (?)", [(at,) for at in range(MESSAGES)])

    cut_documents(tmp_path, random.Random(1))

    left = [message["id"] for message in json.loads(chat.read_text(encoding="utf-8"))["messages"]]
    files = [int(path.stem.removeprefix("msg_")) for path in sorted(stored.iterdir())]
    with closing(sqlite3.connect(database)) as db:
        rows = [id for (id,) in db.execute("SELECT id FROM message ORDER BY id")]
    for found in (left, files, rows):
        assert found == list(range(len(found)))
        assert MESSAGES // 2 <= len(found) <= MESSAGES
    assert min(map(len, (left, files, rows))) < MESSAGES
