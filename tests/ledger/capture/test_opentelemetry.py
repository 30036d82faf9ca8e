"""OpenTelemetry's span processor, with the real package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ledger import MemoryStore, span_processor
from ledger.capture.workflow import Workflow
from ledger.sources.findings import Call, Location, Options
from ledger.sources.grouping import WorkflowFinding
from ledger.sources.otlp import extract
from tests.ledger.capture.test_client_proxy import sdk


def readings(store: MemoryStore) -> list[dict[str, Any]]:
    return [line for line in store.read("w") if line["type"] == "cost_observed"]


CHAT_ATTRIBUTES = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}


def _imported(attributes: Mapping[str, Any], *, scope: str = "", status: Mapping[str, int] | None = None) -> list[bool]:
    """Whether each call of an exported span is a lower bound."""
    kinds = {int: "intValue", str: "stringValue"}
    given = [{"key": name, "value": {kinds[type(value)]: value}} for name, value in attributes.items()]
    given.append({"key": "costledger.workflow_id", "value": {"stringValue": "w"}})
    span = {"attributes": given, "status": dict(status or {})}
    request = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": [span]}]}]}
    calls = [found.reading for found in extract(request, Location("f", 1), Options()) if hasattr(found, "reading")]
    return [call.partial for call in calls if isinstance(call, Call)]


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

    @pytest.mark.parametrize(("failed", "calls"), [(False, 1), (True, 0)])
    def test_a_call_without_tokens_is_of_unknown_cost_unless_it_failed(self, failed: bool, calls: int) -> None:
        trace, store = sdk("opentelemetry.sdk.trace"), MemoryStore()
        provider = trace.TracerProvider()
        provider.add_span_processor(span_processor(Workflow("w", store)))
        span = provider.get_tracer("t").start_span("chat")
        span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"})
        if failed:
            span.set_status(sdk("opentelemetry.trace").StatusCode.ERROR)
        span.end()
        found = readings(store) if list(store.workflow_ids()) else []
        assert [(line["partial"], "cost_usd" in line) for line in found] == [(True, False)] * calls
        assert _imported(CHAT_ATTRIBUTES, status={"code": 2} if failed else {}) == [True] * calls

    @pytest.mark.parametrize(("details", "usage"), [({}, 0), ({"llm.token_count.prompt_details.cache_read": 60}, 40)])
    def test_an_input_whose_cached_part_is_not_reported_has_no_price(self, details: dict[str, int], usage: int) -> None:
        scope, store = "openinference.instrumentation.openai_agents", MemoryStore()
        provider = sdk("opentelemetry.sdk.trace").TracerProvider()
        provider.add_span_processor(span_processor(Workflow("w", store)))
        counts = {"llm.token_count.prompt": 100, "llm.token_count.completion": 7, "llm.model_name": "gpt-5"}
        with provider.get_tracer(scope).start_as_current_span("generation") as span:
            span.set_attributes(counts | details)
        (line,) = readings(store)
        assert (line["usage"]["input_tokens"], line.get("partial", False)) == (usage, not details)
        assert _imported(counts | details, scope=scope) == [not details]

    @pytest.mark.parametrize("kind", ["web_search_call", "message"])
    def test_a_search_in_an_exported_response_makes_the_cost_at_least(self, kind: str) -> None:
        counts = {"llm.token_count.prompt": 100, "llm.token_count.completion": 7, "llm.model_name": "gpt-5"}
        exported = {"output.value": f'{{"id":"resp_1","output":[{{"id":"x","type":"{kind}"}}]}}'}
        (line,) = readings(self.ended(**{name.replace(".", "__"): one for name, one in (counts | exported).items()}))
        assert line.get("partial", False) == (kind == "web_search_call")
        assert _imported(counts | exported) == [kind == "web_search_call"]

    @pytest.mark.parametrize(
        ("parameters", "tier"),
        [('{"service_tier": "flex"}', "flex"), ('{"service_tier": "auto"}', None), ("{", None), ("[]", None)],
    )
    def test_openinference_names_the_tier_among_the_parameters(self, parameters: str, tier: str | None) -> None:
        (line,) = readings(
            self.ended(llm__token_count__prompt=5, llm__model_name="gpt-5", llm__invocation_parameters=parameters)
        )
        assert line.get("service_tier") == tier

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
