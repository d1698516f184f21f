"""Clients of other projects, as they come, against a running server.

GuideLLM brings gigabytes along; its test runs where it is installed beside the others.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import litellm
import pytest
from conftest import CONTEXT
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAI

RUN_TIMEOUT_S = 300.0
SCRIPTS = Path(sys.executable).parent  # of this Python environment
QUESTION = "Name a fruit."
TOO_LONG = "word " * 600

MODELS = """
- model_id: chat
  model_name: any
  api_base: {url}
- model_id: text
  model_name: any
  api_base: {url}
  completion: true
- model_id: tools
  model_name: any
  api_base: {url}
  supports_tools: true
  supports_schema: true
"""

# What it calls it says, and the file of that name shows that it did.
LOOK = """
def look(city: str) -> str:
    "The weather of a city."
    with open("called", "w") as file:
        file.write(city)
    return "sunny"
"""
CALL = '<tool_call>\n{"name": "look", "arguments": {"city": "Paris"}}\n</tool_call>'

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate, system_message

@task
def tiny():
    samples = [Sample(input="Say hello.", target="hello"), Sample(input="Name a fruit.", target="apple")]
    return Task(dataset=samples, solver=[system_message("Be short."), generate()], scorer=match())
"""


def run(folder: Path, program: str, *arguments: str, **environment: str) -> str:
    """What a program of this Python environment prints in a folder. It must succeed."""
    result = subprocess.run([SCRIPTS / program, *arguments], cwd=folder, capture_output=True, text=True, timeout=RUN_TIMEOUT_S,
                            env={**os.environ, **environment}, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def lite(url: str, **fields: object) -> dict:
    return {"model": "openai/any", "api_base": url, "api_key": "none", "max_tokens": 8,
            "messages": [{"role": "user", "content": QUESTION}], **fields}


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm", "llamafile", "lm_studio"])
def test_litellm(url: str, provider: str) -> None:
    answer = litellm.completion(**lite(url, model=f"{provider}/any"))
    assert answer.choices[0].message.content and answer.usage.completion_tokens <= 8
    history = [{"role": "user", "content": QUESTION}, answer.choices[0].message.model_dump(), {"role": "user", "content": "More."}]
    assert litellm.completion(**lite(url, model=f"{provider}/any", messages=history)).choices[0].message.content


def test_litellm_stream(url: str) -> None:
    whole = litellm.completion(**lite(url)).choices[0].message.content
    chunks = list(litellm.completion(**lite(url, stream=True, stream_options={"include_usage": True})))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert asyncio.run(litellm.acompletion(**lite(url))).choices[0].message.content == whole


def test_litellm_text(url: str) -> None:
    answer = litellm.text_completion(model="text-completion-openai/any", api_base=url, api_key="none", prompt="Once upon a", max_tokens=4)
    assert answer.choices[0].text


@pytest.mark.parametrize("stream", [False, True])
def test_litellm_knows_a_prompt_that_is_too_long(url: str, stream: bool) -> None:
    with pytest.raises(litellm.ContextWindowExceededError, match=f"maximum context length is {CONTEXT} tokens"):
        litellm.completion(**lite(url, messages=[{"role": "user", "content": TOO_LONG}], stream=stream))


def langchain(url: str, **fields: object) -> ChatOpenAI:
    return ChatOpenAI(model="any", base_url=url, api_key="none", max_tokens=8, **fields)


def test_langchain(url: str) -> None:
    model = langchain(url)
    answer = model.invoke(QUESTION)
    assert answer.content and answer.usage_metadata["output_tokens"] <= 8
    assert model.invoke([HumanMessage(QUESTION), answer, HumanMessage("More.")]).content
    assert model.invoke([HumanMessage([{"type": "text", "text": QUESTION}])]).content == answer.content
    assert "".join(chunk.content for chunk in model.stream(QUESTION)) == answer.content
    assert [one.content for one in model.batch([QUESTION, QUESTION])] == [answer.content] * 2


@pytest.mark.parametrize("fields", [{"reasoning_effort": "low"}, {"n": 2}, {"seed": 3}, {"stop": ["x"]}, {"stream_usage": True},
                                    {"frequency_penalty": 0.1, "presence_penalty": 0.1, "top_p": 0.9}])
def test_langchain_settings(url: str, fields: dict) -> None:
    assert langchain(url, **fields).invoke(QUESTION).content


def test_langchain_logprobs(url: str) -> None:
    entries = langchain(url, logprobs=True, top_logprobs=2).invoke(QUESTION).response_metadata["logprobs"]["content"]
    assert entries and all(len(entry["top_logprobs"]) == 2 for entry in entries)


def test_langchain_text(url: str) -> None:
    model = OpenAI(model="any", base_url=url, api_key="none", max_tokens=8, temperature=0)
    assert "".join(model.stream("Once upon a")) == model.invoke("Once upon a") != ""


def test_llm(url: str, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(MODELS.format(url=url))
    environment = {"LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"}
    question = ["-m", "chat", QUESTION, "-o", "max_tokens", "8"]
    streamed = run(tmp_path, "llm", *question, **environment)
    assert streamed.strip() and streamed == run(tmp_path, "llm", *question, "--no-stream", **environment)
    assert run(tmp_path, "llm", "-c", "More.", "-o", "max_tokens", "8", **environment).strip()
    assert run(tmp_path, "llm", "-m", "text", "Once upon a", "-o", "max_tokens", "8", **environment).strip()


def test_llm_tools(url: str, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(MODELS.format(url=url))
    environment = {"LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"}
    run(tmp_path, "llm", "-m", "tools", "--functions", LOOK, "-s", "Copy what you are told.", f"Repeat this: {CALL}", "-o", "max_tokens", "60",
        **environment)
    assert (tmp_path / "called").read_text() == "Paris"
    person = run(tmp_path, "llm", "-m", "tools", "--schema", "name, age int", "A person", "-o", "max_tokens", "100", **environment)
    assert set(json.loads(person)) == {"name", "age"}


def test_inspect(url: str, tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(TASK)
    run(tmp_path, "inspect", "eval", "task.py", "--model", "openai-api/cllm/any", "--max-tokens", "8", "--seed", "3",
        "--log-dir", ".", "--log-format", "json", "--display", "none", CLLM_BASE_URL=url, CLLM_API_KEY="none")
    (log,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert log["status"] == "success" and log["results"]["completed_samples"] == 2
    assert all(sample["output"]["choices"][0]["message"]["content"] for sample in log["samples"])


@pytest.mark.skipif(not (SCRIPTS / "guidellm").exists(), reason="guidellm is not installed beside the other clients")
@pytest.mark.parametrize("endpoint", ["/v1/completions", "/v1/chat/completions", "/v1/responses"])
def test_guidellm(url: str, tmp_path: Path, endpoint: str) -> None:
    lines = [json.dumps({"prompt": f"Say something about {number}.", "output_tokens_count": 8}) for number in range(4)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    run(tmp_path, "guidellm", "run", "--disable-console", "--profile", "kind=synchronous", "--constraint", "kind=max_requests,count=3",
        "--backend", f"kind=openai_http,target={url.removesuffix('/v1')},request_format={endpoint}",
        "--data", f"kind=json_file,path={tmp_path / 'prompts.jsonl'}", "--output", f"kind=json,path={tmp_path / 'report.json'}")
    (benchmark,) = json.loads((tmp_path / "report.json").read_text())["benchmarks"]
    totals = benchmark["metrics"]["request_totals"]
    assert totals["successful"] == 3 and totals["errored"] == 0
