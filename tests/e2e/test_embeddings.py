"""Embeddings of a real model: right values, the same bytes whatever is asked beside, and what clients and other servers' users send."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import minilm
import numpy as np
import ollama
import openai
import pytest
from clients import wait_until
from conftest import Program, Server

REFERENCE = Path(__file__).parent / "data/minilm_reference.f16"
SENTENCES = minilm.sentences()


def start(program: Program, name: str, *options: object) -> Server:
    return program.launch(minilm.model_file(name), "--host", "127.0.0.1", "--port", 0, *options).wait_ready()


@pytest.fixture(scope="module")
def encoder(program: Program) -> Iterator[Server]:
    server = start(program, "F16")
    yield server
    program.servers.remove(server)
    server.stop()


def embed(server: Server, texts: list[str], **fields: object) -> np.ndarray:
    response = server.post("/v1/embeddings", {"input": texts, **fields})
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert [entry["index"] for entry in data] == list(range(len(texts)))
    return np.array([entry["embedding"] for entry in data], np.float32)


def test_ollamas_client_gets_the_same_vectors(encoder: Server) -> None:
    client = ollama.Client(host=encoder.url)
    texts = SENTENCES[:3]
    given = client.embed("any", texts)
    assert given.model == "any" and given.prompt_eval_count > 0
    assert np.array_equal(np.array(given.embeddings, np.float32), embed(encoder, texts))
    # The older way gives the vector as it comes out of the model, whatever its length.
    one = np.array(client.embeddings("any", texts[0]).embedding, np.float32)
    assert np.allclose(one / np.linalg.norm(one), embed(encoder, texts[:1])[0], atol=1e-6)
    # What is too long is cut, as Ollama does unless it is told not to.
    long = "word " * 2000
    assert len(client.embed("any", long).embeddings[0]) == minilm.SIZE
    with pytest.raises(ollama.ResponseError, match="input"):
        client.embed("any", long, truncate=False)
    assert client.show(client.list().models[0].model).capabilities == ["embedding"]


def reference() -> np.ndarray:
    vectors = np.frombuffer(REFERENCE.read_bytes(), np.float16).astype(np.float32).reshape(len(SENTENCES), minilm.SIZE)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def nearest(vectors: np.ndarray) -> np.ndarray:
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    return alike.argmax(axis=1)


def check_values(vectors: np.ndarray, least_cosine: float) -> None:
    right = reference()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosines = (vectors * right).sum(axis=1)
    assert cosines.min() >= least_cosine, (cosines.min(), SENTENCES[int(cosines.argmin())])
    # Where two neighbours are equally near, either may be the nearest.
    alike = right @ right.T
    rows = np.arange(len(right))
    assert (alike[rows, nearest(right)] - alike[rows, nearest(vectors)]).max() <= 2 * (1 - least_cosine)


def test_embeddings_are_the_models(encoder: Server) -> None:
    vectors = embed(encoder, SENTENCES)
    check_values(vectors, 0.999)
    assert (nearest(vectors) == nearest(reference())).all()


def test_quantised_embeddings_are_near(program: Program) -> None:
    server = start(program, "Q8_0")
    try:
        check_values(embed(server, SENTENCES), 0.99)
    finally:
        program.servers.remove(server)
        server.stop()


def test_a_text_has_the_same_bytes_whatever_is_asked_beside(encoder: Server, program: Program) -> None:
    texts = SENTENCES[::7]
    alone = [encoder.post("/v1/embeddings", {"input": text}).json()["data"][0]["embedding"] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: encoder.post("/v1/embeddings", {"input": texts}).content, range(8)))
    assert len(set(bodies)) == 1
    assert [entry["embedding"] for entry in json.loads(bodies[0])["data"]] == alone
    one_thread = start(program, "F16", "--n-threads", 1)
    try:
        assert one_thread.post("/v1/embeddings", {"input": texts}).content == bodies[0]
    finally:
        program.servers.remove(one_thread)
        one_thread.stop()


def test_openais_client(encoder: Server) -> None:
    client = openai.OpenAI(base_url=f"{encoder.url}/v1", api_key="none")
    one = client.embeddings.create(model="any", input="The quick brown fox")  # asks for base64, and decodes it
    assert len(one.data[0].embedding) == minilm.SIZE
    assert one.usage.prompt_tokens == one.usage.total_tokens == 6
    several = client.embeddings.create(model="any", input=["The quick brown fox", "jumps"], encoding_format="float")
    assert np.allclose(several.data[0].embedding, one.data[0].embedding, atol=0)
    assert [entry.index for entry in several.data] == [0, 1]
    short = client.embeddings.create(model="any", input="The quick brown fox", dimensions=64).data[0].embedding
    cut = np.array(one.data[0].embedding[:64])
    assert np.allclose(short, cut / np.linalg.norm(cut), atol=1e-6)
    tokens = encoder.post("/tokenize", {"content": "The quick brown fox", "add_special": True}).json()["tokens"]
    by_tokens = client.embeddings.create(model="any", input=tokens).data[0].embedding
    assert by_tokens == one.data[0].embedding
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="any", input=["a", "word " * 600])
    assert refused.value.code == "context_length_exceeded"
    assert "input[1] has 602 tokens" in refused.value.message


def test_base64_is_the_same_numbers(encoder: Server) -> None:
    entry = encoder.post("/v1/embeddings", {"input": "abc", "encoding_format": "base64"}).json()["data"][0]
    assert np.array_equal(np.frombuffer(base64.b64decode(entry["embedding"]), "<f4"), embed(encoder, ["abc"])[0])


def test_long_texts_are_cut_where_that_is_wanted(encoder: Server) -> None:
    long, short = "word " * 600, "word " * 510
    assert np.array_equal(embed(encoder, [long], truncate_prompt_tokens=-1), embed(encoder, [short]))
    assert np.array_equal(embed(encoder, [long], truncate=True), embed(encoder, [short]))
    assert np.array_equal(embed(encoder, ["alpha beta gamma"], truncate_prompt_tokens=4), embed(encoder, ["alpha beta"]))
    assert np.array_equal(embed(encoder, ["alpha beta gamma"], truncate_prompt_tokens=4, truncation_side="left"),
                          embed(encoder, ["beta gamma"]))


def test_llama_servers_endpoints(encoder: Server) -> None:
    for path in ("/embedding", "/embeddings"):
        answer = encoder.post(path, {"content": "abc"}).json()
        assert [sorted(entry) for entry in answer] == [["embedding", "index"]]
        assert np.array_equal(np.array(answer[0]["embedding"][0], np.float32), embed(encoder, ["abc"])[0])
    raw = np.array(encoder.post("/embedding", {"content": "abc", "embd_normalize": -1}).json()[0]["embedding"][0])
    assert np.allclose(raw / np.linalg.norm(raw), embed(encoder, ["abc"])[0], atol=1e-6)


@pytest.mark.parametrize(("fields", "words"), [({"input": ""}, "input is empty"), ({"input": ["a", ""]}, "input[1] is empty"),
                                               ({"input": []}, "input is empty"), ({}, "input is missing"),
                                               ({"input": [[1, 99999]]}, "input[0] names token 99999"),
                                               ({"input": "a", "dimensions": 385}, "dimensions"),
                                               ({"input": ["a"] * 2049}, "more than 2048")])
def test_what_is_wrong_is_named(encoder: Server, fields: dict[str, object], words: str) -> None:
    response = encoder.post("/v1/embeddings", fields)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


def test_fields_that_nobody_knows_are_named(encoder: Server) -> None:
    response = encoder.post("/v1/embeddings", {"input": "a", "user": "me", "never_heard_of": 1})
    assert response.status_code == 200
    assert response.headers["X-cLLM-Ignored-Fields"] == "never_heard_of"


def test_an_encoder_says_what_it_can_do(encoder: Server) -> None:
    assert encoder.get("/v1/models").json()["data"][0]["capabilities"] == ["embedding"]
    assert encoder.health()["model"]["capabilities"] == ["embedding"]
    for path, body in {"/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]}, "/v1/completions": {"prompt": "hi"},
                       "/generate": {"prompt": "hi"}, "/v1/responses": {"input": "hi"}}.items():
        response = encoder.post(path, body)
        assert response.status_code == 400
        assert "/v1/embeddings" in response.text
    refused = encoder.post("/v1/rerank", {"query": "q", "documents": ["d"]})
    assert refused.status_code == 400
    assert "rank" in refused.json()["error"]["message"]


def test_a_client_that_leaves_ends_its_request(encoder: Server) -> None:
    body = json.dumps({"input": ["word " * 500] * 2048}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    before = encoder.health()["engine"]["embeddings"]
    with socket.create_connection(("127.0.0.1", encoder.port)) as client:
        client.sendall(head.encode() + body)
        wait_until(lambda: encoder.health()["engine"]["embeddings"] > before, 60, "the first texts are computed")
    encoder.wait_idle()
    assert encoder.health()["engine"]["embeddings"] - before < 2048


def test_a_long_request_lets_others_pass(encoder: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(embed, encoder, ["word " * 60] * 100)
        wait_until(lambda: encoder.queue()["open"] > 0, 60, "the long request is open")
        embed(encoder, ["short"])
        assert not long.done()
        assert len(long.result()) == 100


def test_what_requests_hold_is_bounded(program: Program) -> None:
    server = start(program, "Q8_0", "--max-memory-mb", 16)
    try:
        assert server.post("/v1/embeddings", {"input": ["a"] * 100}).status_code == 200
        refused = server.post("/v1/embeddings", {"input": "word " * 800_000})
        assert refused.status_code == 429
        assert "http.max_memory_mb" in refused.json()["error"]["message"]
    finally:
        program.servers.remove(server)
        server.stop()


def test_embeddings_are_counted(encoder: Server) -> None:
    before = encoder.health()
    embed(encoder, ["one two", "three"])
    after = encoder.health()
    assert after["engine"]["embeddings"] - before["engine"]["embeddings"] == 2
    assert after["engine"]["embedding_tokens"] - before["engine"]["embedding_tokens"] == 7
    assert after["queue"]["embedding_requests"] - before["queue"]["embedding_requests"] == 1
    assert "cllm_embedding_tokens_total" in encoder.get("/metrics").text


def test_show_says_what_an_encoder_is(program: Program) -> None:
    shown = program.run("show", minilm.model_file("F16"), "--json")
    assert shown.returncode == 0, shown.stderr
    facts = json.loads(shown.stdout)
    assert (facts["capabilities"], facts["pooling"], facts["servable"]) == (["embedding"], "mean", True)
    assert facts["memory"]["kv_bytes_per_sequence"] == 0
    text = program.run("show", minilm.model_file("F16")).stdout
    assert "chat template" not in text and "can do" in text


def test_settings_that_cannot_be_are_refused(program: Program) -> None:
    for options, words in ((("--pooling", "none"), "can do nothing but embed"), (("--pooling", "rank"), "no classifier"),
                           (("--max-context-length", "1024"), "512 tokens at most")):
        ended = program.run("serve", minilm.model_file("F16"), "--port", 0, *options)
        assert ended.returncode != 0
        assert words in ended.stderr


def test_a_model_that_generates_embeds_where_it_is_told_to(serve: Callable[..., Server], server: Server) -> None:
    refused = server.post("/v1/embeddings", {"input": "a"})
    assert refused.status_code == 400
    assert "--pooling" in refused.json()["error"]["message"]
    both = serve("--pooling", "mean", "--max-context-length", 512)
    texts = ["The cat sat on the mat.", "A cat was sitting on a mat.", "Share prices fell on Monday.", "word " * 300]
    vectors = embed(both, texts)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert np.array_equal(vectors, np.concatenate([embed(both, [text]) for text in texts]))
    # Beside answers, too, and without a change of theirs.
    alone = both.generate(prompt="The capital of France is", max_tokens=24, temperature=0)["text"]
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(both.generate, prompt="The capital of France is", max_tokens=24, temperature=0) for _ in range(3)]
        beside = [pool.submit(embed, both, texts) for _ in range(2)]
        assert {answer.result()["text"] for answer in answers} == {alone}
        assert all(np.array_equal(one.result(), vectors) for one in beside)
    assert both.get("/v1/models").json()["data"][0]["capabilities"] == ["completion", "embedding"]
