"""A message as a sentence, for Slack and what takes its incoming webhooks (Mattermost, Rocket.Chat, Discord's /slack).

See https://api.slack.com/messaging/webhooks.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from ledger.events import money

__all__ = ["slack_body"]

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""What Slack would read as a link or a mention."""


def slack_body(body: str) -> str:
    """Return the body that Slack takes, `{"text": …}`, of a message."""
    message = orjson.loads(body)
    return orjson.dumps({"text": _sentence(message["type"], message["data"]).translate(_ESCAPES)}).decode()


def _sentence(type: str, data: dict[str, Any]) -> str:
    about = data["adw_id"] or f"{data['name']} in {data['period']}"
    if type == "ledger.damaged":
        return f"{about}: its ledger is damaged: {data['problem']}"
    if type == "cost.updated":
        before = "none known" if data["old_cost"] is None else _usd(data["old_cost"])
        return f"{about}: {_usd(data['new_cost'])} spent, {before} before ({data['reason']})"
    if type == "workflow.settled":
        return f"{about} {data['status']}: {_usd(data['cost_usd'])} spent"
    budget = data["budget"]
    share = "" if budget["percent"] is None else f" ({budget['percent']} %)"
    bound = "at least " if budget["at_least"] else ""
    spent = f"{bound}{_usd(budget['spent_usd'])} of {_usd(budget['budget_usd'])} spent{share}"
    return f"{about} {'is over' if budget['state'] == 'over' else 'nears'} its budget: {spent}"


def _usd(amount: str | None) -> str:
    if amount is None:
        return "an unknown amount"
    nanousd = money.from_wire(amount)
    return money.shown(nanousd, 4 if nanousd % 10**7 else 2)
