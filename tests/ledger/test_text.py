"""Phrases for messages, and foreign text without the sequences that drive a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.text import counted, first_of, without_escapes


def test_a_list_names_its_first_members() -> None:
    assert first_of(["a", "b"]) == "a, b"
    assert first_of([*"abcdefgh"]) == "a, b, c, d, e and 3 more"
    assert counted(1, "workflow") == "1 workflow"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;2;1;2;3mx\x1b[K", "x"),
        ("\x9b31mred", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1b(Bline\x1b7\x1bc", "line"),
        ("[31m is plain text", "[31m is plain text"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("cut \x1b[3", "cut 3"),
    ],
)
def test_whole_escape_sequences_are_removed(text: str, shown: str) -> None:
    assert without_escapes(text) == shown


@given(st.text())
def test_text_without_an_escape_is_unchanged(text: str) -> None:
    plain = "".join(c for c in text if c != "\x1b" and not "\x80" <= c <= "\x9f")
    assert without_escapes(plain) == plain


@given(st.integers(0, 10**9))
def test_a_count_reads_back_and_only_one_is_singular(count: int) -> None:
    number, noun = counted(count, "workflow").split(" ")
    assert int(number.replace(",", "")) == count
    assert noun == ("workflow" if count == 1 else "workflows")


@given(st.lists(st.text("abc", min_size=1), max_size=12))
def test_of_a_list_the_first_five_are_named_and_the_others_counted(names: list[str]) -> None:
    shown, _, more = first_of(names).partition(" and ")
    assert shown == ", ".join(names[:5])
    assert more == (f"{len(names) - 5} more" if len(names) > 5 else "")
