"""LiteLLM: https://docs.litellm.ai; each prompt by OpenAI's two APIs, Anthropic and Gemini."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import litellm
from pydantic import BaseModel

from ledger import litellm_callback
from tests.clients.programs.common import COMMAND, Job

OPENAI: Final = "openai/gpt-5"
MODELS: Final = (OPENAI, "anthropic/claude-sonnet-4-5-20250929", "gemini/gemini-2.5-pro")
TOOL: Final = {
    "type": "function",
    "function": {"name": "run_shell_command", "description": "Run a command.", "parameters": COMMAND},
}


class Title(BaseModel):
    """A structured answer."""

    title: str


def main(job: Job) -> None:
    """Do what the prompt says."""
    litellm.suppress_debug_info = True
    litellm.callbacks = [litellm_callback(job.way("callback"), agent="main")]
    if job.says("ASYNC"):
        asyncio.run(job.in_tasks(lambda prompt: in_task(job, prompt)))
    elif job.says("THREADS"):
        job.in_threads(lambda prompt: converse(job, prompt))
    else:
        next((does for word, does in SPECIAL.items() if job.says(word)), converse)(job, job.prompt)


def given(job: Job, model: str) -> dict[str, Any]:
    """Return the arguments of every call of a model."""
    api = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini"}[model.partition("/")[0]]
    base = job.address(api) + {"openai": "/v1", "anthropic": "", "gemini": ""}[api]
    common = {"model": model, "api_base": base, "api_key": "sk-fake", "extra_headers": job.headers, "num_retries": 3}
    return common if api == "openai" else common | {"max_tokens": 1000}


def converse(job: Job, prompt: str) -> None:
    """Ask each model until there is no tool left to call."""
    for model in MODELS:
        messages: list[Any] = [{"role": "user", "content": f"{model}: {prompt}"}]
        while True:
            answer = job.until_whole(partial(asked, job, model, messages))
            job.charge(answer)
            message = answer.choices[0].message
            if not message.tool_calls:
                break
            messages.append(message.model_dump(exclude_none=True))
            messages += [{"role": "tool", "tool_call_id": use.id, "content": "hi"} for use in message.tool_calls]
    job.charge(litellm.responses(input=prompt, **given(job, OPENAI)))


def asked(job: Job, model: str, messages: list[Any]) -> Any:
    arguments: dict[str, Any] = {"messages": messages, "tools": [TOOL], **given(job, model)}
    if not job.is_streamed:
        return litellm.completion(**arguments)
    chunks = list(litellm.completion(stream=True, stream_options={"include_usage": True}, **arguments))
    return litellm.stream_chunk_builder(chunks, messages=messages)


async def in_task(job: Job, prompt: str) -> None:
    for model in MODELS:
        arguments: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}], **given(job, model)}
        job.charge(await litellm.acompletion(tools=[TOOL], **arguments))
        usage = {"include_usage": True}
        stream = await litellm.acompletion(tools=[TOOL], stream=True, stream_options=usage, **arguments)
        chunks = [chunk async for chunk in stream]
        job.charge(litellm.stream_chunk_builder(chunks))


def structured(job: Job, prompt: str) -> None:
    for model in MODELS:
        messages = [{"role": "user", "content": prompt}]
        job.charge(litellm.completion(messages=messages, response_format=Title, **given(job, model)))


def tiers(job: Job, prompt: str) -> None:
    for tier in ("flex", "priority", "auto"):
        messages = [{"role": "user", "content": prompt}]
        job.charge(litellm.completion(messages=messages, service_tier=tier, **given(job, OPENAI)))
        job.charge(litellm.responses(input=prompt, service_tier=tier, **given(job, OPENAI)))


def searched(job: Job, prompt: str) -> None:
    messages, (_, claude, _) = [{"role": "user", "content": prompt}], MODELS
    job.charge(litellm.completion(messages=messages, web_search_options={}, **given(job, claude)))
    job.charge(litellm.responses(input=prompt, tools=[{"type": "web_search"}], **given(job, OPENAI)))


SPECIAL: Final = {"STRUCTURED": structured, "TIERS": tiers, "USE_SEARCH": searched}

if __name__ == "__main__":
    Job.run(main)
