"""Calls that make others, raw responses and answers of other kinds, with the real SDKs: each is charged once."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger import MemoryStore
from ledger.events.event import Line
from tests.ledger.capture.test_client_proxy import (
    ANTHROPIC,
    CHAT,
    GEMINI,
    HELLO,
    anthropic,
    charged,
    charged_tier,
    claude,
    gemini,
    only,
    openai,
    sdk,
    track,
)
from tests.ledger.capture.test_client_proxy import base as base  # fixtures
from tests.ledger.capture.test_client_proxy import store as store
from tests.ledger.fake_providers import ANTHROPIC as ANSWER


def tool_of(kind: str) -> Any:
    """A tool for a runner, synchronous or not."""
    if kind == "Anthropic":

        def weather() -> str:
            """How it is."""
            return "sunny"

        return sdk("anthropic").beta_tool(weather)

    async def asynchronous() -> str:
        """How it is."""
        return "sunny"

    return sdk("anthropic").beta_async_tool(asynchronous, name="weather")


def all_of(store: MemoryStore) -> list[Line]:
    gc.collect()
    return [line for line in store.read("w") if line["type"] == "cost_observed"]


def each(store: MemoryStore) -> dict[str, tuple[dict[str, int], bool]]:
    """The usage of each message, and whether it is partial."""
    return {line["message_id"]: (line["usage"], line.get("partial", False)) for line in all_of(store)}


class TestACallThatMakesOthers:
    """A tool runner, and google-genai's functions: every request of the loop is charged, and once."""

    runner = {"msg_tool": ({"input_tokens": 20, "output_tokens": 5}, False), "msg_1": (ANTHROPIC, False)}  # noqa: RUF012
    functions = {"gem_call": ({"input_tokens": 20, "output_tokens": 5}, False), "gem_1": (GEMINI, False)}  # noqa: RUF012

    def asked(self, kind: str) -> Any:
        return {"model": "any-claude", "max_tokens": 9, "tools": [tool_of(kind)]} | HELLO

    @pytest.mark.parametrize("streamed", [False, True])
    def test_a_tool_runner(self, base: str, store: MemoryStore, *, streamed: bool) -> None:
        client = anthropic(base, store)
        for message in client.beta.messages.tool_runner(stream=streamed, **self.asked("Anthropic")):
            assert not streamed or list(message)
        assert each(store) == self.runner
        assert {line["agent"] for line in all_of(store)} == {"build"}

    @pytest.mark.parametrize("streamed", [False, True])
    def test_an_asynchronous_tool_runner(self, base: str, store: MemoryStore, *, streamed: bool) -> None:
        async def run() -> None:
            async with anthropic(base, store, "AsyncAnthropic") as client:
                runner = client.beta.messages.tool_runner(stream=streamed, **self.asked("AsyncAnthropic"))
                async for message in runner:
                    assert not streamed or [event async for event in message]

        asyncio.run(run())
        assert each(store) == self.runner

    def test_a_tool_runner_of_a_copy_with_other_options(self, base: str, store: MemoryStore) -> None:
        runner = anthropic(base, store).with_options(timeout=9).beta.messages.tool_runner(**self.asked("Anthropic"))
        assert runner.until_done().id == "msg_1"
        assert each(store) == self.runner

    def test_a_tool_runner_whose_client_is_hidden_is_a_lower_bound_with_a_warning(
        self, store: MemoryStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Messages:
            def tool_runner(self) -> list[str]:
                return ["an answer"]

            def create(self) -> object:
                return ANSWER

        class Client:
            class beta:  # noqa: N801 - as SDKs call it
                messages = Messages()

        assert track(store, Client()).beta.messages.tool_runner() == ["an answer"]
        assert "beta.messages.tool_runner" in caplog.text
        assert only(store)["partial"] is True

    @pytest.mark.parametrize("way", ["call", "stream", "chat", "chat stream"])
    def test_functions_that_google_genai_calls_itself(self, base: str, store: MemoryStore, way: str) -> None:
        def weather() -> str:
            """How it is."""
            return "sunny"

        client: Any = gemini(base, store)
        asked = {"model": "gemini-2.5-flash", "config": {"tools": [weather]}}
        ways: dict[str, Callable[[], Any]] = {
            "call": lambda: client.models.generate_content(contents="hi", **asked),
            "stream": lambda: list(client.models.generate_content_stream(contents="hi", **asked)),
            "chat": lambda: client.chats.create(**asked).send_message("hi"),
            "chat stream": lambda: list(client.chats.create(**asked).send_message_stream("hi")),
        }
        ways[way]()
        assert each(store) == self.functions

    @pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # of google-genai, when aiohttp is there
    @pytest.mark.parametrize("way", ["call", "stream", "chat", "chat stream"])
    def test_functions_that_it_calls_asynchronously(self, base: str, store: MemoryStore, way: str) -> None:
        def weather() -> str:
            """How it is."""
            return "sunny"

        async def run() -> None:
            aio: Any = gemini(base, store).aio
            asked = {"model": "gemini-2.5-flash", "config": {"tools": [weather]}}
            if way == "call":
                await aio.models.generate_content(contents="hi", **asked)
            elif way == "chat":
                await aio.chats.create(**asked).send_message("hi")
            elif way == "stream":
                assert [_ async for _ in await aio.models.generate_content_stream(contents="hi", **asked)]
            else:
                assert [_ async for _ in await aio.chats.create(**asked).send_message_stream("hi")]

        asyncio.run(run())
        assert each(store) == self.functions

    def test_the_rest_of_a_loop_that_cannot_be_followed_makes_its_last_answer_a_lower_bound(
        self, store: MemoryStore
    ) -> None:
        class Client:
            class models:  # noqa: N801 - as SDKs call it
                @staticmethod
                def generate_content() -> object:
                    return ANSWER | {"automatic_function_calling_history": [{"parts": []}]}

        track(store, Client()).models.generate_content()
        assert (only(store)["usage"], only(store)["partial"]) == (ANTHROPIC, True)


class TestRawResponses:
    def test_one_that_was_read_is_charged_before_it_is_parsed(self, base: str, store: MemoryStore) -> None:
        response = claude(anthropic(base, store).messages.with_raw_response)
        charged(store, ANTHROPIC, "msg_1")
        assert response.parse().id == "msg_1"
        assert response.headers["content-type"] == "application/json"
        charged(store, ANTHROPIC, "msg_1")

    def test_of_the_whole_client(self, base: str, store: MemoryStore) -> None:
        openai(base, store).with_raw_response.chat.completions.create(model="gpt-5", **HELLO)
        charged(store, CHAT, "chatcmpl-1")

    def test_a_stream_that_it_is_parsed_to(self, base: str, store: MemoryStore) -> None:
        response = openai(base, store).chat.completions.with_raw_response.create(model="gpt-5", stream=True, **HELLO)
        assert [chunk.choices != [] for chunk in response.parse()] == [True] * 3
        assert response.parse() is response.parse()
        charged(store, CHAT, "chatcmpl-1")

    @pytest.mark.parametrize("read", ["parse", "json", "read", "text"])
    def test_a_streaming_response_that_is_read(self, base: str, store: MemoryStore, read: str) -> None:
        asked = {"model": "gpt-5", "input": "hi"}
        with openai(base, store).responses.with_streaming_response.create(**asked) as response:
            getattr(response, read)()
        assert charged_tier(store) == "flex"

    @pytest.mark.parametrize("read", ["iter_bytes", "iter_lines", "nothing"])
    def test_one_that_is_never_read_as_a_whole_is_a_lower_bound_with_one_warning(
        self, base: str, store: MemoryStore, caplog: pytest.LogCaptureFixture, read: str
    ) -> None:
        with claude(anthropic(base, store).messages.with_streaming_response) as response:
            assert read == "nothing" or list(getattr(response, read)())
        line = only(store)
        assert (line["model"], line["partial"], "usage" in line) == ("any-claude", True, False)
        (warning,) = [record.getMessage() for record in caplog.records if record.name == "costledger"]
        assert "messages.with_streaming_response.create" in warning

    def test_one_whose_stream_is_never_parsed_is_a_lower_bound(
        self, base: str, store: MemoryStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        openai(base, store).responses.with_raw_response.create(model="gpt-5", input="hi", stream=True)
        assert only(store)["partial"] is True
        assert "responses.with_raw_response.create" in caplog.text

    @pytest.mark.parametrize("streamed", [False, True])
    @pytest.mark.parametrize("way", ["with_raw_response", "with_streaming_response"])
    def test_asynchronous_ones(self, base: str, store: MemoryStore, way: str, *, streamed: bool) -> None:
        async def run() -> None:
            async with openai(base, store, "AsyncOpenAI") as client:
                made = getattr(client.responses, way).create(model="gpt-5", input="hi", stream=streamed)
                if way == "with_raw_response":
                    parsed = (await made).parse()
                    assert not streamed or [event async for event in parsed]
                else:
                    async with made as response:
                        parsed = await response.parse()
                        assert not streamed or [event async for event in parsed]

        asyncio.run(run())
        assert charged_tier(store) == "flex"


class TestOtherAnswers:
    def test_an_embedding_under_its_bare_name(self, base: str, store: MemoryStore) -> None:
        openai(base, store).embeddings.create(model="text-embedding-3-small", input="hi")
        assert (only(store)["cost_usd"], only(store).get("partial")) == ("0.000002", None)

    def test_an_image_is_charged_by_the_model_that_was_asked(self, base: str, store: MemoryStore) -> None:
        openai(base, store).images.generate(model="gpt-image-1", prompt="a dog")
        line = only(store)  # 100 tokens of text at $5, 200 of an image at $40
        assert (line["model"], line["cost_usd"], line.get("partial")) == ("gpt-image-1", "0.0085", None)

    def test_tokens_that_cost_more_than_text_make_a_lower_bound(self, base: str, store: MemoryStore) -> None:
        client = openai(base, store)
        client.images.edit(model="gpt-image-1", prompt="a cat", image=b"dog")  # its input holds an image, at $10
        assert (only(store)["cost_usd"], only(store)["partial"]) == ("0.0085", True)

    def test_a_transcription(self, base: str, store: MemoryStore) -> None:
        openai(base, store).audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", b"hello"))
        assert (only(store)["usage"], only(store)["partial"]) == ({"input_tokens": 100, "output_tokens": 7}, True)

    @pytest.mark.parametrize(
        ("name", "asked"),
        [
            ("audio.speech.create", {"model": "tts-1", "input": "hello", "voice": "alloy"}),
            ("audio.translations.create", {"model": "whisper-1", "file": ("a.mp3", b"hello")}),
            ("images.create_variation", {"model": "dall-e-2", "image": b"dog"}),
        ],
    )
    @pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of variations
    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_what_says_no_tokens_is_a_lower_bound_and_named_in_the_log(
        self,
        base: str,
        store: MemoryStore,
        caplog: pytest.LogCaptureFixture,
        name: str,
        asked: dict[str, Any],
        *,
        asynchronous: bool,
    ) -> None:
        def method(client: Any) -> Any:
            for part in name.split("."):
                client = getattr(client, part)
            return client(**asked)

        async def run() -> None:
            async with openai(base, store, "AsyncOpenAI") as client:
                await method(client)

        asyncio.run(run()) if asynchronous else method(openai(base, store))
        line = only(store)
        assert (line["model"], line["partial"], "usage" in line) == (asked["model"], True, False)
        assert len([record for record in caplog.records if record.name == "costledger"]) == 1

    def test_moderations_are_free(self, base: str, store: MemoryStore) -> None:
        openai(base, store).moderations.create(model="omni-moderation-latest", input="hi")
        assert list(store.workflow_ids()) == []

    def test_the_events_of_an_image_and_of_a_transcription_end_with_their_usage(self, store: MemoryStore) -> None:
        usage = {"input_tokens": 9, "input_tokens_details": {"image_tokens": 0}, "output_tokens": 5}

        class Client:
            class images:  # noqa: N801 - as SDKs call it
                @staticmethod
                def generate(**_: Any) -> Iterator[object]:
                    yield {"type": "image_generation.partial_image"}
                    yield {"type": "image_generation.completed", "usage": usage}

        stream = track(store, Client()).images.generate(model="gpt-image-1", stream=True)
        next(stream), next(stream)
        stream.close()
        line = only(store)
        assert (line["usage"], line["model"]) == ({"input_tokens": 9, "output_tokens": 5}, "gpt-image-1")
        assert "partial" not in line


def test_a_charge_is_not_lost_when_the_call_is_cancelled_before_a_thread_is_free(store: MemoryStore) -> None:
    class Client:
        class messages:  # noqa: N801 - as SDKs call it
            @staticmethod
            async def create() -> object:
                return ANSWER

    async def run() -> None:
        loop, free = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
        busy = loop.run_in_executor(None, free.wait)
        call = asyncio.ensure_future(track(store, Client()).messages.create())
        await asyncio.sleep(0.01)  # its answer is there, and waits to be recorded
        assert not call.done()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        free.set()
        await busy

    asyncio.run(run())
    charged(store, ANTHROPIC, "msg_1")
