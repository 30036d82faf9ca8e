"""Tables at every width: what has no room is shortened or left out, and no figure is ever cut."""

from __future__ import annotations

import io
import re
import shutil
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from projections.cli.output.tables import Id, Table
from tests.projections.cli.commands.test_spend import on_a_terminal
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

UUIDS = ["0199aaaa-1111-7000-8000-000000000001", "0199aaaa-2222-7000-8000-000000000002"]

names = st.text("abc-é漢", min_size=1, max_size=40)
figures = st.integers(0, 10**13).map(lambda cost: f"≥ ${cost:,}.1234")
rows = st.lists(st.tuples(names.map(Id), figures, figures, st.text("ab ", max_size=80)), min_size=1, max_size=4)


def drawn(table: Table, columns: int) -> str:
    out = Console(file=io.StringIO(), width=columns, force_terminal=True, no_color=True, highlight=False, markup=False)
    with out.capture() as captured:
        table.print(out)
    return re.sub(r"\x1b\[[0-9;]*m", "", captured.get())


def table_of(*cells: tuple[str, ...]) -> Table:
    shown = Table(
        None, "workflow", "cost", "tokens", "why", right=("cost", "tokens"), prose=("why",), dropped=("tokens",)
    )
    for row in cells:
        shown.add_row(*row)
    return shown


@given(rows, st.integers(6, 160))
def test_no_width_cuts_a_figure_or_writes_beyond_the_terminal(cells: list[tuple[str, ...]], columns: int) -> None:
    written = drawn(table_of(*cells), columns)
    assert max(len(line) for line in written.splitlines()) <= columns
    for _, cost, tokens, _ in cells:
        assert cost.replace(" ", "") in re.sub(r"\s", "", written)
        assert "tokens" not in written or tokens.replace(" ", "") in re.sub(r"\s", "", written)


def test_what_has_no_room_folds_then_is_shortened_then_left_out() -> None:
    cells = [(name, "$1.2500", "12,345", "because of this and of that") for name in map(Id, UUIDS)]
    drawings = [drawn(table_of(*cells), columns) for columns in (120, 80, 40, 12)]
    assert [UUIDS[0] in one for one in drawings] == [True, False, False, False]
    assert ["0199aaaa-1…" in one for one in drawings] == [False, True, True, False]
    assert ["of that" in one for one in drawings] == [True, True, False, False]
    assert ["12,345" in one for one in drawings] == [True, True, False, False]
    assert all("$1.2500" in one for one in drawings)


@given(st.lists(names, min_size=2, max_size=6, unique=True))
def test_shortened_ids_are_told_apart_and_begin_as_the_ids_do(ids: list[str]) -> None:
    table = table_of(*((Id(name), "$1", "1", "") for name in ids))
    short = table._short_ids()  # noqa: SLF001 - what a narrow terminal shows
    assert all(name == shown or name.startswith(shown.removesuffix("…")) for name, shown in short.items())
    assert all(one != other for one, other in pairwise(sorted(short.values())))


def test_a_pipe_gets_whole_ids_and_no_blanks_that_frame_a_table(run: Run) -> None:
    for name in UUIDS:
        run("charge", name, "--agent", "plan", "--model", "m" * 80, "--cost-usd", "0.0066", "--session-id", name[::-1])
    for command in ([], ["history"], ["session"], ["daily"], ["show", UUIDS[0]], ["explain", UUIDS[0]], ["stale"]):
        lines = run(*command).out.split("\n")
        assert lines.pop() == ""
        assert all(line == line.rstrip() for line in lines), command
        assert lines[0]
        assert lines[-1]
        assert "…" not in "".join(lines) or command[:1] == ["show"], "which cuts the hash of its head"
    assert all(name in run("history").out and name[::-1] in run("session").out for name in UUIDS)


@pytest.mark.parametrize("columns", [44, 36, 20])
def test_history_and_show_keep_every_digit_and_the_workflow(run: Run, columns: int) -> None:
    run("observe", UUIDS[0], "--agent", "plan", "--cost-usd", "20.4843")
    run("observe", UUIDS[1], "--agent", "plan", "--cost-usd", "0.0066")
    history = on_a_terminal(columns, "history")
    assert all(figure in history for figure in ("$20.4843", "$0.0066", "$20.4909"))
    assert all(begin in history for begin in ("0199aaaa-1", "0199aaaa-2"))
    assert history.count("0199aaaa") == 2
    assert on_a_terminal(columns, "show", UUIDS[1]).count("$0.0066") == 3


def test_what_has_no_price_is_never_free_of_charge(run: Run) -> None:
    run("charge", "v", "--agent", "b", "--model", "local-x", "--output-tokens", "1000", "--message-id", "m1")
    for command in ([], ["history"], ["show", "v"], ["explain", "v"], ["check", "v"], ["daily"]):
        answer = run(*command).out
        assert "$0.00" not in answer, command
        assert "unpriced" in answer, command
    run("observe", "w", "--cost-usd", "1.5")
    for command, least in (
        (["history"], "≥ $1.5000"),
        ([], "in all at least $1.5000 in 2 workflows"),
        (["daily"], "≥ $1.5000"),
    ):
        assert least in run(*command).out
    picture = run("--json").json
    assert picture["in_all"] == {
        "workflows": 2,
        "cost_usd": "1.50",
        "at_least": True,
        "unpriced": {"local-x": {"events": 1, "tokens": 1000}},
    }
    assert [(one["adw_id"], one["at_least"], one["unpriced_events"]) for one in picture["running"]] == [
        ("v", True, 1),
        ("w", False, 0),
    ]
    checked = run("check", "v", "--json").json
    assert (checked["cost_basis"], checked["unpriced_events"], checked["budget"]) == ("partial", 1, None)


def test_the_tables_of_show_add_up_with_what_has_no_price(run: Run) -> None:
    run("charge", "w", "--model", "local-x", "--output-tokens", "1000", "--message-id", "m1")
    run("charge", "w", "--agent", "b", "--cost-usd", "1", "--model", "gpt-5", "--input-tokens", "5")
    shown = run("show", "w").out
    lines = [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines() if line.startswith("  ")]
    assert [line for line in lines if len(line) == 3] == [
        ["agent", "cost", "tokens"],
        ["b", "$1.0000", "5"],
        ["(unattributed)", "unpriced", "1,000"],
        ["model", "cost", "tokens"],
        ["gpt-5", "$1.0000", "5"],
        ["local-x", "unpriced", "1,000"],
    ]
    assert "tokens  1,005 = " in shown
    assert "local-x" not in run("show", "w", "--as-of", "1").out
    assert "local-x" in run("show", "w", "--as-of", "2").out


def test_explain_of_a_wholly_unpriced_workflow_says_what_is_there(run: Run) -> None:
    run("charge", "v", "--model", "local-x", "--output-tokens", "1000", "--message-id", "m1")
    assert run("explain", "v").out == (
        "v: 0 of 2 events moved its cost\n1 message unpriced: local-x (1 message, 1,000 tokens)\n"
    )


def test_a_row_whose_ledger_lies_elsewhere_is_found_by_its_beginning(run: Run) -> None:
    run("observe", UUIDS[0], "--cost-usd", "5")
    run("refresh")
    shutil.rmtree("data/ledgers")
    assert "$5.0000" in run("--data", "data", "show", UUIDS[0][:10]).out


def test_amounts_of_different_decimals_stand_below_each_other_at_their_point() -> None:
    lines = drawn(table_of(*(("w", cost, "1", "") for cost in ("$12.0000", "≥ $0.000042", "unknown"))), 80).splitlines()
    assert len({line.index(".") for line in lines if "." in line}) == 1
    (unknown,) = (line for line in lines if "unknown" in line)
    (little,) = (line for line in lines if "≥" in line)
    assert unknown.index("unknown") + len("unknown") == little.index("≥") + len("≥ $0.000042")
