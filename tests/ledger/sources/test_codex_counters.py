"""Counters that take turns in one rollout, and families of forks: every call once, whatever the order."""

from __future__ import annotations

import random
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.importing.importer import import_source
from ledger.sources.codex_counters import CodexTokens, Ended, RolloutCounters
from ledger.storage.memory_store import MemoryStore
from tests.ledger.transcript_lines import at, meta, read_at, recorded, tokens, turn, write

calls = st.builds(
    lambda whole, cached, output: CodexTokens(whole, min(cached, whole), 0, output, 0),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**4),
)


def added(one: CodexTokens, other: CodexTokens) -> CodexTokens:
    return CodexTokens(*(a + b for a, b in zip(one, other, strict=True)))


def readings_of(used: list[CodexTokens]) -> list[tuple[CodexTokens, CodexTokens]]:
    """What a counter shows while these calls are made: `(total, last)`."""
    total, found = CodexTokens(), []
    for call in used:
        total = added(total, call)
        found.append((total, call))
    return found


def in_turns(
    counters: list[list[tuple[CodexTokens, CodexTokens]]], seed: int, repeats: float
) -> list[tuple[CodexTokens, CodexTokens]]:
    """The readings of counters in any order between them, some of them repeated later."""
    chance, waiting, found = (
        random.Random(seed),
        [list(each) for each in counters],
        list[tuple[CodexTokens, CodexTokens]](),
    )
    while any(waiting):
        found.append(chance.choice([each for each in waiting if each]).pop(0))
        while chance.random() < repeats:
            found.append(chance.choice(found))
    return found


@given(
    st.lists(st.lists(calls, min_size=1, max_size=6), min_size=1, max_size=3),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.3, 0.6]),
)
def test_counters_in_any_turns_with_any_repeats_give_the_sum_of_their_calls(
    used: list[list[CodexTokens]], seed: int, repeats: float
) -> None:
    counters = [readings_of(each) for each in used]
    totals = [total for each in counters for total, _ in each]
    if len(set(totals)) < len(totals):
        return  # two counters at one total cannot be distinguished
    shown = in_turns(counters, seed, repeats)
    taken = RolloutCounters()
    ended = [found for total, last in shown if (found := taken.read(total, last)) is not None]
    assert sorted(each.used for each in ended) == sorted(call for each in used for call in each)
    assert len({(each.counter, each.total) for each in ended}) == len(ended), "each call has a name of its own"


@given(st.lists(st.lists(calls, min_size=1, max_size=6), min_size=1, max_size=3), st.integers(0, 2**32), st.data())
def test_a_rollout_that_grew_shows_the_calls_it_had_and_more(
    used: list[list[CodexTokens]], seed: int, data: st.DataObject
) -> None:
    shown = in_turns([readings_of(each) for each in used], seed, 0.3)
    lost = {index for index in range(len(shown)) if data.draw(st.booleans())}
    shown = [reading for index, reading in enumerate(shown) if index not in lost]
    cut = data.draw(st.integers(0, len(shown)))

    def taken(readings: list[tuple[CodexTokens, CodexTokens]]) -> list[Ended]:
        counters = RolloutCounters()
        return [found for total, last in readings if (found := counters.read(total, last)) is not None]

    whole = taken(shown)
    assert whole[: len(taken(shown[:cut]))] == taken(shown[:cut])
    assert all(min(each.used) >= 0 for each in whole)


@given(st.lists(calls, min_size=1, max_size=8), st.data())
def test_records_and_readings_of_the_same_calls_in_any_order_count_once(
    used: list[CodexTokens], data: st.DataObject
) -> None:
    counters, ended = RolloutCounters(), []
    for number, (total, last) in enumerate(readings_of(used)):
        lines = data.draw(st.lists(st.sampled_from(["record", "reading"]), min_size=1, max_size=4))
        for line in lines:
            if line == "record":
                ended.append(counters.record(f"resp_{number}", total, last))
            else:
                ended.append(counters.read(total, last))
    assert [each.used for each in ended if each is not None] == used


def usage(counts: CodexTokens) -> dict[str, int]:
    return tokens(counts.input_tokens, counts.cached_input_tokens, counts.output_tokens)


class Family:
    """Threads that fork from one another: each repeats its parent's lines up to some call, or none of them."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance, self.calls = folder, chance, 0
        self.threads: list[tuple[list[dict[str, Any]], list[tuple[CodexTokens, CodexTokens]]]] = []
        self.shown: dict[Path, set[CodexTokens]] = {}

    def _new(self, base: CodexTokens) -> tuple[CodexTokens, CodexTokens]:
        """A call no other equals, so that the sum shows each that is lost or counted twice."""
        self.calls += 1
        used = CodexTokens(1000 + 3**self.calls, self.chance.randrange(900), 0, self.chance.randrange(1, 90), 0)
        return added(base, used), used

    def add(self, *, records: bool) -> Path:
        """Write one more thread's rollout."""
        number = len(self.threads)
        id, parent = f"thread-{number}", self.chance.randrange(number) if number else None
        metas, readings, repeated = [meta(id, number)], list[tuple[CodexTokens, CodexTokens]](), list[dict[str, Any]]()
        base = CodexTokens()
        if parent is not None:
            of_parent, shown = self.threads[parent]
            upto = self.chance.randrange(len(shown) + 1)
            base = shown[upto - 1][0] if upto else CodexTokens()
            metas = [meta(id, number, parent=f"thread-{parent}")]
            if self.chance.random() < 0.7:  # a copy, with the fork's own times
                metas, readings = [*metas, *of_parent], shown[:upto]
                repeated = [read_at(usage(total), usage(last), 100 * number) for total, last in readings]
        lines = [*metas, turn("gpt-5"), *repeated]
        for step in range(self.chance.randrange(1, 4)):
            total, last = self._new(base)
            base, seconds = total, 100 * number + step + 1
            if records:
                lines.append(recorded(f"resp_{self.calls}", usage(total), usage(last), id, seconds))
            lines.append(read_at(usage(total), usage(last), seconds))
            readings = [*readings, (total, last)]
        self.threads.append((metas, readings))
        path = write(self.folder / f"rollout-{at(number)[:10]}-{id}.jsonl", *lines)
        self.shown[path] = {last for _, last in readings}
        return path

    def used(self) -> CodexTokens:
        """What the calls come to that the files show which are there."""
        return reduce(
            added, set().union(*(shown for path, shown in self.shown.items() if path.exists())), CodexTokens()
        )


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 6), st.booleans())
def test_a_family_of_forks_in_any_order_counts_each_call_once(seed: int, size: int, records: bool) -> None:
    chance = random.Random(seed)
    with TemporaryDirectory() as folder:
        family = Family(Path(folder), chance)
        files = [family.add(records=records and number == size - 1) for number in range(size)]
        whole, single = MemoryStore(), MemoryStore()
        import_source(whole, "codex", Path(folder))
        for file in [*chance.sample(files, size), *chance.sample(files, size)]:
            import_source(single, "codex", file)
        assert summed(whole) == summed(single) == family.used()
        missing = chance.sample(files, chance.randrange(size))
        for file in missing:
            file.unlink()
        rest = MemoryStore()
        import_source(rest, "codex", Path(folder))
        assert summed(rest) == family.used()


def summed(store: MemoryStore) -> CodexTokens:
    """All calls together, each once, as Codex counts tokens."""
    total, ids = CodexTokens(), set()
    for workflow_id in store.workflow_ids():
        for line in store.read(workflow_id):
            if line["type"] == "cost_observed":
                assert line["message_id"] not in ids
                ids.add(line["message_id"])
                used = line["usage"]
                reads = used.get("cache_read_tokens", 0)
                total = added(total, CodexTokens(used["input_tokens"] + reads, reads, 0, used["output_tokens"], 0))
    return total
