"""Scores of a small cross-encoder with random weights, held to an implementation of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import minilm
import minilm_reference
import numpy as np
import pytest
from conftest import Program, Server
from gguf_writer import F32

SIZE, HEADS, FEED_FORWARD, CONTEXT, LAYERS = 64, 2, 128, 64, 2
WORDS = ["what", "is", "a", "panda", "the", "giant", "bear", "lives", "in", "china", "paris", "france", "hello", "?", ".", "##s"]
VOCABULARY = [*minilm.SPECIAL, *WORDS]
QUERY = "what is a panda?"
DOCUMENTS = ["hello.", "the giant panda is a bear.", "paris is in france.", "pandas"]


def random_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    shapes = {f"embeddings.{table}_embeddings.weight": (rows, SIZE)
              for table, rows in {"word": len(VOCABULARY), "position": CONTEXT, "token_type": 2}.items()}
    shapes |= {"classifier.dense.weight": (SIZE, SIZE), "classifier.dense.bias": (SIZE,), "classifier.out_proj.weight": (1, SIZE),
               "classifier.out_proj.bias": (1,)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{name}.{part}.weight": (SIZE, SIZE), f"{name}.{part}.bias": (SIZE,)}
        shapes |= {f"{name}.intermediate.dense.weight": (FEED_FORWARD, SIZE), f"{name}.intermediate.dense.bias": (FEED_FORWARD,),
                   f"{name}.output.dense.weight": (SIZE, FEED_FORWARD), f"{name}.output.dense.bias": (SIZE,)}
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    weights = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        weights |= {f"{name}.weight": np.ones(SIZE, np.float32), f"{name}.bias": np.zeros(SIZE, np.float32)}
    return weights


WEIGHTS = random_weights()


def right_score(query: str, document: str) -> float:
    ids = {word: number for number, word in enumerate(VOCABULARY)}
    inner = minilm_reference.tokens(document, ids)[1:]
    return minilm_reference.Bert(WEIGHTS, HEADS).score(minilm_reference.tokens(query, ids) + inner)


@pytest.fixture(scope="module")
def ranker(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file: Path = tmp_path_factory.mktemp("rank") / "ranker.gguf"
    file.write_bytes(minilm.to_gguf(WEIGHTS, VOCABULARY, F32, HEADS, pooling=4).bytes())
    server = program.launch(file, "--host", "127.0.0.1", "--port", 0).wait_ready()
    yield server
    program.servers.remove(server)
    server.stop()


def test_scores_are_the_models(ranker: Server) -> None:
    right = [right_score(QUERY, document) for document in DOCUMENTS]
    assert max(right) - min(right) > 0.1
    answer = ranker.post("/v1/rerank", {"query": QUERY, "documents": DOCUMENTS, "raw_scores": True}).json()
    scores = {entry["index"]: entry["relevance_score"] for entry in answer["results"]}
    assert [scores[i] for i in range(len(DOCUMENTS))] == pytest.approx(right, abs=5e-3)
    assert [entry["index"] for entry in answer["results"]] == sorted(range(len(DOCUMENTS)), key=lambda i: -right[i])
    shares = ranker.post("/score", {"text_1": QUERY, "text_2": DOCUMENTS}).json()["data"]
    assert [entry["score"] for entry in shares] == pytest.approx([1 / (1 + math.exp(-score)) for score in right], abs=5e-3)


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v1/reranking", "/reranking", "/v2/rerank"])
def test_the_best_documents_come_back(ranker: Server, path: str) -> None:
    answer = ranker.post(path, {"query": QUERY, "documents": [{"text": text} for text in DOCUMENTS], "top_n": 2,
                                "return_documents": True}).json()
    assert len(answer["results"]) == 2
    assert answer["results"][0]["relevance_score"] >= answer["results"][1]["relevance_score"]
    assert all(entry["document"]["text"] == DOCUMENTS[entry["index"]] for entry in answer["results"])
    assert answer["usage"]["prompt_tokens"] > 0


def test_long_documents(ranker: Server) -> None:
    long = "panda " * 100
    refused = ranker.post("/v1/rerank", {"query": QUERY, "documents": ["hello", long]})
    assert refused.status_code == 400
    assert "documents[1] has 108 tokens" in refused.json()["error"]["message"]
    answer = ranker.post("/v1/rerank", {"query": QUERY, "documents": [long], "truncate": True, "raw_scores": True}).json()
    assert answer["usage"]["prompt_tokens"] == CONTEXT
    assert answer["results"][0]["relevance_score"] == pytest.approx(right_score(QUERY, "panda " * (100 - 44)), abs=5e-3)


def test_a_ranker_gives_no_embeddings_and_no_text(ranker: Server) -> None:
    for path, body in {"/v1/embeddings": {"input": "a"}, "/generate": {"prompt": "a"}}.items():
        response = ranker.post(path, body)
        assert response.status_code == 400
        assert "/v1/rerank" in response.text
    assert ranker.get("/v1/models").json()["data"][0]["capabilities"] == ["rerank"]
