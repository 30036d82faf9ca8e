from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.importing.source_fingerprint import fingerprint, looks
from ledger.importing.source_registry import SourceEntry
from ledger.sources.findings import Findings, Part


def grow(file: Path) -> None:
    file.write_text("more than before")


def touch(file: Path) -> None:
    os.utime(file, (1, 1))


def replace(file: Path) -> None:
    before = file.stat()
    new = file.with_name("new")
    new.write_bytes(file.read_bytes())
    new.replace(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def close(file: Path) -> None:
    file.chmod(0)


def add(file: Path) -> None:
    file.with_name("second.jsonl").write_text("x")


@pytest.mark.parametrize("kind", ["adw", "claude"])
@pytest.mark.parametrize("change", [grow, touch, replace, close, add, Path.unlink])
def test_any_change_of_a_file_shows_and_none_shows_none(
    tmp_path: Path, kind: str, change: Callable[[Path], None]
) -> None:
    file = tmp_path / "project" / "log.jsonl"
    file.parent.mkdir()
    file.write_text("x")
    entry = SourceEntry(kind, str(tmp_path))
    before = looks(entry)
    assert looks(entry) == before
    change(file)
    assert looks(entry) != before


def test_files_that_are_no_transcripts_do_not_matter_to_a_source_of_transcripts(tmp_path: Path) -> None:
    entry = SourceEntry("claude", str(tmp_path))
    (tmp_path / "log.jsonl").write_text("x")
    before = looks(entry)
    (tmp_path / "settings.txt").write_text("x")
    assert looks(entry) == before


def test_a_part_has_its_own_fingerprint_or_that_of_size_and_time() -> None:
    def part(written_at: float, own: str | None) -> str | None:
        return fingerprint(Part("w", 10, Findings, written_at, own))

    assert part(5.0, "own") == "own"
    assert part(0.0, None) is None
    assert part(5.0, None) != part(6.0, None)
