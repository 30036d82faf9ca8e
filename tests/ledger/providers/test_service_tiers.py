"""One set of names for the standard service tier, whichever way a call comes in."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger import MemoryStore, Workflow
from ledger.importing.importer import import_source
from ledger.providers.service_tiers import PREMIUM_TIERS, STANDARD_TIERS, served_as, service_tier_of

MODEL = "gpt-4.1"


class Tier(enum.Enum):
    """As an SDK spells tiers."""

    DEFAULT = "default"
    FLEX = "FLEX"


@pytest.mark.parametrize("name", [*sorted(STANDARD_TIERS), "DEFAULT", "On_Demand", "", None, Tier.DEFAULT])
def test_the_standard_tier_has_no_name(name: object) -> None:
    assert service_tier_of(name) is None


@pytest.mark.parametrize("name", [*sorted(PREMIUM_TIERS), "batch", "flex"])
def test_another_tier_has_its_name_in_lower_case(name: str) -> None:
    assert service_tier_of(name) == service_tier_of(name.upper()) == name
    assert service_tier_of(Tier.FLEX) == "flex"


@pytest.mark.parametrize("name", [*sorted(STANDARD_TIERS), "AUTO"])
def test_a_call_of_the_standard_tier_costs_the_same_whichever_way_it_comes_in(tmp_path: Path, name: str) -> None:
    store, usage = MemoryStore(), {"prompt_tokens": 1000, "completion_tokens": 500}
    answer = {"id": "m-1", "model": MODEL, "usage": usage, "service_tier": name}
    Workflow("charged", store=store).charge(answer)
    Workflow("named-by-the-caller", store=store).charge(answer, service_tier=name)
    row = {"job": "row", "model": MODEL, "in": 1000, "out": 500, "tier": name}
    path = tmp_path / "calls.jsonl"
    path.write_text(json.dumps(row))
    columns = ("workflow_id=job", "model=model", "input_tokens=in", "output_tokens=out", "service_tier=tier")
    assert import_source(store, "jsonl", path, map=columns).problems == []
    costs = {line["cost_usd"] for id in store.workflow_ids() for line in store.read(id) if "cost_usd" in line}
    assert costs == {"0.006"}


def test_fast_mode_of_anthropic_is_a_tier() -> None:
    assert served_as({}, {"service_tier": "standard", "speed": "fast"}) == "fast"
    assert served_as({}, {"service_tier": "batch", "speed": "standard"}) == "batch"


@pytest.mark.parametrize("tier", ["flex", "priority", "standard"])
def test_gemini_names_its_tier_in_a_header(tier: str) -> None:
    headers = SimpleNamespace(headers={"x-gemini-service-tier": tier})
    assert served_as(SimpleNamespace(sdk_http_response=headers), None) == tier


@pytest.mark.parametrize(
    ("traffic", "tier"),
    [
        ("ON_DEMAND", None),
        ("TRAFFIC_TYPE_UNSPECIFIED", None),
        ("ON_DEMAND_FLEX", "flex"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("PROVISIONED_THROUGHPUT", "provisioned_throughput"),
    ],
)
def test_vertex_ai_names_its_tier_in_the_usage(traffic: str, tier: str | None) -> None:
    assert service_tier_of(served_as({}, {"trafficType": traffic})) == tier
