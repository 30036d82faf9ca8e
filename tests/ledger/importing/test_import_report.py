from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import UnknownWorkflow
from ledger.importing.import_report import ImportReport

counts = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 9)), max_size=6)


def report(counted: list[tuple[str, int, int]], unopened: int) -> ImportReport:
    made = ImportReport(in_unchanged_files=unopened, without_folder={name for name, _, _ in counted})
    for one in counted:
        made.count(*one)
    return made


@given(counts, counts, st.integers(0, 9), st.integers(0, 9))
def test_reports_of_parts_merge_into_the_report_of_the_whole(
    one: list[tuple[str, int, int]], other: list[tuple[str, int, int]], here: int, there: int
) -> None:
    merged = report(one, here)
    merged.merge(report(other, there))
    assert merged == report(one + other, here + there)
    assert merged.appended == sum(appended for _, appended, _ in one + other)
    assert merged.unchanged == sum(unchanged for _, _, unchanged in one + other) + here + there


def test_problems_of_every_part_are_kept() -> None:
    merged = ImportReport()
    problem = ("w", UnknownWorkflow("w", "the ledgers"))
    merged.merge(ImportReport(problems=[problem]))
    merged.merge(ImportReport(problems=[problem]))
    assert merged.problems == [problem, problem]
