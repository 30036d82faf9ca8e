"""However transcripts are cut into files, in whatever order and however often they are imported, interrupted or not:
the row is the one of a clean import."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerUnavailable
from ledger.events.event import Event
from ledger.importing.importer import import_source
from ledger.storage.append import Receipt
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore
from projections.replay.refresh import project
from tests.ledger.transcript_lines import OPUS, SONNET, asked, counted, meta, raw, said, turn

TIMES = {"last_activity", "created_at", "updated_at", "event_count", "ledger_seq", "ledger_hash"}
SESSIONS = st.sampled_from(["s1", "s2", "s3"])


class Interrupted(BaseException):
    """The process was killed."""


class FailingStore(DirectoryStore):
    """A directory whose n-th append fails: before anything was written, or with everything written and no receipt."""

    def __init__(self, path: Path, failing: int, kind: str) -> None:
        super().__init__(path, durability="none")
        self._left, self._kind = failing, kind

    def append(self, events: Sequence[Event], *, expected_seq: int | None = None) -> list[Receipt]:
        self._left -= 1
        if self._left == 0 and self._kind == "refused":
            raise LedgerUnavailable(self.path, "append to", OSError(28, "No space left on device"))
        receipts = super().append(events, expected_seq=expected_seq)
        if self._left == 0 and self._kind == "killed":
            raise Interrupted
        return receipts


@st.composite
def responses(draw: st.DrawFn, number: int) -> list[dict[str, Any]]:
    """The lines of one response: its output grows, and at an equal one its input may."""
    session, agent = draw(SESSIONS), draw(st.sampled_from([None, None, "a1"]))
    model = draw(st.sampled_from([OPUS, SONNET, "local-model"]))
    output, lasting = draw(st.integers(1, 5000)), draw(st.sampled_from([0, 150, 900]))
    usage: dict[str, Any] = {"cache_creation": {"ephemeral_1h_input_tokens": lasting}} if lasting else {}
    if draw(st.booleans()):
        usage["iterations"] = [{"output_tokens": output}, {"input_tokens": 5, "output_tokens": 7, "model": SONNET}]
    outputs = sorted([*draw(st.lists(st.sampled_from([0, output // 2, output]), max_size=2)), output])
    inputs = sorted(draw(st.lists(st.integers(0, 90), min_size=len(outputs), max_size=len(outputs))))
    reads = st.just(3000) if model == "local-model" else st.sampled_from([2990, 3000])
    progress = agent is not None and draw(st.booleans())
    return [
        said(
            f"m{number}",
            some,
            60 * number + n,
            session,
            model=model,
            agent=agent,
            progress=progress,
            input_tokens=inputs[n],
            cache_read_input_tokens=draw(reads),
            **usage,
        )
        for n, some in enumerate(outputs)
    ]


@st.composite
def transcripts(draw: st.DrawFn) -> dict[str, bytes]:
    """Files of several sessions; some begin with a copy of others' lines under another session's id."""
    lines = [line for number in range(draw(st.integers(1, 6))) for line in draw(responses(number))]
    files: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        files.setdefault(draw(st.sampled_from(["a/one", "a/two", "b/agent"])), []).append(line)
    if draw(st.booleans()):
        copied = [line | {"sessionId": "s9"} for line in lines[: draw(st.integers(1, len(lines)))]]
        files["b/resumed"] = [asked(session="s9"), *copied, said("m99", 70, 5000, "s9")]
    return {f"{name}.jsonl": raw(*records) for name, records in files.items()}


@st.composite
def rollouts(draw: st.DrawFn) -> dict[str, bytes]:
    """A session, and forks of it that copy its beginning with times of their own."""
    totals, lines = [0, 0, 0, 0], []
    for _ in range(draw(st.integers(1, 6))):
        used = draw(st.lists(st.integers(1, 900), min_size=4, max_size=4))
        totals = [total + more for total, more in zip(totals, used, strict=True)]
        totals = draw(st.sampled_from([totals, totals, totals, used]))
        lines.append(tuple(totals))
    files = {"parent.jsonl": raw(meta("p"), turn(), *(counted(*totals, seconds=9) for totals in lines))}
    for number in range(draw(st.integers(0, 2))):
        shared = lines[: draw(st.integers(1, len(lines)))]
        more = [value + 1000 + number for value in shared[-1]]
        calls = [counted(*some, seconds=500 + number) for some in [*shared, more]]
        files[f"fork{number}.jsonl"] = raw(meta(f"f{number}", 500, parent="p"), meta("p"), turn(), *calls)
    return files


@st.composite
def histories(draw: st.DrawFn, files: dict[str, bytes]) -> list[tuple[str, Any]]:
    """How the files came to be and were imported meanwhile."""
    names = sorted(files)
    step = st.one_of(
        st.tuples(st.just("grow"), st.tuples(st.sampled_from(names), st.floats(0, 1))),
        st.tuples(st.just("import"), st.sampled_from([*names, ""])),
        st.tuples(st.sampled_from(["refused", "killed"]), st.integers(1, 3)),
        st.tuples(st.just("forget"), st.none()),
    )
    return draw(st.lists(step, max_size=12))


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def outcome(store: LedgerStore) -> dict[str, dict[str, Any]]:
    rows = [project(store, id).row for id in store.workflow_ids()]
    return {row.adw_id: {name: getattr(row, name) for name in row.__slots__ if name not in TIMES} for row in rows}


def lived_through(
    path: Path, kind: str, files: dict[str, bytes], history: list[tuple[str, Any]], workflow_id: str | None
) -> dict[str, dict[str, Any]]:
    tree, data = path / "tree", path / "data"
    store = DirectoryStore(data, durability="none")
    for what, how in history:
        if what == "grow":
            name, share = how
            file = tree / name
            file.parent.mkdir(parents=True, exist_ok=True)
            size = max(int(len(files[name]) * share), file.stat().st_size if file.exists() else 0)
            file.write_bytes(files[name][:size])
        elif what == "forget":
            (data / "transcripts.db").unlink(missing_ok=True)
        elif what == "import" and (tree / how).exists() and any(tree.rglob("*.jsonl")):
            import_source(store, kind, tree / how, workflow_id=workflow_id)
        elif what in ("refused", "killed") and any(tree.rglob("*.jsonl")):
            with suppress(Interrupted):
                import_source(FailingStore(data, how, what), kind, tree, workflow_id=workflow_id)
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    import_source(store, kind, tree, workflow_id=workflow_id)
    assert import_source(store, kind, tree, workflow_id=workflow_id).appended == 0
    (data / "transcripts.db").unlink()
    assert import_source(store, kind, tree, workflow_id=workflow_id).appended == 0
    return outcome(store)


def check(kind: str, files: dict[str, bytes], history: list[tuple[str, Any]]) -> None:
    with folder() as path:
        clean = lived_through(path / "clean", kind, files, [], "one")
        assert lived_through(path / "one", kind, files, history, "one") == clean
        sessions = lived_through(path / "sessions", kind, files, history, None)
        for name in ("actual_cost_nanousd", "input_tokens", "cached_tokens", "cache_hit_tokens", "output_tokens"):
            assert sum(row[name] for row in sessions.values()) == clean["one"][name]


def any_import(kind: str, data: st.DataObject) -> None:
    files = data.draw(transcripts() if kind == "claude" else rollouts())
    check(kind, files, data.draw(histories(files)))


@pytest.mark.parametrize("kind", ["claude", "codex"])
@settings(max_examples=20)
@given(data=st.data())
def test_any_import_comes_to_the_row_of_a_clean_one(kind: str, data: st.DataObject) -> None:
    any_import(kind, data)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["claude", "codex"])
@settings(max_examples=500)
@given(data=st.data())
def test_five_hundred_imports_come_to_the_row_of_a_clean_one(kind: str, data: st.DataObject) -> None:
    any_import(kind, data)
