"""The Claude Agent SDK: https://github.com/anthropics/claude-agent-sdk-python, with the Claude Code inside it."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, ResultMessage, query

from tests.clients.programs.common import Job

MODEL: Final = "claude-sonnet-4-5-20250929"
LONG_MODEL: Final = "claude-opus-4-5-20251101"


def main(job: Job) -> None:
    """Do what the prompt says, in the block of its workflow."""
    job.way("charge")
    asyncio.run(job.in_tasks(lambda prompt: one(job, prompt)) if job.says("ASYNC") else both(job))


async def both(job: Job) -> None:
    """Ask a client twice, and then once without one, in a session of its own."""
    await conversed(job)
    if job.says("STREAM"):
        await one(job, job.prompt)


async def conversed(job: Job) -> None:
    async with ClaudeSDKClient(options=options(job)) as client:
        for prompt in (job.prompt, "and once more"):
            await client.query(prompt)
            async for message in client.receive_response():
                charge(job, message)


async def one(job: Job, prompt: str) -> None:
    async for message in query(prompt=prompt, options=options(job)):
        charge(job, message)


def charge(job: Job, message: object) -> None:
    if isinstance(message, ResultMessage):
        job.charge(message)


def options(job: Job) -> ClaudeAgentOptions:
    environment: dict[str, Any] = {
        "ANTHROPIC_BASE_URL": job.address("anthropic"),
        "ANTHROPIC_API_KEY": "sk-ant-fake",
        "IS_SANDBOX": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ENABLE_TOOL_SEARCH": "false",
    }
    return ClaudeAgentOptions(
        model=LONG_MODEL if job.says("BIG_CONTEXT") else MODEL,
        allowed_tools=["Bash", "Task", "Agent", "WebSearch"],
        env=environment,
        continue_conversation=os.environ["TURN"] == "resume",
        include_partial_messages=job.is_streamed,
    )


if __name__ == "__main__":
    Job.run(main)
