"""The Google Gen AI SDK: https://github.com/googleapis/python-genai; it calls Python functions for the model."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from google import genai
from google.genai import types
from pydantic import BaseModel

from tests.clients.programs.common import Job, run_shell_command

MODEL: Final = "gemini-2.5-pro"
DECLARED: Final = types.FunctionDeclaration.from_callable_with_api_option(
    callable=run_shell_command, api_option="GEMINI_API"
)
CONFIG: Final = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[DECLARED])])
FUNCTIONS: Final = types.GenerateContentConfig(tools=[run_shell_command])
"""With these the SDK calls the function itself."""


class Title(BaseModel):
    """A structured answer."""

    title: str


def main(job: Job) -> None:
    """Do what the prompt says."""
    retry = types.HttpRetryOptions(attempts=4, initial_delay=0.01, max_delay=0.02, http_status_codes=[429, 529])
    options = types.HttpOptions(base_url=job.address("gemini"), headers=job.headers, retry_options=retry)
    client = job.way("track").track(genai.Client(api_key="fake", http_options=options), agent="main")
    if job.says("ASYNC"):
        asyncio.run(in_tasks(job, client))
    elif job.says("THREADS"):
        job.in_threads(lambda prompt: converse(job, client, prompt))
    else:
        next((does for word, does in SPECIAL.items() if job.says(word)), converse)(job, client, job.prompt)


def converse(job: Job, client: genai.Client, prompt: str) -> None:
    """Ask until there is no function left to call."""
    contents: list[Any] = [types.UserContent(prompt)]

    def streamed() -> Any:
        return list(client.models.generate_content_stream(model=MODEL, contents=contents, config=CONFIG))[-1]

    def made() -> Any:
        return client.models.generate_content(model=MODEL, contents=contents, config=CONFIG)

    while True:
        answer = job.until_whole(streamed if job.is_streamed else made)
        job.charge(answer)
        if not answer.function_calls and not (job.is_streamed and len(contents) == 1 and job.says("USE_BASH")):
            return
        call = types.Part.from_function_call(name="run_shell_command", args={"command": "echo hi", "description": "x"})
        result = types.Part.from_function_response(name="run_shell_command", response={"output": "hi"})
        contents += [types.ModelContent(call), types.UserContent(result)]


async def in_tasks(job: Job, client: genai.Client) -> None:
    async def one(prompt: str) -> None:
        models = client.aio.models
        job.charge(await models.generate_content(model=MODEL, contents=prompt, config=CONFIG))
        async for chunk in await models.generate_content_stream(model=MODEL, contents=prompt, config=CONFIG):
            last = chunk
        job.charge(last)
        chat = client.aio.chats.create(model=MODEL)
        job.charge(await chat.send_message(prompt))

    await job.in_tasks(one)


def events(_: Job, client: genai.Client, prompt: str) -> None:
    chat = client.chats.create(model=MODEL)
    list(chat.send_message_stream(prompt))
    list(chat.send_message_stream("more"))


def left(_: Job, client: genai.Client, prompt: str) -> None:
    next(iter(client.models.generate_content_stream(model=MODEL, contents=prompt)))


def structured(job: Job, client: genai.Client, prompt: str) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Title)
    answer = client.models.generate_content(model=MODEL, contents=prompt, config=config)
    assert isinstance(answer.parsed, Title)
    job.charge(answer)


def runner(job: Job, client: genai.Client, prompt: str) -> None:
    """Let the SDK call the function: only its last response is returned."""
    job.charge(client.models.generate_content(model=MODEL, contents=prompt, config=FUNCTIONS))
    job.charge(client.chats.create(model=MODEL, config=FUNCTIONS).send_message(prompt))
    list(client.models.generate_content_stream(model=MODEL, contents=f"streamed: {prompt}", config=FUNCTIONS))


def searched(job: Job, client: genai.Client, prompt: str) -> None:
    config = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    job.charge(client.models.generate_content(model=MODEL, contents=prompt, config=config))
    job.charge(list(client.models.generate_content_stream(model=MODEL, contents=prompt, config=config))[-1])


def tiers(job: Job, client: genai.Client, prompt: str) -> None:
    for tier in types.ServiceTier:
        if tier is not types.ServiceTier.UNSPECIFIED:
            config = types.GenerateContentConfig(service_tier=tier)
            job.charge(client.models.generate_content(model=MODEL, contents=prompt, config=config))
            job.charge(list(client.models.generate_content_stream(model=MODEL, contents=prompt, config=config))[-1])


SPECIAL: Final = {
    "EVENTS": events,
    "LEFT": left,
    "STRUCTURED": structured,
    "RUNNER": runner,
    "USE_SEARCH": searched,
    "TIERS": tiers,
}

if __name__ == "__main__":
    Job.run(main)
