"""How much memory the KV cache may take without configuration, and when it takes it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from conftest import Server

MIB = 1 << 20


def resident_bytes(server: Server) -> int:
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_kv_memory_is_resident_once_it_is_used(serve: Callable[..., Server]) -> None:
    server = serve("-c", 8192, "-np", 8, "--request-timeout", 600)
    kv = server.health()["kv"]
    if kv["capacity_bytes"] < 1000 * MIB or "layers are on" in server.log:
        pytest.skip("needs room for a large cache in main memory")
    at_start = resident_bytes(server)
    assert at_start < kv["capacity_bytes"] / 2
    prompt = server.tokens("The ship sailed on. " * 400)[:1500]
    answer = server.post("/v1/completions", {"prompt": prompt, "max_tokens": 1}).json()
    used = answer["usage"]["prompt_tokens"] * kv["capacity_bytes"] / kv["capacity_tokens"]
    grown = resident_bytes(server) - at_start
    assert used / 2 < grown < kv["capacity_bytes"] / 3, (used, grown)


def test_without_configuration_a_request_may_be_long_within_half_of_the_memory(serve: Callable[..., Server]) -> None:
    server = serve()
    health = server.health()
    card = server.get("/v1/models").json()["data"][0]["meta"]
    places = health["queue"]["max_running"]
    assert card["n_ctx"] * places == health["kv"]["capacity_tokens"]
    line = next(line for line in server.log.splitlines() if "KV cache" in line)
    assert f"{places} of 8 sequences of {card['n_ctx']} tokens" in line
    assert f"{health['kv']['capacity_bytes'] // MIB} MiB in all" in line and f"trained for {card['n_ctx_train']}" in line
    longest = min(8192, card["n_ctx_train"])
    four = 4 * longest * health["kv"]["capacity_bytes"] / health["kv"]["capacity_tokens"]
    if health["memory"]["available_bytes"] > 3 * four:
        assert card["n_ctx"] == longest and places >= 4


def test_little_memory_means_a_shorter_context_with_four_places(serve: Callable[..., Server]) -> None:
    server = serve("--kv-cache-max-memory-mb", 100)
    health = server.health()
    assert 4 <= health["queue"]["max_running"] < 8
    assert health["kv"]["capacity_bytes"] <= 100 * MIB
    assert health["kv"]["capacity_tokens"] == 1024 * health["queue"]["max_running"]


def test_one_place_gets_the_memory_of_four(serve: Callable[..., Server]) -> None:
    server = serve("--kv-cache-max-memory-mb", 200, "-np", 1)
    assert server.health()["kv"]["capacity_tokens"] == 8192
