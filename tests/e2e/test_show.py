"""`cllm show`: by our own reader alone, so that a file which cannot be served can be looked at, too."""

from __future__ import annotations

import json
import os
from pathlib import Path

from conftest import Program, Server
from gguf_writer import CHAT_TEMPLATE, tiny_llama


def write(folder: Path, model) -> Path:
    path = folder / "tiny.gguf"
    path.write_bytes(model.bytes())
    return path


def show(program: Program, *arguments: object) -> dict:
    result = program.run("show", "--json", *arguments)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    return json.loads(result.stdout)


def test_json_says_what_the_file_says(program: Program, tmp_path: Path) -> None:
    model = tiny_llama()
    path = write(tmp_path, model)
    facts = show(program, path, "-c", 256, "-np", 3, "--kv-type", "f32")
    assert facts["architecture"] == "llama" and facts["name"] == "Tiny" and facts["license"] == "cc0-1.0"
    assert facts["chat_template"] == CHAT_TEMPLATE and facts["tokenizer"] == "llama" and facts["vocab_size"] == 276
    assert (facts["layers"], facts["heads"], facts["kv_heads"], facts["embedding_size"]) == (1, 2, 1, 32)
    assert facts["trained_context"] == 256 and facts["quantization"] == "Q8_0"
    assert facts["file_bytes"] == path.stat().st_size
    assert facts["weight_bytes"] == sum(len(tensor.data) for tensor in model.tensors) == sum(t["bytes"] for t in facts["tensors"])
    assert {t["type"]: t["tensors"] for t in facts["tensors"]} == {"Q8_0": 8, "F32": 3}
    kv = 1 * (16 + 16) * 4 * 256  # heads × (K + V) × bytes × tokens
    assert facts["memory"]["kv_bytes_per_sequence"] == kv
    assert facts["memory"]["total_bytes"] == facts["weight_bytes"] + 3 * kv
    assert facts["engine"]["name"] == "llama_cpp" and facts["servable"] is True and "problem" not in facts


def test_it_agrees_with_the_server(program: Program, server: Server) -> None:
    facts = show(program, program.model, "-c", 512)
    card = server.get("/v1/models").json()["data"][0]["meta"]
    assert facts["vocab_size"] == card["n_vocab"] and facts["embedding_size"] == card["n_embd"]
    assert facts["parameters"] == card["n_params"] and facts["trained_context"] == card["n_ctx_train"]
    assert facts["weight_bytes"] == card["size"]
    kv = server.health()["kv"]
    assert facts["memory"]["kv_bytes_per_sequence"] * kv["capacity_tokens"] == kv["capacity_bytes"] * 512


def test_text_is_aligned_and_says_it_all(program: Program, tmp_path: Path) -> None:
    result = program.run("show", write(tmp_path, tiny_llama()))
    assert result.returncode == 0 and result.stderr == ""
    for part in ("architecture   llama", "quantisation   Q8_0", "Q8_0             8", "Memory for 8 requests of 256 tokens",
                 "licence        cc0-1.0", "--template", "llama_cpp      runs"):
        assert part in result.stdout, result.stdout


def test_template_alone(program: Program, tmp_path: Path) -> None:
    path = write(tmp_path, tiny_llama())
    assert program.run("show", path, "--template").stdout == CHAT_TEMPLATE + "\n"
    result = program.run("show", write(tmp_path, tiny_llama().drop("tokenizer.chat_template")), "--template")
    assert result.returncode == 1 and result.stderr == f"cllm: {path} has no chat template\n"


def test_a_file_that_cannot_be_served_is_shown_with_the_reason(program: Program, tmp_path: Path) -> None:
    path = write(tmp_path, tiny_llama().set("general.type", "string", "adapter"))
    assert "LoRA adapter" in show(program, path)["problem"] and show(program, path)["servable"] is False
    assert "Cannot be served" in program.run("show", path).stdout


def test_hostile_texts_cannot_reach_the_terminal(program: Program, tmp_path: Path) -> None:
    path = write(tmp_path, tiny_llama().set("general.name", "string", b"\x1b[2J\xff evil\nline").set(
        "tokenizer.chat_template", "string", b"a\x1b]0;title\x07\xc2\x9b"))
    for arguments in ([path], [path, "--template"]):
        result = program.run("show", *arguments)
        assert result.returncode == 0 and "\x1b" not in result.stdout and "\x9b" not in result.stdout
    assert "evil" in show(program, path)["name"]


def test_damage_is_an_error(program: Program, tmp_path: Path) -> None:
    path = write(tmp_path, tiny_llama())
    os.truncate(path, 1000)
    result = program.run("show", path)
    assert result.returncode == 1 and "is damaged at byte" in result.stderr and len(result.stderr.splitlines()) == 1
