"""Agents' frameworks that bring packages of their own along, as they come, against a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal

import openai
import outlines
import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    WebSearchTool,
    function_tool,
    set_tracing_disabled,
)
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from outlines.types import Regex
from pydantic import BaseModel, Field
from smolagents import OpenAIServerModel, ToolCallingAgent, tool

QUESTION = "What is the weather in Paris?"
CONTEXT = 4096
TIMEOUT_S = 120.0
FAMILY = {"vision": False, "function_calling": True, "json_output": True, "family": "unknown", "structured_output": True}

set_tracing_disabled(True)  # it would be sent away


class Weather(BaseModel):
    """The weather of a city."""

    city: str = Field(max_length=20)
    unit: Literal["celsius", "fahrenheit"]


@function_tool
def city_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


@tool
def weather_of(city: str) -> str:
    """The weather of a city.

    Args:
        city: which one
    """
    return f"sunny in {city}"


async def weather_in(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def await_all(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, TIMEOUT_S))


@pytest.mark.parametrize("model_type", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
def test_openai_agents(url: str, model_type: type) -> None:
    async def work() -> None:
        model = model_type(model="any", openai_client=openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0))
        settings = ModelSettings(max_tokens=300, temperature=0)
        assert isinstance((await Runner.run(Agent(name="a", model=model, output_type=Weather, model_settings=settings), QUESTION)).final_output, Weather)
        demanding = ModelSettings(max_tokens=300, temperature=0, tool_choice="required")
        caller = Agent(name="a", model=model, tools=[city_weather], model_settings=demanding, tool_use_behavior="stop_on_first_tool")
        assert (await Runner.run(caller, QUESTION)).final_output.startswith("sunny in ")
        streamed = Runner.run_streamed(caller, QUESTION)
        kinds = {event.type async for event in streamed.stream_events()}
        assert streamed.final_output.startswith("sunny in ") and {"raw_response_event", "run_item_stream_event"} <= kinds
        helper = Agent(name="helper", model=model, output_type=Weather, model_settings=settings)
        handed_over = Agent(name="a", model=model, handoffs=[helper], model_settings=demanding)
        assert (await Runner.run(handed_over, QUESTION)).last_agent is helper
        wishes = ModelSettings(max_tokens=300, temperature=0, truncation="auto", verbosity="low", store=False, reasoning={"effort": "low"})
        assert (await Runner.run(Agent(name="a", model=model, output_type=Weather, model_settings=wishes), QUESTION)).final_output

    await_all(work())


def test_openai_agents_go_on_from_what_is_kept(url: str) -> None:
    async def work() -> None:
        model = OpenAIResponsesModel(model="any", openai_client=openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0))
        agent = Agent(name="a", model=model, output_type=Weather, model_settings=ModelSettings(max_tokens=300, temperature=0))
        first = await Runner.run(agent, QUESTION)
        assert (await Runner.run(agent, "And in Rome?", previous_response_id=first.last_response_id)).final_output
        assert (await Runner.run(agent, [*first.to_input_list(), {"role": "user", "content": "And in Rome?"}])).final_output
        searching = Agent(name="a", model=model, tools=[WebSearchTool(), city_weather], tool_use_behavior="stop_on_first_tool",
                          model_settings=ModelSettings(max_tokens=300, temperature=0, tool_choice="required"))
        assert (await Runner.run(searching, QUESTION)).final_output.startswith("sunny in ")
        with pytest.raises(openai.BadRequestError, match="web_search"):
            await Runner.run(Agent(name="a", model=model, tools=[WebSearchTool()]), QUESTION)

    await_all(work())


def test_smolagents(url: str) -> None:
    model = OpenAIServerModel(model_id="any", api_base=url, api_key="none", max_tokens=40, temperature=0)
    asked = [{"role": "user", "content": [{"type": "text", "text": "Name a fruit."}]}]
    whole = model.generate(asked).content
    assert whole and whole == "".join(delta.content or "" for delta in model.generate_stream(asked))
    assert ToolCallingAgent(tools=[weather_of], model=model, max_steps=1, verbosity_level=0).run(QUESTION)


def test_autogen(url: str) -> None:
    async def work() -> None:
        client = OpenAIChatCompletionClient(model="any", base_url=url, api_key="none", max_tokens=200, temperature=0, model_info=FAMILY)
        typed = await AssistantAgent("a", model_client=client, output_content_type=Weather).run(task=QUESTION)
        assert isinstance(typed.messages[-1].content, Weather)
        assert (await AssistantAgent("a", model_client=client, tools=[weather_in]).run(task=QUESTION)).messages[-1].content
        streamed = [event async for event in AssistantAgent("a", model_client=client, model_client_stream=True).run_stream(task=QUESTION)]
        assert len(streamed) > 3
        await client.close()

    await_all(work())


def test_outlines(url: str) -> None:
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    for model in (outlines.from_openai(client, "any"), outlines.from_vllm(client, "any"), outlines.from_sglang(client, "any")):
        assert Weather.model_validate_json(model(QUESTION, Weather, max_tokens=200))
    assert outlines.from_vllm(client, "any")(QUESTION, Literal["rain", "sun"], max_tokens=8) in ("rain", "sun")
    for model in (outlines.from_vllm(client, "any"), outlines.from_sglang(client, "any")):
        assert model("Name a number.", Regex("[0-9]{3}"), max_tokens=8).isdigit()
