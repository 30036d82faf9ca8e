"""Clients of the real SDKs, against a server of our own: whatever way a call is made, it is charged once."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import DirectoryStore, MemoryStore
from ledger.capture.workflow import Workflow
from ledger.errors import InvalidInput, LedgerUnavailable
from ledger.events.event import Line
from tests.ledger.fake_providers import ANTHROPIC as ANSWER
from tests.ledger.fake_providers import providers

ANTHROPIC = {
    "input_tokens": 10,
    "cache_write_tokens": 30,
    "cache_write_1h_tokens": 10,
    "cache_read_tokens": 500,
    "output_tokens": 7,
}
CHAT = {"input_tokens": 40, "cache_read_tokens": 60, "output_tokens": 7}
RESPONSE = {"input_tokens": 30, "cache_write_tokens": 10, "cache_read_tokens": 60, "output_tokens": 7}
GEMINI = {"input_tokens": 45, "cache_read_tokens": 60, "output_tokens": 10}
HELLO: Any = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with providers() as address:
        yield address


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def sdk(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        pytest.skip(f"{name} is not installed: pip install 'costledger[test]'")


def track(store: MemoryStore, client: Any) -> Any:
    return Workflow("w", store).track(client, agent="build")


def anthropic(base: str, store: MemoryStore, kind: str = "Anthropic") -> Any:
    return track(store, getattr(sdk("anthropic"), kind)(api_key="k", base_url=base, max_retries=0))


def openai(base: str, store: MemoryStore, kind: str = "OpenAI") -> Any:
    return track(store, getattr(sdk("openai"), kind)(api_key="k", base_url=f"{base}/v1", max_retries=0))


def gemini(base: str, store: MemoryStore) -> Any:
    genai = sdk("google.genai")
    return track(store, genai.Client(api_key="k", http_options={"base_url": base}))


def only_reading(store: MemoryStore) -> Line:
    gc.collect()
    lines = [line for line in store.read("w") if line["type"] == "cost_observed"]
    assert len(lines) == 1
    return lines[0]


def only(store: MemoryStore) -> Line:
    line = only_reading(store)
    assert line["agent"] == "build"
    return line


def charged(store: MemoryStore, usage: dict[str, int], message_id: str) -> Line:
    line = only(store)
    assert (line["usage"], line["message_id"], line.get("partial")) == (usage, message_id, None)
    assert line["cost_source"] == "priced"
    return line


def claude(messages: Any, **more: Any) -> Any:
    return messages.create(model="any-claude", max_tokens=9, **HELLO, **more)


class TestAnthropic:
    def test_a_call(self, base: str, store: MemoryStore) -> None:
        client = anthropic(base, store)
        assert claude(client.messages).content[0].text == "hello"
        assert charged(store, ANTHROPIC, "msg_1")["model"] == "claude-sonnet-4-5-20250929"

    def test_a_call_of_the_beta_and_one_through_a_copy_with_other_options(self, base: str, store: MemoryStore) -> None:
        client = anthropic(base, store)
        claude(client.with_options(timeout=9).beta.messages)
        charged(store, ANTHROPIC, "msg_1")

    def test_a_stream_read_to_its_end(self, base: str, store: MemoryStore) -> None:
        events = list(claude(anthropic(base, store).messages, stream=True))
        assert events[-1].type == "message_stop"
        charged(store, ANTHROPIC, "msg_1")

    @pytest.mark.parametrize("leave", ["close", "with", "drop"])
    def test_a_stream_left_half_way_is_partial(self, base: str, store: MemoryStore, leave: str) -> None:
        stream = claude(anthropic(base, store).messages, stream=True)
        if leave == "with":
            with stream as entered:
                next(entered)
        else:
            next(iter(stream))
        if leave == "close":
            stream.close()
        del stream
        line = only(store)
        assert (line["usage"], line["partial"]) == (ANTHROPIC | {"output_tokens": 1}, True)

    def test_the_stream_helper(self, base: str, store: MemoryStore) -> None:
        messages = anthropic(base, store).messages
        with messages.stream(model="any-claude", max_tokens=9, **HELLO) as stream:
            assert "".join(stream.text_stream) == "hello"
            assert stream.get_final_message().usage.output_tokens == 7
        charged(store, ANTHROPIC, "msg_1")

    def test_the_stream_helper_left_half_way_is_partial(self, base: str, store: MemoryStore) -> None:
        messages = anthropic(base, store).messages
        with messages.stream(model="any-claude", max_tokens=9, **HELLO) as stream:
            next(iter(stream.text_stream))
        assert only(store)["partial"] is True

    def test_asynchronous_calls_and_streams(self, base: str, store: MemoryStore) -> None:
        async def run() -> None:
            async with anthropic(base, store, "AsyncAnthropic") as client:
                await claude(client.messages)
                async for _ in await claude(client.messages, stream=True):
                    pass
                async with client.messages.stream(model="any-claude", max_tokens=9, **HELLO) as stream:
                    assert [text async for text in stream.text_stream] == ["hel", "lo"]

        asyncio.run(run())
        charged(store, ANTHROPIC, "msg_1")  # one message three times is one message

    def test_an_asynchronous_stream_left_half_way_is_partial(self, base: str, store: MemoryStore) -> None:
        async def run() -> None:
            client = anthropic(base, store, "AsyncAnthropic")
            async with client, await claude(client.messages, stream=True) as stream:
                await anext(stream)

        asyncio.run(run())
        assert only(store)["partial"] is True

    def test_a_call_that_fails_is_no_charge_and_fails_as_without_us(self, base: str, store: MemoryStore) -> None:
        client = anthropic(base, store)
        with pytest.raises(sdk("anthropic").NotFoundError):
            client.messages.count_tokens(model="m", **HELLO)
        assert list(store.workflow_ids()) == []

    def test_to_isinstance_it_is_the_client(self, base: str, store: MemoryStore) -> None:
        assert isinstance(anthropic(base, store), sdk("anthropic").Anthropic)


class TestOpenAI:
    def test_a_chat(self, base: str, store: MemoryStore) -> None:
        client = openai(base, store)
        client.chat.completions.create(model="gpt-5", **HELLO)
        assert "service_tier" not in charged(store, CHAT, "chatcmpl-1")

    @pytest.mark.parametrize("asked", [True, False])
    def test_a_streamed_chat_shows_the_chunk_with_its_usage_only_to_who_asked(
        self, base: str, store: MemoryStore, *, asked: bool
    ) -> None:
        more: Any = {"stream_options": {"include_usage": True}} if asked else {}
        stream = openai(base, store).chat.completions.create(model="gpt-5", stream=True, **HELLO, **more)
        chunks = list(stream)
        assert len(chunks) == (4 if asked else 3)
        assert all(chunk.choices for chunk in chunks[:3])
        charged(store, CHAT, "chatcmpl-1")

    def test_a_streamed_chat_left_half_way_is_partial_though_nothing_of_it_is_known(
        self, base: str, store: MemoryStore
    ) -> None:
        stream = openai(base, store).chat.completions.create(model="gpt-5", stream=True, **HELLO)
        next(stream)
        stream.close()
        line = only(store)
        assert ("usage" in line, "cost_usd" in line, line["partial"]) == (False, False, True)
        assert (line["model"], line["message_id"]) == ("gpt-5-2025-08-07", "chatcmpl-1")

    @pytest.mark.parametrize("options", [None, {"include_usage": True}, {"include_obfuscation": False}])
    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_the_chat_stream_helper_shows_usage_only_to_who_asked(
        self, base: str, store: MemoryStore, options: dict[str, bool] | None, *, asynchronous: bool
    ) -> None:
        more: Any = {} if options is None else {"stream_options": options}
        asked: Any = {"model": "gpt-5"} | HELLO | more

        async def run() -> Any:
            client = openai(base, store, "AsyncOpenAI")
            async with client, client.chat.completions.stream(**asked) as stream:
                return await stream.get_final_completion()

        if asynchronous:
            final = asyncio.run(run())
        else:
            with openai(base, store).chat.completions.stream(**asked) as stream:
                final = stream.get_final_completion()
        assert final.choices[0].message.content == "hello"
        assert (final.usage is not None) is (more == {"stream_options": {"include_usage": True}})
        charged(store, CHAT, "chatcmpl-1")

    def test_other_options_of_a_stream_stay(self, store: MemoryStore) -> None:
        requests: list[dict[str, Any]] = []

        class Client:
            class chat:  # noqa: N801 - as SDKs call it
                class completions:  # noqa: N801
                    @staticmethod
                    def stream(**asked: Any) -> Iterator[object]:
                        requests.append(asked)
                        return iter(())

        options = {"include_obfuscation": False}
        track(store, Client()).chat.completions.stream(stream_options=options)
        assert requests == [{"stream_options": {"include_obfuscation": False, "include_usage": True}}]
        assert options == {"include_obfuscation": False}

    def test_a_response_and_its_tier(self, base: str, store: MemoryStore) -> None:
        assert openai(base, store).responses.create(model="gpt-5", input="hi").output_text == "hello"
        assert charged_tier(store) == "flex"

    def test_a_streamed_response(self, base: str, store: MemoryStore) -> None:
        events = list(openai(base, store).responses.create(model="gpt-5", input="hi", stream=True))
        assert events[-1].type == "response.completed"
        assert charged_tier(store) == "flex"

    def test_the_response_stream_helper(self, base: str, store: MemoryStore) -> None:
        with openai(base, store).responses.stream(model="gpt-5", input="hi") as stream:
            assert stream.get_final_response().output_text == "hello"
        assert charged_tier(store) == "flex"

    def test_asynchronous_calls_and_streams(self, base: str, store: MemoryStore) -> None:
        async def run() -> None:
            async with openai(base, store, "AsyncOpenAI") as client:
                await client.chat.completions.create(model="gpt-5", **HELLO)
                async for _ in await client.chat.completions.create(model="gpt-5", stream=True, **HELLO):
                    pass

        asyncio.run(run())
        charged(store, CHAT, "chatcmpl-1")


def charged_tier(store: MemoryStore) -> str:
    line = only(store)
    assert (line["usage"], line["message_id"], line.get("partial")) == (RESPONSE, "resp_1", None)
    return str(line["service_tier"])


class TestGemini:
    @pytest.mark.parametrize("way", ["call", "stream", "chat", "chat stream"])
    def test_each_way_to_ask(self, base: str, store: MemoryStore, way: str) -> None:
        client, asked = gemini(base, store), {"model": "gemini-2.5-flash"}
        ways: dict[str, Callable[[], Any]] = {
            "call": lambda: client.models.generate_content(contents="hi", **asked),
            "stream": lambda: list(client.models.generate_content_stream(contents="hi", **asked)),
            "chat": lambda: client.chats.create(**asked).send_message("hi"),
            "chat stream": lambda: list(client.chats.create(**asked).send_message_stream("hi")),
        }
        ways[way]()
        charged(store, GEMINI, "gem_1")

    @pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # of google-genai, when aiohttp is there
    def test_asynchronous_calls_and_streams(self, base: str, store: MemoryStore) -> None:
        async def run() -> None:
            models = gemini(base, store).aio.models
            await models.generate_content(model="gemini-2.5-flash", contents="hi")
            async for _ in await models.generate_content_stream(model="gemini-2.5-flash", contents="hi"):
                pass

        asyncio.run(run())
        charged(store, GEMINI, "gem_1")


class TestALedgerThatFails:
    def test_never_takes_the_answer_away_and_is_charged_when_it_can(
        self, base: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        data = tmp_path / "data"
        data.write_text("a file where the folder should be")
        store = DirectoryStore(data)
        wf = Workflow("w", store)
        client = wf.track(sdk("anthropic").Anthropic(api_key="k", base_url=base))
        assert claude(client.messages).content[0].text == "hello"
        assert [record.levelno for record in caplog.records if record.module == "pending_events"] == [logging.ERROR]
        with pytest.raises(LedgerUnavailable) as caught:
            wf.flush()
        assert "1 charges of tracked calls are not in the ledger" in caught.value.__notes__[0]
        data.unlink()
        wf.flush()
        wf.flush()
        assert [line["type"] for line in store.read("w")] == ["ledger_opened", "cost_observed"]

    def test_a_repeat_with_another_agent_is_logged_once_and_left_out(
        self, store: MemoryStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        wf = Workflow("w", store)
        wf.charge(ANSWER, agent="build")
        wf.charge_later(ANSWER, agent="another")
        wf.flush()
        (logged,) = [
            (record.levelname, record.getMessage()) for record in caplog.records if record.module == "pending_events"
        ]
        assert logged == (
            "WARNING",
            "a repeat of a call of workflow 'w' is left out: it is counted once, at seq 2, with another agent",
        )
        assert only(store)["agent"] == "build"

    def test_a_charge_whose_id_is_taken_by_another_usage_is_an_error(
        self, store: MemoryStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        wf = Workflow("w", store)
        wf.charge(usage={"output_tokens": 1}, id="mine", message_id="msg_1", model="claude-sonnet-4-5-20250929")
        wf.charge_later(ANSWER, id="mine")
        (logged,) = [
            (record.levelname, record.getMessage()) for record in caplog.records if record.module == "pending_events"
        ]
        assert logged[0] == "ERROR"
        assert "a charge is left out, and never will be appended" in logged[1]
        assert "another usage" in logged[1]

    def test_an_answer_that_says_no_usage_is_named_in_the_log(
        self, store: MemoryStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Messages:
            def create(self) -> str:
                return "an answer of another kind"

        class Client:
            messages = Messages()

        assert track(store, Client()).messages.create() == "an answer of another kind"
        assert "no usage in 'str'" in caplog.text
        assert only(store)["partial"] is True


class _Broken:
    """The response of a modified SDK: its usage cannot be requested."""

    type = "message_delta"

    @property
    def usage(self) -> object:
        raise RuntimeError("no usage for you")


@pytest.mark.parametrize("event", [{"type": []}, {"type": {}, "usage": [1]}, {"usage": "x"}, 7, None, _Broken()])
def test_a_stream_is_passed_on_whatever_is_in_it(store: MemoryStore, event: object) -> None:
    start = {"type": "message_start", "message": ANSWER}

    class Client:
        class messages:  # noqa: N801 - as SDKs call it
            @staticmethod
            def create() -> Iterator[object]:
                return iter([start, event, {"type": "message_stop"}])

    assert list(track(store, Client()).messages.create()) == [start, event, {"type": "message_stop"}]
    assert only(store).get("partial") is (True if isinstance(event, _Broken) else None)


BAD: Any = {"id": "c-1", "model": "gpt-5", "usage": {"prompt_tokens": "10", "completion_tokens": 2}}


class TestACallThatCannotBeCharged:
    """It was made: the ledger has what is certain about it, in addition to the line in the log."""

    def missed(self, store: MemoryStore) -> list[dict[str, Any]]:
        lines = [line for line in store.read("w") if line["type"] == "cost_observed"]
        assert all(line["partial"] and not {"usage", "cost_usd"} & line.keys() for line in lines)
        names = ("agent", "session_id", "model", "message_id")
        return [{name: line[name] for name in names if name in line} for line in lines]

    def test_with_what_is_certain_once_however_often_it_comes(
        self, store: MemoryStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(2):
            Workflow("w", store).charge_later(BAD, agent="build", session_id="s-1")
        assert self.missed(store) == [
            {"agent": "build", "session_id": "s-1", "model": "gpt-5", "message_id": "c-1"},
        ]
        assert caplog.text.count("was not charged: field 'usage': prompt_tokens: expected a whole number") == 2
        assert "left out" not in caplog.text

    @pytest.mark.parametrize(
        ("answer", "certain"),
        [
            (BAD | {"model": 7}, {"message_id": "c-1"}),
            (BAD | {"model": "", "id": "c\n1"}, {}),
            ({"usage": "much", "model": "m"}, {"model": "m"}),
            ({"model": "m", "message_id": "no field of an answer"}, {"model": "m"}),
            (None, {}),
            (_Broken(), {}),
            (object(), {}),
        ],
    )
    def test_whatever_it_is(self, store: MemoryStore, answer: object, certain: dict[str, str]) -> None:
        Workflow("w", store).charge_later(answer, agent="a\nb", observed_at="yesterday")
        (found,) = self.missed(store)
        own_id = only_reading(store)["id"]
        assert found == {"message_id": own_id} | certain

    def test_a_charge_of_it_is_refused_and_leaves_nothing(self, store: MemoryStore) -> None:
        with pytest.raises(InvalidInput, match="prompt_tokens"):
            Workflow("w", store).charge(BAD)
        assert list(store.workflow_ids()) == []


@pytest.mark.parametrize("client", [None, object(), "anthropic", {"messages": 1}, Path("x"), int])
def test_a_client_that_cannot_be_followed_is_refused(store: MemoryStore, client: object) -> None:
    with pytest.raises(InvalidInput, match="no client of Anthropic, OpenAI or Gemini"):
        track(store, client)


def test_a_charge_of_nothing_says_so(store: MemoryStore) -> None:
    with pytest.raises(InvalidInput, match="takes a response, a usage or a cost"):
        Workflow("w", store).charge(None)
    assert list(store.workflow_ids()) == []
