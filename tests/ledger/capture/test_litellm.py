"""LiteLLM's callback with the real package: nothing is lost, and an unknown cost makes a lower bound."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ledger import DirectoryStore, MemoryStore, litellm_callback
from ledger.capture.litellm import LISTS
from ledger.capture.workflow import Workflow
from tests.ledger.capture.test_client_proxy import CHAT, HELLO, sdk
from tests.ledger.fake_providers import ANTHROPIC as ANSWER
from tests.ledger.fake_providers import providers

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::pytest.PytestWarning"
)

DROPPED: Any = {"messages": [{"role": "user", "content": "DROP"}]}
ASKS: Any = {"stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with providers() as address:
        yield address


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network for one
    litellm = sdk("litellm")
    for name in LISTS:
        monkeypatch.setattr(litellm, name, [])
    yield litellm
    for name in LISTS:
        getattr(litellm, name).clear()
    gc.collect()  # what broken streams leave complains when it goes: here, not in the middle of another test


def chat(base: str) -> Any:
    return {"model": "openai/gpt-5", "api_base": f"{base}/v1", "api_key": "k", "num_retries": 0}


def claude(base: str) -> Any:
    return {"model": "anthropic/claude-sonnet-4-5", "api_base": base, "api_key": "k", "num_retries": 0}


def reading(litellm: Any, asked: dict[str, Any], *, asynchronous: bool) -> dict[str, Any]:
    """The one reading that a stream leaves, which is read as far as it goes."""
    store = MemoryStore()
    litellm.callbacks = [litellm_callback(Workflow("w", store), agent="build")]

    def found() -> list[Any]:
        names = list(store.workflow_ids())
        return [line for line in store.read("w") if line["type"] == "cost_observed"] if names else []

    async def run() -> None:
        with suppress(Exception):  # LiteLLM has several for a stream that breaks
            async for _ in await litellm.acompletion(stream=True, **asked):
                pass
        for _ in range(600):
            if found():
                break
            await asyncio.sleep(0.05)

    if asynchronous:
        asyncio.run(run())
    else:
        with suppress(Exception):  # LiteLLM has several for a stream that breaks
            list(litellm.completion(stream=True, **asked))
        for _ in range(600):
            if found():
                break
            time.sleep(0.05)
    (line,) = found()
    return dict(line)


@pytest.mark.parametrize("asynchronous", [False, True])
class TestStreams:
    def test_one_whose_usage_was_asked_for_is_charged(self, litellm: Any, base: str, *, asynchronous: bool) -> None:
        line = reading(litellm, chat(base) | HELLO | ASKS, asynchronous=asynchronous)
        assert (line["usage"], line.get("partial")) == (CHAT, None)

    def test_a_guess_of_litellm_is_no_usage_but_a_lower_bound(
        self, litellm: Any, base: str, caplog: pytest.LogCaptureFixture, *, asynchronous: bool
    ) -> None:
        line = reading(litellm, chat(base) | HELLO, asynchronous=asynchronous)
        assert (line["partial"], line["agent"], {"usage", "cost_usd"} & line.keys()) == (True, "build", set())
        assert "include_usage" in caplog.text

    def test_one_that_breaks_is_a_lower_bound(self, litellm: Any, base: str, *, asynchronous: bool) -> None:
        line = reading(litellm, chat(base) | DROPPED | ASKS, asynchronous=asynchronous)
        assert (line["partial"], {"usage", "cost_usd"} & line.keys()) == (True, set())

    def test_one_of_claude_that_breaks_has_its_input_if_litellm_reports_that(
        self, litellm: Any, base: str, *, asynchronous: bool
    ) -> None:
        line = reading(litellm, claude(base) | DROPPED, asynchronous=asynchronous)
        assert line["partial"] is True
        cached = {"cache_write_tokens": 30, "cache_write_1h_tokens": 10, "cache_read_tokens": 500}
        assert line.get("usage") == ({"input_tokens": 10, "output_tokens": 0} | cached if asynchronous else None)


SCRIPT = """
import asyncio, sys
import litellm
from ledger import litellm_callback, workflow
base, data = sys.argv[1:]
hello = [{"role": "user", "content": "hi"}]
asked = dict(model="openai/gpt-5", api_base=base, api_key="k", num_retries=0, messages=hello)
async def main():
    await litellm.acompletion(metadata={"agent": "plan"}, **asked)  # the loop ends before LiteLLM reports it
with workflow("left", data=data) as wf:
    litellm.callbacks = [litellm_callback(wf, agent="build")]
    next(litellm.completion(stream=True, **asked))
with workflow("ended", data=data) as wf:
    litellm.callbacks = [litellm_callback(wf, agent="build")]
    asyncio.run(main())
"""


def test_what_litellm_has_not_reported_when_the_program_ends_is_not_lost(base: str, tmp_path: Path) -> None:
    sdk("litellm")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, f"{base}/v1", str(tmp_path)],
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    store = DirectoryStore(tmp_path)
    (ended,) = [line for line in store.read("ended") if line["type"] == "cost_observed"]
    assert (ended["usage"], ended["agent"], ended["message_id"]) == (CHAT, "plan", "chatcmpl-1")
    left = [line for line in store.read("left") if line["type"] == "cost_observed"]
    assert [(line["agent"], line["partial"], "usage" in line) for line in left] == [("build", True, False)]
    assert "gpt-5" in run.stderr


def test_an_answer_of_litellms_cache_costs_nothing() -> None:
    sdk("litellm")
    store = MemoryStore()
    callback = litellm_callback(Workflow("w", store))
    callback.log_success_event({"cache_hit": True}, ANSWER, None, None)
    asyncio.run(callback.async_log_success_event({"cache_hit": True}, ANSWER, None, None))
    assert list(store.workflow_ids()) == []


def test_a_request_that_fails_costs_nothing() -> None:
    sdk("litellm")
    store = MemoryStore()
    callback = litellm_callback(Workflow("w", store))
    callback.log_pre_api_call("gpt-5", [], {"litellm_call_id": "c-1"})
    asyncio.run(callback.async_log_failure_event({"litellm_call_id": "c-1", "stream": True}, None, None, None))
    assert list(store.workflow_ids()) == []


def answer_of(litellm: Any, text: str, tokens: Callable[[Any], int]) -> Any:
    counted = litellm.token_counter(model="gpt-5", text=text, count_response_tokens=True)
    usage = {"prompt_tokens": 9, "completion_tokens": tokens(counted), "prompt_tokens_details": None}
    return {"id": "c-1", "model": "gpt-5", "choices": [{"message": {"content": text}}], "usage": usage}


@pytest.mark.parametrize(("tokens", "guess"), [(lambda counted: counted, True), (lambda counted: counted + 5, False)])
def test_a_server_that_was_asked_and_shows_no_details_is_believed_unless_it_says_what_litellm_would(
    litellm: Any, tokens: Any, *, guess: bool
) -> None:
    store = MemoryStore()
    request = {"stream": True, "model": "gpt-5", "optional_params": ASKS}
    answer = answer_of(litellm, "a few words", tokens)
    litellm_callback(Workflow("w", store)).log_success_event(request, answer, None, None)
    (line,) = [line for line in store.read("w") if line["type"] == "cost_observed"]
    assert (line.get("partial"), "usage" in line) == (True if guess else None, not guess)
