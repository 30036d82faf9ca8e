"""Pydantic AI: https://ai.pydantic.dev; each prompt by Anthropic, OpenAI's two APIs and Gemini."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from anthropic import AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel
from pydantic_ai import Agent, InstrumentationSettings, NativeOutput
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.programs.common import Job, run_shell_command
from tests.clients.programs.spans import provider_of

CLAUDE: Final = "claude-sonnet-4-5-20250929"


class Title(BaseModel):
    """A structured answer."""

    title: str


def main(job: Job) -> None:
    """Do what the prompt says."""
    provider = provider_of(job, "spans", exports=True)
    if job.says("ASYNC"):
        asyncio.run(job.in_tasks(lambda prompt: converse(job, provider, prompt)))
    elif job.says("THREADS"):
        job.in_threads(lambda prompt: asyncio.run(converse(job, provider, prompt)))
    else:
        asyncio.run(converse(job, provider, job.prompt))
    provider.shutdown()


async def converse(job: Job, provider: TracerProvider, prompt: str) -> None:
    settings = InstrumentationSettings(tracer_provider=provider)
    for model in models(job):
        agent: Any = Agent(
            model,
            tools=[] if job.says("STRUCTURED") else [run_shell_command],
            output_type=NativeOutput(Title) if job.says("STRUCTURED") else str,
            capabilities=[Instrumentation(settings=settings)],
        )
        for attempt in (1, 2):
            try:
                await asked(job, agent, f"{type(model).__name__}: {prompt}")
                break
            except Exception:
                if attempt == 2 or not job.says("DROP"):
                    raise


async def asked(job: Job, agent: Any, prompt: str) -> None:
    if not job.is_streamed:
        await agent.run(prompt)
        return
    async with agent.run_stream(prompt) as stream:
        async for _ in stream.stream_text():
            pass


def models(job: Job) -> Iterator[Any]:
    track = job.way("track").track
    claude: Any = AsyncAnthropic(base_url=job.address("anthropic"), api_key="sk-fake", default_headers=job.headers)
    yield AnthropicModel(CLAUDE, provider=AnthropicProvider(anthropic_client=track(claude, agent="main")))
    for kind in (OpenAIChatModel, OpenAIResponsesModel):
        base = f"{job.address('openai')}/v1"
        client = track(AsyncOpenAI(base_url=base, api_key="sk-fake", default_headers=job.headers), agent="main")
        yield kind("gpt-5", provider=OpenAIProvider(openai_client=client))
    retry = types.HttpRetryOptions(attempts=4, initial_delay=0.01, max_delay=0.02, http_status_codes=[429, 529])
    options = types.HttpOptions(base_url=job.address("gemini"), headers=job.headers, retry_options=retry)
    gemini = track(genai.Client(api_key="fake", http_options=options), agent="main")
    yield GoogleModel("gemini-2.5-pro", provider=GoogleProvider(client=gemini))


if __name__ == "__main__":
    Job.run(main)
