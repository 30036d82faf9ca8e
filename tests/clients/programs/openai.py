"""The OpenAI SDK: https://github.com/openai/openai-python; each prompt by chat completions, then by responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.clients.programs.common import COMMAND, Job

MODEL: Final = "gpt-5"
_FUNCTION: Final = {"name": "run_shell_command", "description": "Run a command.", "parameters": COMMAND}
CHAT: Final[dict[str, Any]] = {"model": MODEL, "tools": [{"type": "function", "function": _FUNCTION}]}
RESPONSES: Final[dict[str, Any]] = {"model": MODEL, "tools": [{"type": "function", **_FUNCTION, "strict": False}]}


class Title(BaseModel):
    """A structured answer."""

    title: str


def main(job: Job) -> None:
    """Do what the prompt says."""
    given: Any = {
        "base_url": f"{job.address('openai')}/v1",
        "api_key": "sk-fake",
        "default_headers": job.headers,
    }
    if job.says("ASYNC"):
        asyncio.run(in_tasks(job, job.way("track").track(AsyncOpenAI(**given), agent="main")))
        return
    client = job.way("track").track(OpenAI(**given), agent="main")
    if job.says("THREADS"):
        job.in_threads(lambda prompt: converse(job, client, prompt))
        return
    next((does for word, does in SPECIAL.items() if job.says(word)), converse)(job, client, job.prompt)


def converse(job: Job, client: OpenAI, prompt: str) -> None:
    """Ask until there is no tool left to call, by both APIs."""
    messages: list[Any] = [{"role": "user", "content": f"by chat: {prompt}"}]
    while uses := chatted(job, client, messages):
        messages += [{"role": "tool", "tool_call_id": use.id, "content": "hi"} for use in uses]
    items: list[Any] = [{"role": "user", "content": f"by responses: {prompt}"}]
    while calls := responded(job, client, items):
        items += [{"type": "function_call_output", "call_id": one.call_id, "output": "hi"} for one in calls]


def chatted(job: Job, client: OpenAI, messages: list[Any]) -> list[Any]:
    completions = client.chat.completions
    ways: dict[str, Callable[[], Any]] = {
        "RAW": lambda: completions.with_raw_response.create(messages=messages, **CHAT).parse(),
        "": lambda: completions.create(messages=messages, **CHAT),
    }

    def streamed() -> Any:
        with completions.stream(messages=messages, stream_options={"include_usage": True}, **CHAT) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion()

    answer = job.until_whole(streamed if job.is_streamed else ways["RAW" if job.says("RAW") else ""])
    job.charge(answer)
    messages.append(answer.choices[0].message)
    return answer.choices[0].message.tool_calls or []


def responded(job: Job, client: OpenAI, items: list[Any]) -> list[Any]:
    given: dict[str, Any] = RESPONSES
    if job.says("USE_SEARCH"):
        given = given | {"tools": [*RESPONSES["tools"], {"type": "web_search"}]}

    def streamed() -> Any:
        with client.responses.stream(input=items, **given) as stream:
            return stream.get_final_response()

    def made() -> Any:
        if job.says("RAW"):
            return client.responses.with_raw_response.create(input=items, **given).parse()
        return client.responses.create(input=items, **given)

    answer = job.until_whole(streamed if job.is_streamed else made)
    job.charge(answer)
    items += [item.model_dump(exclude_none=True) for item in answer.output if item.type == "function_call"]
    return [item for item in answer.output if item.type == "function_call"]


async def in_tasks(job: Job, client: AsyncOpenAI) -> None:
    async def one(prompt: str) -> None:
        messages: Any = [{"role": "user", "content": prompt}]
        usage: Any = {"include_usage": True}
        job.charge(await client.chat.completions.create(messages=messages, **CHAT))
        async with client.chat.completions.stream(messages=messages, stream_options=usage, **CHAT) as chat:
            async for _ in chat:
                pass
            job.charge(await chat.get_final_completion())
        job.charge(await client.responses.create(input=prompt, **RESPONSES))
        async with client.responses.stream(input=prompt, **RESPONSES) as stream:
            job.charge(await stream.get_final_response())

    await job.in_tasks(one)


def events(_: Job, client: OpenAI, prompt: str) -> None:
    messages: Any = [{"role": "user", "content": prompt}]
    for options in ({}, {"stream_options": {"include_usage": True}}):
        given: Any = CHAT | options
        chunks = list(client.chat.completions.create(messages=messages, stream=True, **given))
        assert bool(chunks[-1].usage) == bool(options)
    kinds = [event.type for event in client.responses.create(input=prompt, stream=True, **RESPONSES)]
    assert kinds[-1] == "response.completed"


def left(_: Job, client: OpenAI, prompt: str) -> None:
    with client.responses.create(input=prompt, stream=True, **RESPONSES) as stream:
        next(iter(stream))
    messages: Any = [{"role": "user", "content": prompt}]
    with client.chat.completions.create(messages=messages, stream=True, **CHAT) as chunks:
        next(iter(chunks))


def structured(job: Job, client: OpenAI, prompt: str) -> None:
    messages: Any = [{"role": "user", "content": prompt}]
    chat = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Title)
    response = client.responses.parse(model=MODEL, input=prompt, text_format=Title)
    assert chat.choices[0].message.parsed is not None
    assert response.output_parsed is not None
    job.charge(chat)
    job.charge(response)


def tiers(job: Job, client: OpenAI, prompt: str) -> None:
    messages: Any = [{"role": "user", "content": prompt}]
    for tier in ("flex", "priority", "auto", "default"):
        given: Any = {"service_tier": tier}
        for model in (MODEL, "gpt-5-mini"):
            job.charge(client.chat.completions.create(messages=messages, **CHAT | given | {"model": model}))
            job.charge(client.responses.create(input=prompt, **RESPONSES | given | {"model": model}))


SPECIAL: Final = {"EVENTS": events, "LEFT": left, "STRUCTURED": structured, "TIERS": tiers}

if __name__ == "__main__":
    Job.run(main)
