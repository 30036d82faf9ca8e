"""Write the examples of the OpenAPI document: what a server answers about the workflow that ships in data/examples.

Usage: python docs/api_examples.py, then python docs/api_reference.py
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.testclient import TestClient

from ledger.importing.importer import import_source
from projections.history.sqlite.history import SqliteHistory
from projections.server.app import EXAMPLES, create_app
from projections.server.service.service import Service
from projections.server.service.settings import Settings

_EXAMPLES: Final = Path(__file__).resolve().parents[1] / "data" / "examples"
_OF: Final = "/api/workflow-history/a5b80595"
_STARTED: Final = {"type": "workflow_started", "workflow_id": "b7c1", "id": "b7c1-start", "run": 1, "budget_usd": "5"}
_READING: Final = {"type": "cost_observed", "workflow_id": "b7c1", "id": "plan-1", "agent": "plan", "cost_usd": "4.20"}

_ASKED: Final[dict[str, Callable[[TestClient], Any]]] = {
    "get /api/workflow-history 200": lambda http: http.get("/api/workflow-history?limit=1"),
    "get /api/workflow-history/{adw_id} 200": lambda http: http.get(_OF),
    "get /api/workflow-history/{adw_id}/events 200": lambda http: http.get(f"{_OF}/events?limit=2"),
    "get /api/workflow-history/{adw_id}/explain 200": lambda http: http.get(f"{_OF}/explain"),
    "post /api/workflow-history/resync 200": lambda http: http.post(
        "/api/workflow-history/resync?adw_id=a5b80595&force=true"
    ),
    "get /api/workflow-history/{adw_id}/audit 200": lambda http: http.get(f"{_OF}/audit"),
    "get /api/spend 200": lambda http: http.get("/api/spend?by=model"),
    "get /api/stats 200": lambda http: http.get("/api/stats?by=template"),
    "get /api/compare 200": lambda http: http.get("/api/compare?a=agent%3Dsdlc_planner&b=agent%3Dsdlc_implementor"),
    "get /api/blocks 200": lambda http: http.get("/api/blocks"),
    "get /api/forecast 200": lambda http: http.get("/api/forecast"),
    "get /api/what-if 200": lambda http: http.get("/api/what-if?model=claude-haiku-4-5"),
    "get /api/budgets 200": lambda http: http.get("/api/budgets"),
    "get /api/stale 200": lambda http: http.get("/api/stale"),
    "post /api/events 201": lambda http: http.post("/api/events", json=[_STARTED, _READING]),
    "post /api/events 200": lambda http: http.post("/api/events", json=_READING),
    "post /api/events 207": lambda http: http.post("/api/events", json=[_READING, {"type": "moon"}]),
    "get /api/webhooks 200": lambda http: http.get("/api/webhooks"),
    "post /api/verify 202": lambda http: http.post("/api/verify"),
    "get /api/health 200": lambda http: http.get("/api/health"),
    "get /api/access 200": lambda http: http.get("/api/access"),
}
"""What is asked for each operation and status, in this order."""


def answers(data: Path) -> dict[str, Any]:
    """The answers of a server on an empty data directory."""
    service = Service(Settings(data), lambda: SqliteHistory(data / "history.db"))
    for moment in sorted(_EXAMPLES.glob("*/")):
        import_source(service.ledgers, "adw", moment)
    found: dict[str, Any] = {}
    with TestClient(create_app(service), base_url="http://localhost") as http:
        for operation, ask in _ASKED.items():
            answer = ask(http)
            assert str(answer.status_code) == operation.rpartition(" ")[2], answer.text
            found[operation] = json.loads(answer.text.replace(str(_EXAMPLES), "/srv/project"))
            time.sleep(0.3)  # for the row to follow
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        EXAMPLES.write_text(json.dumps(answers(Path(folder) / "data"), indent=1) + "\n", encoding="utf-8")
