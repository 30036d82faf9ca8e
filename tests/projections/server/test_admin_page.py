"""docs/admin.md names what there is: metrics, events of webhooks, and options."""

from __future__ import annotations

import re

from ledger.config.schema import WEBHOOK_EVENTS, WebhookConfig
from tests.conftest import PROJECT
from tests.projections.server.conftest import Here

PAGE = (PROJECT / "docs" / "admin.md").read_text(encoding="utf-8")


def test_every_metric_that_an_alert_asks_for_is_there(server: Here) -> None:
    server.client.post("/api/events", json={"type": "cost_observed", "workflow_id": "w", "cost_usd": "1"})
    text = server.client.get("/metrics").text
    asked = set(re.findall(r"costledger_[a-z_]+", PAGE.partition("rules:")[2].partition("```")[0]))
    there = set(re.findall(r"^# TYPE (costledger_\w+)", text, re.M))
    there |= {f"{name}_bucket" for name in there}
    assert len(asked) >= 9
    assert asked <= there, asked - there


def test_every_event_and_option_of_webhooks_is_on_the_page() -> None:
    section = PAGE.partition("## Webhooks")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z]+\.[a-z]+)`", section, re.M) == list(WEBHOOK_EVENTS)
    toml = section.partition("```toml")[2].partition("```")[0]
    assert set(re.findall(r"\b([a-z_]+) =", toml)) == set(WebhookConfig.model_fields)
