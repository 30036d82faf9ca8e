"""Telemetry of agents as the tests send it, and the row that it makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from ledger import MemoryStore
from ledger.pricing.genai_book import GenaiPrices
from projections.folding.row import Row
from projections.replay.refresh import project
from tests.ledger.otlp_requests import span


def row(store: MemoryStore, workflow_id: str = "s1") -> Row:
    return project(store, workflow_id).row


def rows(store: MemoryStore) -> list[Row]:
    return [row(store, workflow_id) for workflow_id in sorted(store.workflow_ids())]


def figures(found: Row) -> tuple[Any, ...]:
    tokens = (found.input_tokens, found.cached_tokens, found.cache_hit_tokens, found.output_tokens)
    return found.actual_cost_nanousd, found.cost_basis, tokens


USAGE: Final = {
    "prompt_tokens": 14_796,
    "completion_tokens": 368,
    "prompt_tokens_details": {
        "cached_tokens": 11_521,
        "audio_tokens": None,
        "cache_creation_tokens": 3_243,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 2_390, "ephemeral_1h_input_tokens": 853},
    },
}


def proxied(changed: dict[str, Any] | None = None, *, spelled: Callable[[Any], str] = repr) -> dict[str, Any]:
    values: dict[str, Any] = {
        "litellm.provider.model": "anthropic/claude-sonnet-4-6",
        "gen_ai.request.model": "claude-sonnet-4-6",
        "gen_ai.response.model": "claude",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.operation.name": "acompletion",
        "gen_ai.cost.total_cost": 0.0231528,
        "gen_ai.usage.input_tokens": "14796",
        "gen_ai.usage.output_tokens": "368",
        "metadata.usage_object": spelled(USAGE),
        "metadata.spend_logs_metadata": spelled({"workflow_id": "s1", "agent": "planner", "project": "shop"}),
        "hidden_params": json.dumps({"cache_key": None, "response_cost": 0.0231528}),
    }
    values |= changed or {}
    return span("litellm", "litellm_request", {name: value for name, value in values.items() if value is not None})


def cost(model: str, **usage: int) -> int:
    rates = GenaiPrices().rates(model, None)
    assert rates is not None
    found = rates.cost_nanousd(usage)
    assert found is not None
    return found
