"""A session's chats and its telemetry, both imported: the same calls never count twice, in whatever order they come."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.importing.importer import import_source
from ledger.pricing.genai_book import GenaiPrices
from ledger.storage.directory_store import DirectoryStore
from projections.folding.row import Row
from projections.replay.refresh import project
from tests.ledger.otlp_requests import log

SESSION: Final = "9a3e0c00-0000-4000-8000-00000000000a"
CALLS: Final = [(1_000, 640, 40), (2_000, 1_280, 50), (3_000, 1_920, 60)]
"""Input, cached tokens of it, and output."""
HELPER: Final = (500, 0, 5)


def gemini_chat(calls: int) -> dict[str, str]:
    """Files of a chat with its first calls; its messages have ids of their own, and times a moment later."""
    lines: list[dict[str, Any]] = [
        {"sessionId": SESSION, "projectHash": "54", "startTime": "2026-11-29T05:00:00.000Z", "kind": "main"}
    ]
    for at, (whole, cached, output) in enumerate(CALLS[:calls]):
        tokens = {"input": whole, "output": output, "cached": cached, "thoughts": 0, "tool": 0, "total": whole + output}
        lines.append({"id": f"m-{at}", "timestamp": f"2026-11-29T05:00:0{at}.020Z", "type": "gemini", "tokens": tokens})
        lines[-1]["model"] = "gemini-2.5-pro"
    return {"tmp/work/chats/session-1.jsonl": "".join(json.dumps(line) + "\n" for line in lines)}


def gemini_telemetry(calls: int) -> str:
    """An export with the first calls, and the helper's, which is in no chat."""
    made = [_gemini_response(at, "gemini-2.5-pro", *call) for at, call in enumerate(CALLS[:calls])]
    return "".join(json.dumps(one) + "\n" for one in [*made, _gemini_response(9, "gemini-2.5-flash", *HELPER)])


def _gemini_response(at: int, model: str, whole: int, cached: int, output: int) -> dict[str, Any]:
    values = {
        "event.name": "gemini_cli.api_response",
        "event.timestamp": f"2026-11-29T05:00:0{at}.000Z",
        "session.id": SESSION,
        "model": model,
        "input_token_count": whole,
        "output_token_count": output,
        "cached_content_token_count": cached,
        "thoughts_token_count": 0,
        "tool_token_count": 0,
        "total_token_count": whole + output,
    }
    return log("gemini-cli", values)


def qwen_chat(calls: int) -> dict[str, str]:
    """Files of a chat of Qwen Code, whose telemetry in it names the responses as its exports do."""
    lines = []
    for at in range(min(calls, len(CALLS))):
        event = _qwen_event(at)
        lines.append(
            {
                "uuid": f"u-{at}",
                "parentUuid": None,
                "sessionId": SESSION,
                "timestamp": event["event.timestamp"],
                "type": "system",
                "subtype": "ui_telemetry",
                "cwd": "/work",
                "version": "0.24.4",
                "systemPayload": {"uiEvent": event},
            }
        )
    return {f"projects/-work/chats/{SESSION}.jsonl": "".join(json.dumps(line) + "\n" for line in lines)}


def qwen_telemetry(calls: int) -> str:
    events = [_qwen_event(at) | {"session.id": SESSION} for at in range(min(calls, len(CALLS)))]
    return "".join(json.dumps(log("qwen-code", event)) + "\n" for event in events)


def _qwen_event(at: int) -> dict[str, Any]:
    whole, cached, output = CALLS[at]
    return {
        "event.name": "qwen-code.api_response",
        "event.timestamp": f"2026-11-29T05:00:0{at}.000Z",
        "response_id": f"chatcmpl-{at}",
        "model": "gpt-5",
        "input_token_count": whole,
        "output_token_count": output,
        "cached_content_token_count": cached,
        "thoughts_token_count": 0,
        "total_token_count": whole + output,
        "prompt_id": f"{SESSION}########{at}",
    }


def priced(model: str, *calls: tuple[int, int, int]) -> int:
    rates = GenaiPrices().rates(model, None)
    assert rates is not None
    costs = [
        rates.cost_nanousd({"input_tokens": whole - cached, "cache_read_tokens": cached, "output_tokens": output})
        for whole, cached, output in calls
    ]
    return sum(cost for cost in costs if cost is not None)


def row(store: DirectoryStore) -> Row:
    assert list(store.workflow_ids()) == [SESSION]
    return project(store, SESSION).row


STEPS: Final = st.lists(st.tuples(st.sampled_from(["chat", "telemetry"]), st.integers(1, len(CALLS))), max_size=4)


@given(STEPS, st.permutations(["chat", "telemetry"]))
@settings(max_examples=40, deadline=None)
def test_gemini_clis_chats_and_telemetry_are_two_accounts_of_one_cost(
    steps: list[tuple[str, int]], last: list[str]
) -> None:
    truth = priced("gemini-2.5-pro", *CALLS) + priced("gemini-2.5-flash", HELPER)
    with tempfile.TemporaryDirectory() as folder:
        store = DirectoryStore(Path(folder, "data"), durability="none")
        for account, calls in [*steps, *((each, len(CALLS)) for each in last)]:
            take(store, Path(folder), "gemini", gemini_chat(calls) if account == "chat" else gemini_telemetry(calls))
            assert row(store).actual_cost_nanousd <= truth
        assert row(store).cost_basis == "partial"
        if len({calls for account, calls in steps} - {len(CALLS)}) == 0:
            assert row(store).actual_cost_nanousd == truth, "an account that was whole from the beginning"


@given(STEPS, st.permutations(["chat", "telemetry"]))
@settings(max_examples=40, deadline=None)
def test_qwen_codes_chats_and_telemetry_name_the_same_calls(steps: list[tuple[str, int]], last: list[str]) -> None:
    truth = priced("gpt-5", *CALLS)
    with tempfile.TemporaryDirectory() as folder:
        store = DirectoryStore(Path(folder, "data"), durability="none")
        for account, calls in [*steps, *((each, len(CALLS)) for each in last)]:
            take(store, Path(folder), "qwen", qwen_chat(calls) if account == "chat" else qwen_telemetry(calls))
            assert row(store).actual_cost_nanousd <= truth
        assert row(store).actual_cost_nanousd == truth


def take(store: DirectoryStore, folder: Path, kind: str, given: dict[str, str] | str) -> None:
    """Import one account, as it is now."""
    if isinstance(given, str):
        export = folder / "export.jsonl"
        export.write_text(given, encoding="utf-8")
        import_source(store, "otlp", export)
        return
    for name, text in given.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    import_source(store, kind, folder / ("tmp" if kind == "gemini" else "projects"))
