"""Several models in one server: who is meant, who is in memory, who has to go, and who may decide it."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from clients import ANSWER_TIMEOUT_S, Json, wait_until
from conftest import Program, Server

MIB = 1 << 20
SMALL = ["--max-context-length", "512", "--n-seq-max", "2", "--n-batch", "64"]
GEMMA = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cllm/models/gemma-3-270m-q4_k_m.gguf"
PROMPT = "The capital of France is"


def item(name: str, path: Path, **keys: object) -> str:
    return "".join([f"- name: {name}\n  path: '{path}'\n", *(f"  {key}: {value}\n" for key, value in keys.items())])


@pytest.fixture
def serve_list(launch: Callable[..., Server], tmp_path: Path) -> Callable[..., Server]:
    """serve_list(items, *options) gives a server of these models that is ready."""
    def start(items: list[str], *options: object) -> Server:
        file = tmp_path / "models.yaml"
        file.write_text("".join(items))
        return launch("--models", file, "--host", "127.0.0.1", "--port", 0, *SMALL, *options).wait_ready()
    return start


@pytest.fixture
def memory_counts(program: Program) -> None:
    """What a sanitizer takes is beyond every limit."""
    if any(name in program.path.read_bytes() for name in (b"__asan_init", b"__tsan_init")):
        pytest.skip("a sanitizer has memory of its own")


def link(model: Path, to: Path) -> Path:
    """The same file under another name."""
    try:
        os.link(model, to)
    except OSError:
        shutil.copy(model, to)
    return to


def complete(server: Server, model: str, prompt: str = PROMPT, max_tokens: int = 8) -> requests.Response:
    return server.post("/v1/completions", {"model": model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0})


def states(server: Server) -> dict[str, Json]:
    return {model["id"]: model for model in server.health()["models"]}


def state(server: Server, model: str) -> str:
    return states(server)[model]["state"]


def most_resident_bytes(server: Server) -> int:
    """The most that was resident at any time, pages of files included."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def test_a_request_is_answered_by_the_model_that_it_names(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    other = link(program.model, tmp_path / "other.gguf")
    server = serve_list([item("first", program.model, aliases="['gpt-4o-mini', 'claude-*']"), item("second-1b", other, default_temperature=0)])
    for name, answers in [("first", "first"), ("gpt-4o-mini", "first"), ("second-1b", "second-1b"), ("second:1b", "second-1b"),
                          ("second-1b:latest", "second-1b"), ("", "first")]:
        response = complete(server, name)
        assert (response.status_code, response.json()["model"]) == (200, answers), name
    assert server.post("/v1/completions", {"prompt": PROMPT, "max_tokens": 1}).json()["model"] == "first"
    message = {"model": "claude-sonnet-4", "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
    assert server.post("/v1/messages", message).json()["model"] == "first"
    long_body = {"n": 1, "prompt": "word " * 20000, "max_tokens": 1, "model": "second-1b"}
    response = server.post("/v1/completions", long_body)
    assert response.status_code == 400 and "tokens" in response.text
    assert re.search(r"model=second-1b .*path=/v1/completions status=400", server.log)

    body = {"model": "nobody's", "messages": [{"role": "user", "content": "Hi"}], "prompt": "x", "max_tokens": 1}
    for path in ("/v1/chat/completions", "/v1/messages", "/api/chat", "/generate", "/v1/completions"):
        response = server.post(path, body)
        assert response.status_code == 404, path
        assert "there is first, second-1b" in response.text
    assert server.post("/v1/chat/completions", body).json()["error"]["code"] == "model_not_found"
    assert server.post("/v1/messages", body).json()["error"]["type"] == "not_found_error"
    assert server.post("/tokenize", {"model": "nobody's", "content": "x"}).status_code == 404
    assert server.post("/tokenize", {"model": "second-1b", "content": "x"}).status_code == 200


def test_all_models_are_listed_and_the_loaded_ones_have_figures(program: Program, serve_list: Callable[..., Server],
                                                                tmp_path: Path) -> None:
    server = serve_list([item("first", program.model), item("second", link(program.model, tmp_path / "other.gguf"), aliases="[also]")])
    assert [model["id"] for model in server.get("/v1/models").json()["data"]] == ["first", "second"]
    assert server.get("/v1/models").json()["data"][1]["meta"]["n_vocab"] > 0
    anthropic = requests.get(server.url + "/v1/models", headers={"anthropic-version": "2023-06-01"}, timeout=ANSWER_TIMEOUT_S).json()
    assert [anthropic["first_id"], anthropic["last_id"], len(anthropic["data"])] == ["first", "second", 2]
    assert server.get("/v1/models/also").json()["id"] == "second"
    assert server.get("/v1/models/x").status_code == 404
    assert [model["name"] for model in server.get("/api/tags").json()["models"]] == ["first:latest", "second:latest"]
    assert [model["name"] for model in server.get("/api/ps").json()["models"]] == ["first:latest"]
    assert server.post("/api/show", {"model": "second"}).json()["details"]["format"] == "gguf"
    assert 'cllm_requests_running{model="first"} 0' in server.get("/metrics").text
    assert 'model="second"' not in server.get("/metrics").text

    assert complete(server, "second").status_code == 200
    assert [model["name"] for model in server.get("/api/ps").json()["models"]] == ["first:latest", "second:latest"]
    text = server.get("/metrics").text
    assert re.search(r'^cllm_requests_total\{model="second",outcome="finished"\} 1$', text, re.MULTILINE)
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(names) == len(set(names))
    health = states(server)
    assert health["second"]["state"] == "loaded" and health["second"]["queue"]["accepted"] == 1
    assert health["second"]["needed_bytes"] > 90 * MIB


def run_at_random(server: Server, names: list[str], count: int, limit_bytes: int, clients: int = 8) -> None:
    expected = {name: complete(server, name).json()["choices"][0]["text"] for name in names}
    assert expected[names[0]] != expected[names[-1]]

    def ask(number: int) -> None:
        name = random.Random(number).choice(names)
        response = complete(server, name)
        assert response.status_code == 200, response.text
        assert (response.json()["model"], response.json()["choices"][0]["text"]) == (name, expected[name])

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, range(count)))
    most = most_resident_bytes(server)
    assert most <= limit_bytes, f"{most / MIB:.0f} MiB"


@pytest.mark.usefixtures("memory_counts")
def test_what_is_packed_is_not_resident_twice(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    """Both just fit; with all of their files resident beside they would not."""
    server = serve_list([item("small", program.model), item("twin", link(program.model, tmp_path / "twin.gguf"))], "--memory-limit-mb", 440)
    for name in ("small", "twin"):
        assert complete(server, name, "word " * 200).status_code == 200
    assert [model["state"] for model in states(server).values()] == ["loaded", "loaded"]
    needed = sum(model["needed_bytes"] for model in states(server).values())
    assert needed <= 440 * MIB and most_resident_bytes(server) <= 440 * MIB, (needed, most_resident_bytes(server))


def three_models(program: Program, tmp_path: Path) -> list[str]:
    return [item("small", program.model), item("twin", link(program.model, tmp_path / "twin.gguf")), item("gemma", GEMMA)]


# Any two of the three fit.
THREE_MODELS_MB = 900


@pytest.mark.usefixtures("memory_counts")
@pytest.mark.skipif(not GEMMA.exists(), reason="needs gemma3-270m: `cllm pull gemma3-270m`")
def test_three_models_in_the_memory_of_two(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    server = serve_list(three_models(program, tmp_path), "--memory-limit-mb", THREE_MODELS_MB)
    run_at_random(server, ["small", "twin", "gemma"], 40, THREE_MODELS_MB * MIB)
    assert server.log.count("unloading, since") >= 2


@pytest.mark.usefixtures("memory_counts")
@pytest.mark.slow
@pytest.mark.skipif(not GEMMA.exists(), reason="needs gemma3-270m: `cllm pull gemma3-270m`")
def test_three_models_in_the_memory_of_two_for_long(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    server = serve_list(three_models(program, tmp_path), "--memory-limit-mb", THREE_MODELS_MB)
    run_at_random(server, ["small", "twin", "gemma"], 200, THREE_MODELS_MB * MIB)


@pytest.mark.usefixtures("memory_counts")
def test_models_that_cannot_be_loaded_disturb_no_other(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(program.model.read_bytes()[:1 << 20])
    large = tmp_path / "large.gguf"
    shutil.copy(program.model, large)
    os.truncate(large, 400 * MIB)  # a file with a long end
    gone = link(program.model, tmp_path / "gone.gguf")
    server = serve_list([item("good", program.model), item("broken", broken), item("large", large), item("gone", gone)],
                        "--memory-limit-mb", 300)
    for name, why in [("broken", "broken.gguf"), ("large", "leave nothing for the KV cache")]:
        response = complete(server, name)
        assert response.status_code == 503 and why in response.json()["error"]["message"], response.text
        assert 0 < int(response.headers["Retry-After"]) <= 30
        assert states(server)[name]["state"] == "failed" and why in states(server)[name]["problem"]
    assert complete(server, "good").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(complete, server, "gone")
        wait_until(lambda: state(server, "gone") != "unloaded", 10, "the load has begun")
        gone.unlink()
        assert asked.result().status_code in (200, 503)
    assert complete(server, "good").status_code == 200


@pytest.mark.usefixtures("memory_counts")
def test_who_leaves_waits_no_more(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    """The only place is taken by a long answer: the other model cannot be loaded meanwhile."""
    twin = link(program.model, tmp_path / "twin.gguf")
    server = serve_list([item("small", program.model), item("twin", twin)], "--memory-limit-mb", 300)
    with server.open_stream("/v1/completions", model="small", prompt=PROMPT, max_tokens=480, ignore_eos=True, stream=True) as stream:
        frames = iter(stream)
        next(frames)
        with pytest.raises(requests.exceptions.Timeout):
            requests.post(server.url + "/v1/completions", json={"model": "twin", "prompt": "x", "max_tokens": 1}, timeout=0.3)
        wait_until(lambda: (states(server)["twin"]["waiting"], state(server, "small")) == (0, "loaded"), 10, "who left waits no more")
        assert state(server, "twin") == "unloaded"
        assert next(frames)
    assert complete(server, "twin").status_code == 200
    assert complete(server, "small").status_code == 200


def test_a_load_shows_how_far_it_is(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    server = serve_list([item("small", program.model), item("twin", link(program.model, tmp_path / "twin.gguf"))])
    seen = []
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(complete, server, "twin")
        while not asked.done():
            seen.append(states(server)["twin"])
    assert asked.result().status_code == 200
    progress = [model["load_progress"] for model in seen if model["state"] == "loading"]
    assert progress and progress == sorted(progress) and 0 <= progress[0] <= progress[-1] <= 1
    assert not any("load_progress" in model for model in states(server).values())


def test_the_first_load_shows_how_far_it_is(launch: Callable[..., Server], program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = launch(program.model, "--host", "127.0.0.1", "--port", port, *SMALL)
    server.url = f"http://127.0.0.1:{port}"

    def details() -> Json | None:
        try:
            return server.health()
        except requests.exceptions.ConnectionError:
            return None

    data = wait_until(details, 60, "the server answers")
    while "models" in data:
        assert data["status"] == "loading" and data["models"][0]["state"] in ("unloaded", "queued", "loading")
        data = server.health()
    assert data["status"] in ("loading", "healthy")
    server.wait_ready()


def test_the_end_ends_a_load(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    server = serve_list([item("small", program.model), item("twin", link(program.model, tmp_path / "twin.gguf"))])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(complete, server, "twin")
        wait_until(lambda: state(server, "twin") != "unloaded", 10, "the load has begun")
        server.signal(signal.SIGTERM)
        assert asked.result().status_code in (200, 503)
    assert server.wait_end(10) == 0


def test_who_waits_too_long_is_told_so(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    twin = link(program.model, tmp_path / "twin.gguf")
    server = serve_list([item("small", program.model), item("twin", twin)], "--request-timeout", 0.02)
    response = complete(server, "twin")
    assert response.status_code == 408 and "was not in memory" in response.text
    wait_until(lambda: state(server, "twin") in ("loaded", "unloaded"), 30, "what was begun is ended")
    # It had just begun, and nobody wants it any more.
    assert state(server, "twin") == "unloaded" and "model twin: not loaded, since nobody waits for it any more" in server.log


def test_a_model_that_nobody_uses_is_unloaded(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    twin = link(program.model, tmp_path / "twin.gguf")
    server = serve_list([item("small", program.model), item("twin", twin, preload="true", keep_alive_s=0.5)])
    wait_until(lambda: "model twin: unloading, since nobody used it" in server.log, 30, "it was loaded before anybody asked, and unloaded")
    assert state(server, "small") == "loaded"
    assert complete(server, "twin").status_code == 200


def manage(server: Server, what: str, model: str, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post(f"/models/{what}", {"model": model}, named)


def test_models_are_managed_from_this_machine(program: Program, serve_list: Callable[..., Server], tmp_path: Path) -> None:
    server = serve_list([item("small", program.model), item("twin", link(program.model, tmp_path / "twin.gguf"))])
    assert manage(server, "load", "twin").json() == {"data": {"model": "twin", "state": "loaded"}, "success": True}
    assert manage(server, "unload", "twin").status_code == 200
    wait_until(lambda: state(server, "twin") == "unloaded", 10, "it is unloaded")
    for headers in ({"X_Forwarded_For": "1.2.3.4"}, {"Host": "models.local"}, {"Sec_Fetch_Site": "cross-site"}, {"Via": "1.1 x"}):
        for what in ("load", "unload"):
            response = manage(server, what, "twin", **headers)
            assert response.status_code == 403, headers
            assert response.json()["error"]["code"] in ("forbidden", "invalid_argument")
    for name, status in [("nobody", 404), (str(program.model), 404), ("hf:unsloth/Qwen3-0.6B-GGUF", 404), ("", 400)]:
        assert manage(server, "load", name).status_code == status, name
    assert server.post("/models/load", {"model": "twin", "path": "x"}).status_code == 400
    assert server.get("/models/load").status_code == 405

    assert server.post("/api/generate", {"model": "twin"}).json()["done_reason"] == "load"
    assert state(server, "twin") == "loaded"
    response = server.post("/api/generate", {"model": "twin", "keep_alive": 0}, {"X-Forwarded-For": "1.2.3.4"})
    assert response.status_code == 403
    assert server.post("/api/generate", {"model": "twin", "keep_alive": 0}).json()["done_reason"] == "unload"
    wait_until(lambda: state(server, "twin") == "unloaded", 10, "it is unloaded")


def test_with_admin_keys_only_these_manage(program: Program, serve_list: Callable[..., Server]) -> None:
    server = serve_list([item("small", program.model, pinned="true")], "--admin-api-keys", "root", "--api-key", "user")
    assert manage(server, "load", "small").status_code == 401
    response = manage(server, "load", "small", X_Api_Key="user")
    assert response.status_code == 403 and "this key is not one of server.admin_api_keys" in response.text
    assert manage(server, "load", "small", X_Api_Key="root", X_Forwarded_For="1.2.3.4").status_code == 200
    assert "pinned" in manage(server, "unload", "small", Authorization="Bearer root").text
    response = server.post("/generate", {"prompt": "x", "max_tokens": 1}, {"X-Api-Key": "root"})
    assert response.status_code == 200


def test_who_has_no_admin_key_is_told_which_one_is_missing(program: Program, serve_list: Callable[..., Server]) -> None:
    server = serve_list([item("small", program.model)], "--admin-api-keys", "root")
    for headers, why in [({}, "and there is none: send it as"), ({"X-Api-Key": "rooT"}, "this key is not one of server.admin_api_keys"),
                         ({"Authorization": "Bearer x"}, "this key is not one of server.admin_api_keys")]:
        for path in ("/models/load", "/models/unload", "/api/pull"):
            response = server.post(path, {"model": "small"}, headers)
            assert response.status_code == 401 and why in response.text, response.text
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
        response = server.post("/api/generate", {"model": "small", "keep_alive": 0}, headers)
        assert response.status_code == 401 and why in response.json()["error"]
    assert complete(server, "small").status_code == 200  # who only asks needs none
    assert server.post("/models/load", {"model": "small"}, {"Authorization": "Bearer root"}).status_code == 200


def test_ollamas_management_is_for_administrators(program: Program, serve_list: Callable[..., Server]) -> None:
    server = serve_list([item("small", program.model)], "--admin-api-keys", "root")
    for method, path in [("POST", "/api/pull"), ("POST", "/api/push"), ("POST", "/api/create"), ("POST", "/api/copy"),
                         ("DELETE", "/api/delete")]:
        def ask(**headers: str) -> requests.Response:
            return requests.request(method, server.url + path, json={"model": "small", "source": "small", "destination": "x"},
                                    headers={name.replace("_", "-"): value for name, value in headers.items()}, timeout=ANSWER_TIMEOUT_S)
        assert ask().status_code == 401, path
        assert ask(X_Api_Key="root").status_code == (200 if path == "/api/pull" else 400), path


def test_a_name_is_looked_up_and_nothing_else(program: Program, launch: Callable[..., Server], tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in a request is no path, no address and nothing to pull: nobody hears of it."""
    with socket.create_server(("127.0.0.1", 0)) as hub:
        hub.setblocking(False)
        model = program.model
        address = f"http://127.0.0.1:{hub.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        models = tmp_path / "models.yaml"
        models.write_text(item("small", model))
        server = launch("--models", models, "--host", "127.0.0.1", "--port", 0, *SMALL).wait_ready()
        names = [str(model), "../" * 8 + str(model)[1:], f"file://{model}", f"{address}/x.gguf",
                 "hf:unsloth/Qwen3-0.6B-GGUF", "hf:unsloth/Qwen3-0.6B-GGUF:Q8_0", "smollm2-135m", "*", "small\0", "x" * 100_000]
        for name in names:
            for path, more in [("/v1/completions", {"prompt": "x"}), ("/v1/messages", {"messages": [], "max_tokens": 1}),
                               ("/api/generate", {"prompt": "x"}), ("/v1/embeddings", {"input": "x"}), ("/tokenize", {"content": "x"}),
                               ("/models/load", {}), ("/api/show", {})]:
                response = server.post(path, {"model": name, **more})
                assert response.status_code in (400, 404) and len(response.content) < 3000, (path, name[:50], response.status_code)
                assert response.status_code == 404 or path in ("/models/load", "/api/show"), (path, name[:50])
            assert server.post("/api/pull", {"model": name}).status_code == 400
            assert server.get("/v1/models/" + requests.utils.quote(name, safe="")[:2000]).status_code in (400, 404)
        with pytest.raises(BlockingIOError):
            hub.accept()
        assert not list((tmp_path / "cache").rglob("*.gguf*"))
        assert [model["id"] for model in server.health()["models"]] == ["small"]
        assert complete(server, "small").status_code == 200


def test_a_wrong_list_is_refused_with_its_lines(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    for text, wanted in [("- nmae: x\n", ":1: unknown key"), ("- path: x\n", "has no name"), ("[]", "there is no model"),
                         (item("a", program.model) + item("b", program.model, aliases="[a]"), "a names two models"),
                         (item("a", program.model, preload="maybe"), ":3: model.preload: expected")]:
        file.write_text(text)
        result = program.run("serve", "--models", file, "--port", 0)
        assert result.returncode == 1 and wanted in result.stderr, result.stderr
    file.write_text(item("a", program.model))
    result = program.run("serve", program.model, "--models", file, "--port", 0)
    assert result.returncode == 1 and "belongs into that file" in result.stderr
