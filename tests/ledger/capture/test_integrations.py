"""LiteLLM's callback, with the real package in this process; and integrations whose package is not installed."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from ledger import MemoryStore, litellm_callback, span_processor, workflow
from ledger.capture.litellm import LISTS
from ledger.capture.workflow import Workflow
from ledger.errors import MissingExtra
from tests.ledger.capture.test_client_proxy import ANTHROPIC, CHAT, HELLO, sdk
from tests.ledger.fake_providers import ANTHROPIC as ANSWER
from tests.ledger.fake_providers import providers


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with providers() as address:
        yield address


def readings(store: MemoryStore) -> list[dict[str, Any]]:
    return [line for line in store.read("w") if line["type"] == "cost_observed"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::pytest.PytestWarning")
def test_litellm_calls_are_charged_once_each_whatever_way_they_are_made(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network for one
    litellm, store = sdk("litellm"), MemoryStore()
    asked: Any = {"api_key": "k", "num_retries": 0}
    claude = asked | {"model": "anthropic/claude-sonnet-4-5", "api_base": base, "metadata": {"agent": "plan"}}
    chat = asked | {"model": "openai/gpt-5", "api_base": f"{base}/v1"}

    async def run() -> None:
        litellm.callbacks = [litellm_callback(Workflow("w", store), agent="build")]
        await litellm.acompletion(**claude, **HELLO)
        async for _ in await litellm.acompletion(**chat, **HELLO, stream=True, stream_options={"include_usage": True}):
            pass
        for _ in range(1200):  # it charges in a thread, later on a busy machine
            await asyncio.sleep(0.05)
            if "w" in store.workflow_ids() and len(readings(store)) == 2:
                break

    try:
        asyncio.run(run())
    finally:
        litellm.callbacks = []
    found = {line["agent"]: line for line in readings(store)}
    assert found["plan"]["usage"] == ANTHROPIC
    assert found["build"]["usage"] == CHAT
    assert all(line["cost_source"] == "priced" and "genai-prices" in line["price_book"] for line in found.values())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::pytest.PytestWarning")
class TestLiteLlmInOneProcess:
    """LiteLLM keeps its callbacks as long as the process lives."""

    @pytest.fixture
    def litellm(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        litellm = sdk("litellm")
        for name in LISTS:
            monkeypatch.setattr(litellm, name, [])
        return litellm

    def call(self, litellm: Any) -> str:
        """The id of its answer, when LiteLLM has called every callback for it."""
        called = threading.Event()

        class Last(litellm.integrations.custom_logger.CustomLogger):  # type: ignore[misc]
            def log_success_event(self, *_: Any, **__: Any) -> None:
                called.set()

        last = Last()
        litellm.success_callback = [each for each in litellm.success_callback if type(each).__name__ != "Last"]
        litellm.callbacks = [*(each for each in litellm.callbacks if type(each).__name__ != "Last"), last]
        answer = litellm.completion(model="openai/gpt-5", mock_response="hello", **HELLO)
        assert called.wait(20)
        return str(answer.id)

    def charged(self, store: MemoryStore) -> dict[str, list[str]]:
        return {
            name: [line["message_id"] for line in store.read(name) if line["type"] == "cost_observed"]
            for name in sorted(store.workflow_ids())
        }

    def test_each_of_many_workflows_gets_its_own_calls(self, litellm: Any) -> None:
        store, made = MemoryStore(), {}
        for number in range(litellm.constants.MAX_CALLBACKS + 2):
            with workflow(name := f"w-{number:02}", store=store) as wf:
                litellm.callbacks = [litellm_callback(wf, agent="plan")]
                made[name] = [self.call(litellm)]
        assert self.charged(store) == made

    def test_a_call_after_the_end_is_not_charged(self, litellm: Any) -> None:
        store = MemoryStore()
        with workflow("one", store=store) as wf:
            litellm.callbacks = [callback := litellm_callback(wf)]
            made = self.call(litellm)
        self.call(litellm)
        assert self.charged(store) == {"one": [made]}
        assert callback not in litellm.logging_callback_manager.get_all_callbacks() + litellm.input_callback

    def test_workflows_that_are_open_at_once_are_each_charged(self, litellm: Any) -> None:
        store = MemoryStore()
        with workflow("one", store=store) as one, workflow("two", store=store) as two:
            litellm.callbacks = [litellm_callback(one, agent="plan"), litellm_callback(two, agent="plan")]
            made = [self.call(litellm)]
        assert self.charged(store) == {"one": made, "two": made}

    @pytest.mark.parametrize("error", [None, RuntimeError("no")])
    def test_a_call_of_the_block_that_is_reported_late_is_charged(self, error: Exception | None) -> None:
        sdk("litellm")
        store = MemoryStore()
        with suppress(RuntimeError), workflow("w", store=store) as wf:
            callback, started = litellm_callback(wf, agent="build"), datetime.now()  # noqa: DTZ005 - as LiteLLM's
            if error is not None:
                raise error
        after = datetime.now() + timedelta(seconds=1)  # noqa: DTZ005
        callback.log_success_event({}, ANSWER | {"id": "late"}, started, after)
        callback.log_success_event({}, ANSWER | {"id": "after"}, after, after)
        asyncio.run(callback.async_log_success_event({}, ANSWER | {"id": "after"}, after, after))
        assert [line["message_id"] for line in readings(store)] == ["late"]

    def test_a_failed_call_after_the_end_makes_litellm_forget_the_callback(self, litellm: Any) -> None:
        with workflow("w", store=MemoryStore()) as wf:
            litellm.callbacks = [callback := litellm_callback(wf), other := litellm_callback(wf)]
            litellm.failure_callback = [callback]
        after = datetime.now() + timedelta(seconds=1)  # noqa: DTZ005
        callback.log_failure_event({}, None, after, after)
        assert (litellm.callbacks, litellm.failure_callback) == ([other], [])
        asyncio.run(other.async_log_failure_event({}, None, after, after))
        assert litellm.callbacks == []


@pytest.mark.parametrize("metadata", [None, "a text", ["agent"], {"agent": 7, "session_id": []}])
def test_a_litellm_call_whose_metadata_is_of_another_kind_is_charged(metadata: object) -> None:
    sdk("litellm")
    store = MemoryStore()
    given = {"litellm_params": {"metadata": metadata}}
    litellm_callback(Workflow("w", store), agent="build").log_success_event(given, ANSWER, None, None)
    assert [(line["agent"], line["usage"]) for line in readings(store)] == [("build", ANTHROPIC)]


@pytest.mark.parametrize("make", [litellm_callback, span_processor])
def test_an_absent_package_is_named_with_its_install_command(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("litellm.integrations.custom_logger", "opentelemetry.sdk.trace"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"needs an optional package: .*\[(litellm|otel)\]"):
        make(Workflow("w", MemoryStore()))
