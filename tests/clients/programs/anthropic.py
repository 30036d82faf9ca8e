"""The Anthropic SDK: https://github.com/anthropics/anthropic-sdk-python."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from anthropic import Anthropic, AsyncAnthropic, beta_tool
from pydantic import BaseModel

from tests.clients.programs.common import COMMAND, Job, run_shell_command

MODEL: Final = "claude-sonnet-4-5-20250929"
NEWER: Final = "claude-opus-5-5"
"""One with a fast mode, regions and compaction."""
TOOL: Final = {"name": "run_shell_command", "description": "Run a command.", "input_schema": COMMAND}
REQUEST: Final[dict[str, Any]] = {"model": MODEL, "max_tokens": 1000, "tools": [TOOL]}


class Title(BaseModel):
    """A structured answer."""

    title: str


def main(job: Job) -> None:
    """Do what the prompt says."""
    given: Any = {"base_url": job.address("anthropic"), "api_key": "sk-ant-fake", "default_headers": job.headers}
    if job.says("ASYNC"):
        asyncio.run(in_tasks(job, job.way("track").track(AsyncAnthropic(**given), agent="main")))
        return
    client = job.way("track").track(Anthropic(**given), agent="main")
    if job.says("THREADS"):
        job.in_threads(lambda prompt: converse(job, client, prompt))
        return
    special = next((does for word, does in SPECIAL.items() if job.says(word)), converse)
    special(job, client, job.prompt)


def converse(job: Job, client: Anthropic, prompt: str) -> None:
    """Ask until there is no tool left to call."""
    messages: list[Any] = [{"role": "user", "content": prompt}]
    while True:
        message = job.until_whole(partial(asked, job, client, messages))
        job.charge(message)
        uses = [block for block in message.content if block.type == "tool_use"]
        if not uses:
            return
        results = [{"type": "tool_result", "tool_use_id": use.id, "content": "hi"} for use in uses]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]


def asked(job: Job, client: Anthropic, messages: list[Any]) -> Any:
    if job.is_streamed:
        with client.messages.stream(messages=messages, **REQUEST) as stream:
            "".join(stream.text_stream)
            return stream.get_final_message()
    if job.says("RAW"):
        return client.messages.with_raw_response.create(messages=messages, **REQUEST).parse()
    if job.says("USE_SEARCH"):
        search = {"type": "web_search_20250305", "name": "web_search"}
        return client.messages.create(messages=messages, **REQUEST | {"tools": [TOOL, search]})
    return client.messages.create(messages=messages, **REQUEST)


async def in_tasks(job: Job, client: AsyncAnthropic) -> None:
    async def one(prompt: str) -> None:
        messages: Any = [{"role": "user", "content": prompt}]
        job.charge(await client.messages.create(messages=messages, **REQUEST))
        async with client.messages.stream(messages=messages, **REQUEST) as stream:
            async for _ in stream.text_stream:
                pass
            job.charge(await stream.get_final_message())

    await job.in_tasks(one)


def events(_: Job, client: Anthropic, prompt: str) -> None:
    for betas in ({}, {"betas": ["context-1m-2025-08-07"]}):
        messages: Any = client.beta.messages if betas else client.messages
        stream = messages.create(messages=[{"role": "user", "content": prompt}], stream=True, **REQUEST, **betas)
        assert [event.type for event in stream][-1] == "message_stop"


def left(_: Job, client: Anthropic, prompt: str) -> None:
    with client.messages.stream(messages=[{"role": "user", "content": prompt}], **REQUEST) as stream:
        next(iter(stream.text_stream))


def structured(job: Job, client: Anthropic, prompt: str) -> None:
    messages: Any = [{"role": "user", "content": prompt}]
    message = client.messages.parse(messages=messages, output_format=Title, **REQUEST)
    assert message.parsed_output is not None
    job.charge(message)


def runner(job: Job, client: Anthropic, prompt: str) -> None:
    messages: Any = [{"role": "user", "content": prompt}]
    given: Any = REQUEST | {"tools": [beta_tool(run_shell_command)]}
    for message in client.beta.messages.tool_runner(messages=messages, **given):
        job.charge(message)
    for stream in client.beta.messages.tool_runner(messages=messages, stream=True, **given):
        job.charge(stream.get_final_message())


def batch(job: Job, client: Anthropic, prompt: str) -> None:
    params: Any = {"messages": [{"role": "user", "content": prompt}], **REQUEST}
    made = client.messages.batches.create(requests=[{"custom_id": str(at), "params": params} for at in range(3)])
    while client.messages.batches.retrieve(made.id).processing_status != "ended":
        pass
    for line in client.messages.batches.results(made.id):
        assert line.result.type == "succeeded"
        job.charge(line.result.message)
        job.way("track").charge(line.result.message, agent="main")


def newer(job: Job, client: Anthropic, prompt: str) -> None:
    """Use what only newer models have."""
    given: dict[str, Any] = REQUEST | {"model": NEWER, "messages": [{"role": "user", "content": prompt}]}
    if job.says("FAST"):
        given |= {"speed": "fast", "betas": ["fast-mode-2026-02-01"]}
    if job.says("REGION"):
        given |= {"inference_geo": "us"}
    if job.says("COMPACTED"):
        given |= {"betas": ["compact-2026-01-12"], "context_management": {"edits": [{"type": "compact_20260112"}]}}
    job.charge(client.beta.messages.create(**given))
    with client.beta.messages.stream(**given) as stream:
        job.charge(stream.get_final_message())


SPECIAL: Final = {
    "EVENTS": events,
    "LEFT": left,
    "STRUCTURED": structured,
    "RUNNER": runner,
    "BATCH": batch,
    "FAST": newer,
    "REGION": newer,
    "COMPACTED": newer,
}

if __name__ == "__main__":
    Job.run(main)
