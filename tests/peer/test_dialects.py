"""Clients of Anthropic's and Ollama's APIs, as they come, against a running server whose address alone was changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import litellm
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaLLM
from test_agents import NODE, QUESTION, WEATHER_TOOL, Weather, get_weather


@pytest.fixture
def root(url: str) -> str:
    return url.removesuffix("/v1")


def anthropics(root: str, **fields: object) -> ChatAnthropic:
    return ChatAnthropic(model="claude-opus-4-8", base_url=root, api_key="none", max_tokens=200, max_retries=0, **fields)


def ollamas(root: str, **fields: object) -> ChatOllama:
    return ChatOllama(model="any", base_url=root, num_predict=200, temperature=0, **fields)


@pytest.mark.parametrize("model_of", [anthropics, ollamas])
def test_langchain_chats(root: str, model_of: type[BaseChatModel]) -> None:
    model = model_of(root)
    answer = model.invoke(QUESTION)
    assert answer.content and answer.usage_metadata["output_tokens"] > 0
    assert "".join(str(chunk.text) for chunk in model.stream(QUESTION))


def test_langchain_calls_tools_by_anthropics_messages(root: str) -> None:
    model = anthropics(root).bind_tools([get_weather], tool_choice="any")
    called = model.invoke(QUESTION)
    (call,) = called.tool_calls
    assert call["name"] == "get_weather" and set(call["args"]) == {"city", "days"}
    result = ToolMessage(content=get_weather.invoke(call["args"]), tool_call_id=call["id"])
    assert anthropics(root).bind_tools([get_weather]).invoke([HumanMessage(QUESTION), called, result]).content is not None
    streamed = None
    for chunk in model.stream(QUESTION):
        streamed = chunk if streamed is None else streamed + chunk
    assert set(streamed.tool_calls[0]["args"]) == {"city", "days"}
    assert isinstance(anthropics(root).with_structured_output(Weather).invoke(QUESTION), Weather)


def test_langchain_has_structured_output_of_ollamas(root: str) -> None:
    assert isinstance(ollamas(root).with_structured_output(Weather, method="json_schema").invoke(QUESTION), Weather)
    assert ollamas(root).bind_tools([get_weather]).invoke(QUESTION) is not None
    assert OllamaLLM(model="any", base_url=root, num_predict=8).invoke("The capital of France is")


@pytest.mark.parametrize("route", ["anthropic/claude-opus-4-8", "ollama_chat/any", "ollama/any"])
def test_litellm_goes_by_each_route(root: str, route: str) -> None:
    asked = {"model": route, "api_base": root, "api_key": "none", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 40}
    answer = litellm.completion(**asked)
    assert answer.choices[0].message.content and answer.usage.completion_tokens > 0
    assert "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(stream=True, **asked))
    if route.startswith("anthropic"):
        called = litellm.completion(**{**asked, "max_tokens": 200}, tools=[WEATHER_TOOL], tool_choice="required")
        Weather.model_validate_json(called.choices[0].message.tool_calls[0].function.arguments)


@pytest.mark.parametrize("script", ["anthropic.mjs", "ollama.mjs", "providers.mjs", "langchain.mjs"])
def test_node(root: str, script: str) -> None:
    modules = os.environ.get("CLLM_NODE_MODULES")
    if shutil.which("node") is None or not modules:
        pytest.skip("node or its packages (CLLM_NODE_MODULES) are not there")
    result = subprocess.run(["node", script, root], cwd=NODE, capture_output=True, text=True,
                            timeout=300, check=False, env={**os.environ, "CLLM_NODE_MODULES": modules})
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["ok"] is True
