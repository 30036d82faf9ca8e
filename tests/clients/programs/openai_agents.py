"""The OpenAI Agents SDK: https://openai.github.io/openai-agents-python; each prompt by both APIs.

Its spans are those of two instrumentations: OpenInference's and OpenLLMetry's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import agents
from openai import AsyncOpenAI
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor as OpenInference
from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor as OpenLLMetry
from pydantic import BaseModel

from tests.clients.programs.common import Job, run_shell_command
from tests.clients.programs.spans import provider_of

KINDS: Final = (agents.OpenAIResponsesModel, agents.OpenAIChatCompletionsModel)


class Title(BaseModel):
    """A structured answer."""

    title: str


def main(job: Job) -> None:
    """Do what the prompt says."""
    providers = [provider_of(job, "spans", exports=True)]
    OpenInference().instrument(tracer_provider=providers[0])
    if not job.says("TIERS"):  # OpenLLMetry's spans do not name them
        providers.append(provider_of(job, "openllmetry", exports=False))
        OpenLLMetry().instrument(tracer_provider=providers[1])
    if job.says("ASYNC"):
        asyncio.run(job.in_tasks(lambda prompt: converse(job, prompt)))
    elif job.says("THREADS"):
        job.in_threads(lambda prompt: asyncio.run(converse(job, prompt)))
    else:
        asyncio.run(converse(job, job.prompt))
    for provider in providers:
        provider.shutdown()


async def converse(job: Job, prompt: str) -> None:
    for kind in KINDS[:1] if job.says("TIERS") else KINDS:  # OpenInference's spans of chats do not name them
        base = f"{job.address('openai')}/v1"
        client: Any = AsyncOpenAI(base_url=base, api_key="sk-fake", default_headers=job.headers)
        structured = {"output_type": Title} if job.says("STRUCTURED") else {}
        tools: list[Any] = [] if structured else [agents.function_tool(run_shell_command)]
        if job.says("USE_SEARCH") and kind is agents.OpenAIResponsesModel:
            tools.append(agents.WebSearchTool())
        settings = agents.ModelSettings(include_usage=True, extra_args=tier(job))
        model = kind("gpt-5", job.way("track").track(client, agent="main"))
        agent: Any = agents.Agent(name="a", model=model, tools=tools, model_settings=settings, **structured)
        for attempt in (1, 2):
            try:
                await asked(job, agent, f"{kind.__name__}: {prompt}")
                break
            except Exception:
                if attempt == 2 or not job.says("DROP"):
                    raise


def tier(job: Job) -> dict[str, Any]:
    return {"service_tier": "flex"} if job.says("TIERS") else {}


async def asked(job: Job, agent: Any, prompt: str) -> None:
    if not job.is_streamed:
        await agents.Runner.run(agent, prompt)
        return
    async for _ in agents.Runner.run_streamed(agent, prompt).stream_events():
        pass


if __name__ == "__main__":
    Job.run(main)
