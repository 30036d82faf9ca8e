from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from projections.folding.attribution import bring_up_to_date
from projections.folding.calls import Calls
from projections.folding.meters import ROOT, Meter
from projections.folding.readings import Reading
from projections.folding.tree import Tree
from tests.projections.lines import events, folded

COST = 0


def below(tree: Tree, meter: Meter) -> list[Meter]:
    return [one for one in tree.meters.values() if one.parent is meter]


@given(events)
def test_every_meter_costs_what_the_rule_gives_from_its_readings_and_its_children(
    sequence: list[dict[str, Any]],
) -> None:
    tree = folded(*sequence).tree
    tree.settle_costs()
    for meter in tree.meters.values():
        children: list[Meter | Calls] = [*below(tree, meter), *meter.calls]
        grown = sum(child.cost_nanousd - child.settled_nanousd for child in children)
        assert meter.grown_nanousd == grown
        assert meter.below_nanousd == max(0, meter.settled_nanousd + grown)
        assert meter.cost_nanousd == meter.evaluated(ended=tree.ended)


@given(events)
def test_contributions_of_all_meters_are_what_was_booked_and_sum_to_the_root(sequence: list[dict[str, Any]]) -> None:
    tree = folded(*sequence).tree
    bring_up_to_date(tree)
    contributed: dict[Any, int] = {}
    every_calls = [calls for meter in tree.meters.values() for calls in meter.calls]
    contributions: list[Meter | Calls] = [*tree.meters.values(), *every_calls]
    for one in contributions:
        contributed[one.key] = contributed.get(one.key, 0) + one.contribution[COST]
    booked: dict[Any, int] = {}
    for spent in tree.spend.values():
        for key, amounts in spent.items():
            booked[key] = booked.get(key, 0) + amounts[COST]
    assert {key: cost for key, cost in contributed.items() if cost} == {
        key: cost for key, cost in booked.items() if cost
    }
    assert sum(booked.values()) == tree.root.cost_nanousd


@given(st.tuples(*[st.none() | st.sampled_from("ab") for _ in range(4)]))
def test_a_meter_has_all_meters_above_it_and_is_made_once(path: Any) -> None:
    tree = Tree()
    meter = tree.meter(path)
    assert tree.meter(path) is meter
    levels = []
    above: Meter | None = meter
    while above is not None:
        levels.append(above.level)
        last, above = above, above.parent
    assert last is tree.root is tree.meters[ROOT]
    assert levels == sorted(levels, reverse=True)
    assert len(levels) == 1 + sum(part is not None for part in path)


def test_a_reading_raises_the_root_while_it_runs_and_the_latest_counts_once_it_ended() -> None:
    tree = Tree()
    meter = tree.meter(("plan", None, None, None))
    for number, cost in enumerate((5, 9, 7)):
        tree.read(meter, Reading(cost, True, True, False, ()), ("2026-01-01", number))  # noqa: FBT003
    assert tree.cost_nanousd == 9
    tree.end()
    assert tree.cost_nanousd == 7
    tree.settle()
    assert (tree.root.cost_nanousd, tree.root.settled_nanousd, meter.latest) == (7, 7, None)
