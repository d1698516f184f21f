"""LlamaIndex, as it comes, against a running server: chats, streams, tools, structured output."""

from __future__ import annotations

import asyncio

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field

QUESTION = "What is the weather in Paris?"


class Weather(BaseModel):
    """The weather of a city."""

    city: str = Field(max_length=20)
    days: int = Field(ge=1, le=9)


def get_weather(city: str, days: int) -> str:
    """The weather of a city for some days."""
    return f"sunny in {city} for {days} days"


def indexed(url: str) -> OpenAILike:
    return OpenAILike(model="any", api_base=url, api_key="none", max_retries=0, max_tokens=200, temperature=0, context_window=512,
                      is_chat_model=True, is_function_calling_model=True)


def test_llama_index_chats(url: str) -> None:
    asked = [ChatMessage(role="user", content=QUESTION)]
    whole = indexed(url).chat(asked)
    assert whole.message.content
    assert "".join(piece.delta for piece in indexed(url).stream_chat(asked)) == whole.message.content
    assert asyncio.run(indexed(url).achat(asked)).message.content == whole.message.content
    assert indexed(url).complete("The capital of France is").text


def test_llama_index_calls_tools(url: str) -> None:
    weather = FunctionTool.from_defaults(fn=get_weather)
    called = indexed(url).chat_with_tools([weather], user_msg=QUESTION, tool_required=True)
    (call,) = indexed(url).get_tool_calls_from_response(called)
    assert call.tool_name == "get_weather" and set(call.tool_kwargs) == {"city", "days"}
    *_, streamed = indexed(url).stream_chat_with_tools([weather], user_msg=QUESTION, tool_required=True)
    assert indexed(url).get_tool_calls_from_response(streamed)[0].tool_kwargs == call.tool_kwargs
    result = ChatMessage(role="tool", content=weather.call(**call.tool_kwargs).content, additional_kwargs={"tool_call_id": call.tool_id})
    assert indexed(url).chat([ChatMessage(role="user", content=QUESTION), called.message, result]).message.content is not None
    assert isinstance(indexed(url).as_structured_llm(Weather).complete(QUESTION).raw, Weather)
