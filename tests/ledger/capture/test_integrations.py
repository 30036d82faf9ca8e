"""LiteLLM's callback and OpenTelemetry's span processor, with the real packages."""

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
from ledger.sources.findings import Call, Location, Options
from ledger.sources.grouping import WorkflowFinding
from ledger.sources.otlp import extract
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


class TestSpans:
    def ended(self, **attributes: Any) -> MemoryStore:
        """What one ended span leaves; `__` in a name stands for a dot."""
        trace, store = sdk("opentelemetry.sdk.trace"), MemoryStore()
        provider = trace.TracerProvider()
        provider.add_span_processor(span_processor(Workflow("w", store), agent="build"))
        with provider.get_tracer("t").start_as_current_span("chat") as span:
            for name, value in attributes.items():
                span.set_attribute(name.replace("__", "."), value)
        provider.shutdown()
        return store

    def test_input_includes_cached_tokens_and_ours_does_not(self) -> None:
        store = self.ended(
            gen_ai__operation__name="chat",
            gen_ai__response__model="claude-sonnet-4-5",
            gen_ai__response__id="msg_1",
            gen_ai__agent__name="plan",
            gen_ai__conversation__id="s-1",
            gen_ai__usage__input_tokens=540,
            gen_ai__usage__cache_read__input_tokens=500,
            gen_ai__usage__cache_creation__input_tokens=30,
            gen_ai__usage__output_tokens=7,
        )
        (line,) = readings(store)
        assert line["usage"] == {
            "input_tokens": 10,
            "cache_write_tokens": 30,
            "cache_read_tokens": 500,
            "output_tokens": 7,
        }
        assert (line["agent"], line["session_id"], line["message_id"]) == ("plan", "s-1", "msg_1")
        assert line["cost_source"] == "priced"
        assert line["partial"] is True, "its cache writes may have been 1-hour ones"
        assert "observed_at" in line

    @pytest.mark.parametrize(
        "names",
        [
            ("gen_ai__usage__prompt_tokens", "gen_ai__usage__completion_tokens", "gen_ai__request__model"),
            ("llm__usage__prompt_tokens", "llm__usage__completion_tokens", "llm__request__model"),
            ("llm__token_count__prompt", "llm__token_count__completion", "llm__model_name"),
        ],
    )
    def test_older_names_are_read(self, names: tuple[str, str, str]) -> None:
        (line,) = readings(self.ended(**dict(zip(names, (100, 7, "gpt-5"), strict=True))))
        assert (line["usage"], line["model"]) == ({"input_tokens": 100, "output_tokens": 7}, "gpt-5")
        assert len(line["message_id"]) == 32 + 1 + 16

    def test_an_exporter_that_leaves_cached_tokens_out_of_the_input_is_understood(self) -> None:
        store = self.ended(gen_ai__usage__input_tokens=10, gen_ai__usage__cache_read__input_tokens=500)
        assert readings(store)[0]["usage"]["input_tokens"] == 10

    def test_a_span_without_tokens_and_one_that_sums_up_others_are_no_calls(self) -> None:
        assert list(self.ended(http__method="GET").workflow_ids()) == []
        assert (
            list(self.ended(gen_ai__operation__name="invoke_agent", gen_ai__usage__input_tokens=5).workflow_ids()) == []
        )

    @pytest.mark.parametrize("spelled", [{"intValue": "100"}, {"stringValue": "100"}, {"doubleValue": 100.0}])
    def test_a_whole_number_is_a_count_however_it_is_spelled_here_as_in_a_file(self, spelled: dict[str, Any]) -> None:
        (given,) = spelled.values()
        (line,) = readings(self.ended(gen_ai__usage__input_tokens=given, gen_ai__response__model="gpt-5"))
        attributes = [
            {"key": "gen_ai.usage.input_tokens", "value": spelled},
            {"key": "costledger.workflow_id", "value": {"stringValue": "w"}},
        ]
        request = {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": attributes}]}]}]}
        (found,) = extract(request, Location("f", 1), Options())
        assert isinstance(found, WorkflowFinding)
        assert isinstance(found.reading, Call)
        assert line["usage"] == found.reading.usage == {"input_tokens": 100, "output_tokens": 0}

    @pytest.mark.parametrize("given", ["1.0", "-1", "١", "x", [1, 2], ["x"], [], True, 1.5, -1, 2**63, "", b"7"])
    @pytest.mark.parametrize("bucket", ["input_tokens", "output_tokens", "cache_read.input_tokens"])
    def test_a_count_that_is_none_never_ends_the_agent_and_is_named_in_the_log(
        self, bucket: str, given: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        counts = {"gen_ai__usage__input_tokens": 100, "gen_ai__usage__output_tokens": 7}
        store = self.ended(**counts | {f"gen_ai__usage__{bucket}": given}, gen_ai__response__model="gpt-5")
        named = [record.getMessage() for record in caplog.records if record.name == "costledger"]
        if given == "":  # an attribute that is empty is not there
            assert named == []
        else:
            assert len(named) == 1
            assert named[0].startswith("a call of workflow 'w' was not charged: ")
            assert not any(record.exc_info for record in caplog.records)
            (line,) = readings(store)
            assert (line["agent"], line["model"], line["partial"], "usage" in line) == ("build", "gpt-5", True, False)

    def test_spans_of_one_response_are_one_charge_without_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        trace, store = sdk("opentelemetry.sdk.trace"), MemoryStore()
        provider = trace.TracerProvider()
        provider.add_span_processor(span_processor(Workflow("w", store), agent="build"))
        given = {"gen_ai.usage.input_tokens": 5, "gen_ai.response.id": "r-1", "gen_ai.response.model": "gpt-5"}
        for end_time in (1_700_000_000_000_000_000, 1_700_000_001_000_000_000):
            span = provider.get_tracer("t").start_span("chat")
            span.set_attributes(given)
            span.end(end_time=end_time)
        assert len(readings(store)) == 1
        assert [record for record in caplog.records if record.levelname != "DEBUG"] == []

    @pytest.mark.parametrize("end_time", ["x", 10**30, -(10**30), float("nan")])
    def test_an_end_that_is_no_moment_leaves_the_charge(self, end_time: Any) -> None:
        trace, store = sdk("opentelemetry.sdk.trace"), MemoryStore()
        provider = trace.TracerProvider()
        provider.add_span_processor(span_processor(Workflow("w", store)))
        span = provider.get_tracer("t").start_span("chat")
        span.set_attributes({"gen_ai.usage.input_tokens": 5, "gen_ai.response.model": "gpt-5"})
        span.end(end_time=end_time)
        (line,) = readings(store)
        assert (line["usage"]["input_tokens"], "observed_at" in line) == (5, False)


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
