"""Titles in transcripts of sessions."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.sources.titles import TITLE_CHARACTERS_MAX, one_line, title_of
from tests.ledger.session_titles import FIRST, compact, prompt, titled
from tests.ledger.transcript_lines import meta, write

CLEARED = prompt(
    "<command-name>/clear</command-name>\n<command-message>clear</command-message>\n<command-args></command-args>"
)


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        ([FIRST, prompt("and the other one")], "Fix the login test"),
        ([prompt([{"type": "image"}, {"type": "text", "text": "See\n this"}])], "See this"),
        (
            [prompt("", isMeta=True), prompt("<system-reminder>x"), prompt("[Request interrupted by user]"), FIRST],
            FIRST,
        ),
        ([prompt("for the sub-agent", isSidechain=True), FIRST], FIRST),
        ([prompt("<command-name>/review</command-name>\n<command-args>12</command-args>")], "/review 12"),
        ([prompt("<command-message>init</command-message>\n<command-name>/init</command-name>")], "/init"),
        ([CLEARED, FIRST], FIRST),
        ([CLEARED, prompt("<command-name>/model</command-name><command-args>opus</command-args>"), FIRST], FIRST),
        ([CLEARED], ""),
        ([prompt("<command-name>/init</command-name>"), FIRST], FIRST),
        ([FIRST, titled("ai", "Login test")], "Login test"),
        ([FIRST, titled("ai", "Older"), titled("ai", "Login test"), titled("ai", "…")], FIRST),
        ([titled("custom", "Mine"), FIRST, titled("ai", "Login test")], "Mine"),
        ([{"type": "summary", "summary": "Of this", "leafUuid": "u1"}, FIRST | {"uuid": "u1"}], "Of this"),
        ([{"type": "summary", "summary": "Of another", "leafUuid": "u2"}, FIRST | {"uuid": "u1"}], FIRST),
        ([b"no JSON\n", b'{"type":"user"\n', {"type": "user", "message": 7}, FIRST], FIRST),
        ([], ""),
    ],
)
def test_the_title_of_a_claude_session(lines: list[Any], title: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "s1.jsonl", *(line if isinstance(line, bytes) else compact(line) for line in lines))
    assert title_of("claude", path) == ("Fix the login test" if title is FIRST else title)


def test_the_title_of_a_codex_session_is_the_first_message_of_its_user(tmp_path: Path) -> None:
    def item(text: str) -> dict[str, Any]:
        content = [{"type": "input_text", "text": text}]
        return {"type": "response_item", "payload": {"type": "message", "role": "user", "content": content}}

    context, first = item("<environment_context>\n</environment_context>"), item("Add a cart")
    message = {"type": "event_msg", "payload": {"type": "user_message", "message": "Add a cart, please"}}
    assert title_of("codex", write(tmp_path / "1.jsonl", meta("c"), context, first)) == "Add a cart"
    assert title_of("codex", write(tmp_path / "2.jsonl", meta("c"), context, first, message)) == "Add a cart, please"
    assert title_of("codex", write(tmp_path / "3.jsonl", meta("c"), context)) == ""


def test_a_file_that_cannot_be_read_has_no_title(tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(compact(FIRST))[:30])
    (tmp_path / "whole.jsonl.gz").write_bytes(gzip.compress(compact(FIRST)))
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert title_of("claude", tmp_path / "whole.jsonl.gz") == "Fix the login test"
    for name in ("cut.jsonl.gz", "pipe.jsonl", "missing.jsonl", "."):
        assert title_of("claude", tmp_path / name) == ""


@given(st.text(max_size=300))
def test_a_title_is_one_line_of_at_most_80_printable_characters(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert len(shown) <= TITLE_CHARACTERS_MAX
    assert shown == " ".join(shown.split(" "))
