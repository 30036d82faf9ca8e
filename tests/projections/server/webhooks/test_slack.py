"""Messages as sentences for Slack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from projections.server.webhooks.slack import slack_body

BUDGET = {"budget_usd": "5.00", "spent_usd": "4.20", "left_usd": "0.80", "percent": 84, "state": "warned"}

OVER = BUDGET | {"state": "over", "at_least": False}


@pytest.mark.parametrize(
    ("type", "data", "text"),
    [
        (
            "cost.updated",
            {"old_cost": None, "new_cost": "1.00", "reason": "import"},
            "w: $1.00 spent, none known before",
        ),
        ("workflow.settled", {"status": "failed", "cost_usd": "25.554355025"}, "w failed: $25.5544 spent"),
        ("workflow.settled", {"status": "failed", "cost_usd": None}, "w failed: an unknown amount spent"),
        ("budget.warned", {"budget": BUDGET | {"at_least": True}}, "w nears its budget: at least $4.20 of $5.00"),
        ("ledger.damaged", {"problem": "line 2 <!channel> & more"}, "line 2 &lt;!channel&gt; &amp; more"),
        (
            "budget.exceeded",
            {
                "adw_id": None,
                "name": "all",
                "period": "2026-11",
                "budget": BUDGET | {"state": "over", "at_least": False},
            },
            "all in 2026-11 is over its budget: $4.20 of $5.00 spent (84 %)",
        ),
    ],
)
def test_each_message_is_a_sentence_without_links_or_mentions(type: str, data: dict[str, Any], text: str) -> None:
    body = json.loads(slack_body(json.dumps({"type": type, "data": {"adw_id": "w"} | data})))
    assert text in body["text"]
    assert body.keys() == {"text"}
