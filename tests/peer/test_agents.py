"""Frameworks for agents, as they come, against a running server: tools and structured output."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import instructor
import litellm
import openai
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.output import NativeOutput, ToolOutput
from pydantic_ai.providers.openai import OpenAIProvider

NODE = Path(__file__).parent / "node"
QUESTION = "What is the weather in Paris?"
RUNS = int(os.environ.get("CLLM_AGENT_RUNS", "5"))  # of what is asked again and again


class Weather(BaseModel):
    """The weather of a city."""

    city: str = Field(max_length=20)
    unit: Literal["celsius", "fahrenheit"]
    days: int = Field(ge=1, le=9)


@tool
def get_weather(city: str, days: int) -> str:
    """The weather of a city for some days."""
    return f"sunny in {city} for {days} days"


WEATHER_TOOL = {"type": "function", "function": {"name": "Weather", "parameters": Weather.model_json_schema()}}


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "Weather"}}])
def test_openai_gets_the_call_that_it_demands(client: openai.OpenAI, choice: object) -> None:
    for seed in range(RUNS):
        answer = client.chat.completions.create(model="any", messages=[{"role": "user", "content": QUESTION}], tools=[WEATHER_TOOL],
                                                tool_choice=choice, max_tokens=512, seed=seed, temperature=1)
        (call,) = answer.choices[0].message.tool_calls
        Weather.model_validate_json(call.function.arguments)


def test_openai_parses(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    parsed = client.chat.completions.parse(model="any", messages=messages, response_format=Weather, max_tokens=150)
    assert isinstance(parsed.choices[0].message.parsed, Weather)
    with_tool = client.chat.completions.parse(model="any", messages=messages, tools=[openai.pydantic_function_tool(Weather)], tool_choice="required",
                                              max_tokens=200)
    assert isinstance(with_tool.choices[0].message.tool_calls[0].function.parsed_arguments, Weather)
    with client.chat.completions.stream(model="any", messages=messages, response_format=Weather, max_tokens=150) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Weather)


def test_openai_async(url: str) -> None:
    async def ask() -> None:
        client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        answers = await asyncio.gather(*[
            client.chat.completions.create(model="any", messages=[{"role": "user", "content": QUESTION}], tools=[WEATHER_TOOL], tool_choice="required",
                                           max_tokens=200) for _ in range(4)])
        for answer in answers:
            Weather.model_validate_json(answer.choices[0].message.tool_calls[0].function.arguments)

    asyncio.run(ask())


def chain(url: str, **fields: object) -> ChatOpenAI:
    return ChatOpenAI(base_url=url, api_key="none", model="any", max_tokens=200, temperature=0, **fields)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_structured_output(url: str, method: str) -> None:
    assert isinstance(chain(url).with_structured_output(Weather, method=method).invoke(QUESTION), Weather)


def test_langchain_tools(url: str) -> None:
    model = chain(url).bind_tools([get_weather], tool_choice="required")
    called = model.invoke(QUESTION)
    (call,) = called.tool_calls
    assert call["name"] == "get_weather" and set(call["args"]) == {"city", "days"}
    result = ToolMessage(content=get_weather.invoke(call["args"]), tool_call_id=call["id"])
    assert chain(url).bind_tools([get_weather]).invoke([HumanMessage(QUESTION), called, result]).content is not None
    streamed = None
    for chunk in model.stream(QUESTION):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed.tool_calls[0]["args"] == call["args"]


@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA])
def test_instructor(client: openai.OpenAI, mode: instructor.Mode) -> None:
    answer = instructor.from_openai(client, mode=mode).chat.completions.create(
        model="any", messages=[{"role": "user", "content": QUESTION + " Answer as JSON."}], response_model=Weather, max_tokens=200, temperature=0,
        max_retries=0) if mode is not instructor.Mode.JSON else None
    # Mode.JSON only says that some object is wanted: what a small model puts into it is its own.
    assert answer is None or isinstance(answer, Weather)


@pytest.mark.parametrize("output", [ToolOutput, NativeOutput])
def test_pydantic_ai(url: str, output: type) -> None:
    model = OpenAIChatModel("any", provider=OpenAIProvider(base_url=url, api_key="none"))
    agent = Agent(model, output_type=output(Weather), model_settings={"max_tokens": 200, "temperature": 0})
    assert isinstance(agent.run_sync(QUESTION).output, Weather)


def test_litellm_tools(url: str) -> None:
    answer = litellm.completion(model="openai/any", api_base=url, api_key="none", messages=[{"role": "user", "content": QUESTION}], tools=[WEATHER_TOOL],
                                tool_choice="required", max_tokens=200)
    Weather.model_validate_json(answer.choices[0].message.tool_calls[0].function.arguments)
    formatted = litellm.completion(model="openai/any", api_base=url, api_key="none", messages=[{"role": "user", "content": QUESTION}],
                                   response_format=Weather, max_tokens=200)
    Weather.model_validate_json(formatted.choices[0].message.content)


@pytest.mark.parametrize("script", ["openai.mjs", "ai.mjs"])
def test_node(url: str, script: str) -> None:
    modules = os.environ.get("CLLM_NODE_MODULES")
    if shutil.which("node") is None or not modules:
        pytest.skip("node or its packages (CLLM_NODE_MODULES) are not there")
    result = subprocess.run(["node", script, url], cwd=NODE, capture_output=True, text=True,
                            timeout=300, check=False, env={**os.environ, "CLLM_NODE_MODULES": modules})
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["ok"] is True
