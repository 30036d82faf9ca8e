"""Logs as they are in the middle of a session, made of whole ones: lines, messages and rows that are not there yet."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["cut_documents"]


def cut_documents(homes: Path, chance: random.Random) -> None:
    """Take the last messages out of the documents and databases below a folder, as many as chance says.

    A log of lines is cut elsewhere. Here: a document with `messages` (Gemini CLI), a file for each message and a
    database of messages (OpenCode).
    """
    for file in sorted(homes.rglob("chats/**/*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        messages = document["messages"]
        document["messages"] = messages[: chance.randint(len(messages) // 2, len(messages))]
        file.write_text(json.dumps(document), encoding="utf-8")
    for session in sorted(homes.rglob("storage/message/*")):
        files = sorted(session.glob("*.json"))
        for file in files[chance.randint(len(files) // 2, len(files)) :]:
            file.unlink()
    for file in sorted(homes.rglob("*.db")):
        with closing(sqlite3.connect(file)) as db, db:
            (count,) = db.execute("SELECT count(*) FROM message").fetchone()
            left = chance.randint(count // 2, count)
            db.execute(
                "DELETE FROM message WHERE rowid NOT IN (SELECT rowid FROM message ORDER BY rowid LIMIT ?)", [left]
            )
