"""GET /metrics, read with Prometheus' own parser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from conftest import ROOT, Server
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, str], float]  # by name and the label that tells samples of one name apart

TELLING_LABELS = ("outcome", "le")


def samples(server: Server) -> Samples:
    response = server.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for family in text_string_to_metric_families(response.text):
        assert family.documentation and family.name.startswith("cllm_")
        for sample in family.samples:
            label = "".join(sample.labels.get(name, "") for name in TELLING_LABELS)
            assert (sample.name, label) not in found
            found[sample.name, label] = sample.value
    return found


def test_what_two_requests_leave(serve: Callable[..., Server]) -> None:
    server = serve()
    before = samples(server)
    assert before["cllm_requests_total", "finished"] == 0
    prompt = "Once upon a time"
    answers = [server.generate(prompt=prompt, max_tokens=n, ignore_eos=True) for n in (1, 5)]
    tokens = answers[0]["prompt_tokens"]
    server.wait_idle()
    after = samples(server)
    assert after["cllm_requests_total", "finished"] == after["cllm_requests_accepted_total", ""] == 2
    assert after["cllm_prompt_tokens_total", ""] == tokens + 1
    assert after["cllm_prefix_cached_tokens_total", ""] == tokens - 1
    assert after["cllm_generation_tokens_total", ""] == 6
    assert after["cllm_request_generation_tokens_sum", ""] == 6
    assert after["cllm_inter_token_latency_seconds_count", ""] == 4
    assert after["cllm_time_to_first_token_seconds_count", ""] == 2
    assert after["cllm_e2e_request_latency_seconds_sum", ""] == pytest.approx(
        sum(answer["response_time"] for answer in answers))
    assert after["cllm_steps_total", ""] == after["cllm_step_duration_seconds_count", ""] == 6
    assert after["cllm_step_tokens_sum", ""] == tokens + 1 + 4
    assert after["cllm_requests_running", ""] == after["cllm_requests_waiting", ""] == after["cllm_kv_tokens", ""] == 0
    assert after["cllm_kv_idle_tokens", ""] == tokens + 4
    assert after["cllm_kv_capacity_tokens", ""] > 0
    assert after["cllm_preemptions_total", ""] == 0


def test_histograms_are_whole(serve: Callable[..., Server]) -> None:
    server = serve()
    server.generate(prompt="Once", max_tokens=3, ignore_eos=True)
    server.wait_idle()
    found = samples(server)
    counts = [name for name, _ in found if name.endswith("_count")]
    assert len(counts) >= 9
    for name in counts:
        base = name.removesuffix("_count")
        buckets = [(float(label), value) for (bucket, label), value in found.items() if bucket == base + "_bucket"]
        values = [value for _, value in sorted(buckets)]
        assert values == sorted(values) and values[-1] == found[name, ""], base


def test_the_docs_list_what_the_page_shows(shared_server: Server) -> None:
    page = shared_server.get("/metrics").text
    helps = dict(re.findall(r"^# HELP cllm_(\w+) (.*)$", page, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE cllm_(\w+) (\w+)$", page, re.MULTILINE))
    section = (ROOT / "docs/api.md").read_text(encoding="utf-8").split("\n## GET /metrics\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", section, re.MULTILINE)
    assert rows == [(name, types[name], help) for name, help in helps.items()]


def test_how_requests_end_is_told_apart(serve: Callable[..., Server]) -> None:
    server = serve()
    too_long = server.post("/generate", {"prompt": "word " * 20_000})
    assert too_long.status_code == 400
    late = server.post("/generate", {"prompt": "Once", "max_tokens": 2000, "ignore_eos": True, "timeout": 0.02})
    assert late.status_code == 408
    server.wait_idle()
    found = samples(server)
    assert found["cllm_requests_total", "invalid"] == 1
    assert found["cllm_requests_total", "timed_out"] == 1
    assert found["cllm_requests_total", "finished"] == 0


def test_it_asks_for_the_key(serve: Callable[..., Server]) -> None:
    assert serve("--api-key", "secret").get("/metrics").status_code == 401
