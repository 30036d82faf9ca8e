"""A workflow as a tree of agents, sessions, models and messages."""

from __future__ import annotations

from hypothesis import given

from ledger.events.event import Line
from projections.folding.cost_tree import cost_tree
from projections.folding.cost_words import is_lower_bound
from projections.folding.row import row, spend
from tests.projections.folding.test_spend import spread_lines
from tests.projections.lines import HEAD, ended, folded, numbered, reading, started


@given(spread_lines())
def test_branches_add_up_to_the_cost_of_the_workflow(lines: list[Line]) -> None:
    state = folded(*lines)
    tree = cost_tree(lines, spend(state), messages_max=3)
    replayed = row(state, HEAD)
    assert sum(one.cost_nanousd for one in tree.branches) == replayed.actual_cost_nanousd
    assert sum(one.total_tokens for one in tree.branches) == replayed.total_tokens
    assert len(tree.messages) == min(3, tree.message_count)
    assert is_lower_bound(replayed) or not any(one.at_least for one in tree.branches)


def test_a_branch_is_a_lower_bound_whether_its_cheap_messages_are_listed_or_not() -> None:
    lines = numbered(
        [
            reading("9.00", agent="plan", model="opus", message_id="dear"),
            reading(None, agent="plan", model="home-made", message_id="unpriced", usage={"output_tokens": 9}),
            reading("1.00", agent="build", model="opus", message_id="cut", partial=True),
            reading("0.50", agent="build", model="haiku", message_id="whole"),
        ]
    )
    tree = cost_tree(lines, spend(folded(*lines)), messages_max=1)
    assert [one.message_id for one in tree.messages] == ["dear"]
    assert {one.key[::2]: (one.at_least, one.unpriced_events) for one in tree.branches} == {
        ("plan", "opus"): (False, 0),
        ("plan", "home-made"): (True, 1),
        ("build", "opus"): (True, 0),
        ("build", "haiku"): (False, 0),
    }


def test_a_tree_names_runs_and_the_time_of_each_branch() -> None:
    lines = numbered(
        [
            started(run=1, observed_at="2026-11-23T18:00:00.000000Z"),
            reading("0.50", agent="plan", session_id="s", message_id="m", observed_at="2026-11-23T18:01:00.000000Z"),
            ended("failed", run=1, observed_at="2026-11-23T18:02:00.000000Z"),
            started(run=2, observed_at="2026-11-23T18:10:00.000000Z"),
            reading("0.40", agent="plan", session_id="t", observed_at="2026-11-23T18:12:00.000000Z"),
        ]
    )
    tree = cost_tree(lines, spend(folded(*lines)), messages_max=10)
    assert [(run.run, run.status, run.ended_at) for run in tree.runs] == [
        (1, "failed", "2026-11-23T18:02:00.000000Z"),
        (2, "running", None),
    ]
    assert [(one.key, one.cost_nanousd, one.first_at) for one in tree.branches] == [
        (("plan", "s", None), 500_000_000, "2026-11-23T18:01:00.000000Z"),
        (("plan", "t", None), 400_000_000, "2026-11-23T18:12:00.000000Z"),
    ]
    assert [(one.message_id, one.seq) for one in tree.messages] == [("m", lines[1]["seq"])]
