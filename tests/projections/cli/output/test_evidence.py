from __future__ import annotations

import io

from rich.console import Console

from projections.cli.output.evidence import print_evidence


def printed(dated: dict[str, int]) -> list[str]:
    out = Console(file=io.StringIO(), width=200)
    print_evidence(out, dated)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


def test_each_evidence_has_a_line_in_words_and_foreign_text_is_plain() -> None:
    assert printed({}) == []
    assert printed({"file": 90_000_000, "moon\x1b": 10**9}) == [
        "$0.0900 dated by the log file's modification time",
        "$1.0000 dated by moon·",
    ]
