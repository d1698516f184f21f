"""Models in processes of their own: requests pass through to them, and what one of them does is no other's business."""

from __future__ import annotations

import json
import os
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from clients import ANSWER_TIMEOUT_S, wait_until
from conftest import Program, Server
from test_several_models import PROMPT, SMALL, complete, item, link, manage, state, states


def children(server: Server) -> dict[str, int]:
    """The processes of the server's models, by name."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            arguments = (folder / "cmdline").read_bytes().decode().split("\0")
        except (OSError, IndexError):
            continue
        for argument in arguments:
            if parent == server.process.pid and argument.startswith("--isolated-name="):
                found[argument.partition("=")[2]] = int(folder.name)
    return found


def is_there(pid: int) -> bool:
    """Whether it runs: one that has ended and that nobody has asked for is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def runtime_folder() -> Iterator[Path]:
    """A short one: paths of sockets have at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield Path(folder)


@pytest.fixture
def serve_isolated(launch: Callable[..., Server], program: Program, tmp_path: Path, runtime_folder: Path,
                   monkeypatch: pytest.MonkeyPatch) -> Callable[..., Server]:
    """A server of the models small and twin, which is ready."""
    def start(*options: object) -> Server:
        models = [item("small", program.model, aliases="[tiny]"), item("twin", link(program.model, tmp_path / "twin.gguf"))]
        (tmp_path / "models.yaml").write_text("".join(models))
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_folder))
        return launch("--models", tmp_path / "models.yaml", "--isolate", "--host", "127.0.0.1", "--port", 0, *SMALL, *options).wait_ready()
    return start


def long_answer(server: Server, model: str) -> requests.Response:
    """A stream of an answer that takes its time."""
    body = {"model": model, "prompt": PROMPT, "max_tokens": 300, "ignore_eos": True, "temperature": 0, "stream": True}
    return requests.post(server.url + "/v1/completions", json=body, stream=True, timeout=ANSWER_TIMEOUT_S)


def text_of(lines: list[bytes]) -> str:
    frames = [json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: {")]
    return "".join(frame["choices"][0]["text"] for frame in frames if frame.get("choices"))


def test_every_dialect_passes_through(serve_isolated: Callable[..., Server]) -> None:
    server = serve_isolated()
    assert list(children(server)) == ["small"]
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    response = server.post("/v1/chat/completions", chat, {"X-Request-Id": "mine"})
    assert response.status_code == 200 and response.json()["model"] == "small" and response.headers["X-Request-Id"] == "mine"
    assert response.headers["X-cLLM-Cache"] and "Transfer-Encoding" not in response.headers
    for path, body, end in [("/v1/chat/completions", chat, b"data: [DONE]"), ("/v1/messages", chat, b'data: {"type":"message_stop"}'),
                            ("/api/chat", {"model": "tiny", "messages": chat["messages"], "options": {"num_predict": 4}}, b'"done":true'),
                            ("/generate", {"prompt": "x", "max_tokens": 4}, b'"done":true'),
                            ("/v1/responses", {"model": "small", "input": "Hi", "max_output_tokens": 16}, b"response."),
                            ("/completion", {"prompt": "x", "n_predict": 4}, b'"stop":true')]:
        with requests.post(server.url + path, json={**body, "stream": True}, stream=True, timeout=ANSWER_TIMEOUT_S) as stream:
            lines = [line for line in stream.iter_lines() if line]
            assert stream.status_code == 200 and end in lines[-1], (path, lines[-1])
        close = requests.post(server.url + path, json={**body, "stream": True}, headers={"Connection": "close"}, timeout=ANSWER_TIMEOUT_S)
        assert end in close.content.strip().splitlines()[-1]
    kept = server.post("/v1/responses", {"model": "small", "input": "Hi", "max_output_tokens": 16}).json()
    assert complete(server, "twin").status_code == 200  # is loaded beside
    assert server.get(f"/v1/responses/{kept['id']}").json()["id"] == kept["id"]
    assert requests.delete(server.url + f"/v1/responses/{kept['id']}", timeout=ANSWER_TIMEOUT_S).status_code == 200
    assert server.get(f"/v1/responses/{kept['id']}").status_code == 404
    assert server.post("/tokenize", {"content": "Hello", "model": "twin"}).json()["tokens"]
    assert server.get("/props?model=twin").json()["total_slots"] == 2
    assert requests.head(server.url + "/props", timeout=ANSWER_TIMEOUT_S).status_code == 200
    assert server.get("/openapi.json").json()["openapi"]

    response = server.post("/v1/completions", {"model": "small", "prompt": "x", "temperature": "hot"})
    assert response.status_code == 400 and response.json()["error"]["param"] == "temperature"
    assert server.post("/v1/completions", {"model": "else", "prompt": "x"}).status_code == 404
    late = server.post("/generate", {"prompt": PROMPT, "max_tokens": 400, "ignore_eos": True, "timeout": 0.2})
    assert late.status_code == 408 and late.json()["error"]["code"] == "timed_out"
    body = b'{"prompt": "' + b"word " * 100_000 + b'", "model": "small", "max_tokens": 1}'
    response = server.post_bytes("/v1/completions", body)
    assert response.status_code == 400 and "tokens" in response.text


def test_figures_are_those_of_the_processes(serve_isolated: Callable[..., Server]) -> None:
    server = serve_isolated()
    assert complete(server, "twin").status_code == 200
    wait_until(lambda: states(server)["twin"].get("queue", {}).get("accepted") == 1, 10, "its figures are here")
    assert {name: model["state"] for name, model in states(server).items()} == {"small": "loaded", "twin": "loaded"}
    twin = states(server)["twin"]
    assert 100 << 20 < twin["memory"]["resident_bytes"] <= twin["needed_bytes"]
    page = server.get("/metrics").text
    assert 'cllm_requests_total{model="twin",outcome="finished"} 1' in page and page.count("# TYPE cllm_requests_total ") == 1
    assert 'cllm_requests_running{model="small"} 0' in page


def test_keys_are_asked_for_once(serve_isolated: Callable[..., Server]) -> None:
    server = serve_isolated("--api-key", "one,two", "--admin-api-keys", "root")
    def ask(path: str, body: dict[str, object], key: str) -> requests.Response:
        return server.post(path, body, {"Authorization": f"Bearer {key}"})
    assert complete(server, "small").status_code == 401
    kept = ask("/v1/responses", {"input": "Hi", "max_output_tokens": 16}, "one")
    assert kept.status_code == 200
    follow = {"input": "More", "previous_response_id": kept.json()["id"], "max_output_tokens": 16}
    assert ask("/v1/responses", follow, "one").status_code == 200
    assert ask("/v1/responses", follow, "two").json()["error"]["code"] == "previous_response_not_found"
    headers = {"Authorization": "Bearer two", "x-cllm-owner": "31"}
    assert server.post("/v1/responses", follow, headers).status_code == 400
    assert ask("/api/generate", {"model": "small", "keep_alive": 0}, "one").status_code == 403
    assert children(server)
    assert ask("/api/generate", {"model": "small", "keep_alive": 0}, "root").json()["done_reason"] == "unload"
    wait_until(lambda: not children(server), 10, "the process has ended")
    assert ask("/v1/completions", {"prompt": "x", "max_tokens": 1}, "two").status_code == 200


def test_a_process_that_dies_fails_its_own_requests_alone(serve_isolated: Callable[..., Server]) -> None:
    server = serve_isolated()
    undisturbed = text_of(list(long_answer(server, "small").iter_lines()))
    assert complete(server, "twin").status_code == 200
    with long_answer(server, "small") as other, long_answer(server, "twin") as stream:
        lines = stream.iter_lines()
        next(lines)
        os.kill(children(server)["twin"], signal.SIGKILL)
        last = [line for line in lines if line][-1]
        error = json.loads(last.removeprefix(b"data: "))["error"]
        assert error["code"] == "unavailable" and "has ended" in error["message"] or "closed" in error["message"], error
        assert text_of(list(other.iter_lines())) == undisturbed
    assert complete(server, "twin").status_code == 200  # in a process that is started for it
    os.kill(children(server)["twin"], signal.SIGKILL)
    wait_until(lambda: state(server, "twin") == "unloaded", 10, "its end is noticed by itself")
    assert state(server, "small") == "loaded" and list(children(server)) == ["small"]
    assert server.log.count("model twin: its process has ended: signal 9 (Killed)") >= 1


def test_who_leaves_ends_the_request_in_the_process(serve_isolated: Callable[..., Server]) -> None:
    server = serve_isolated()
    stream = long_answer(server, "small")
    next(stream.iter_lines())
    stream.close()
    wait_until(lambda: 'cllm_requests_total{model="small",outcome="cancelled"} 1' in server.get("/metrics").text, 20, "it is cancelled")


def test_the_end_waits_for_what_runs(serve_isolated: Callable[..., Server], runtime_folder: Path) -> None:
    server = serve_isolated()
    expected = text_of(list(long_answer(server, "small").iter_lines()))
    folder, = runtime_folder.iterdir()
    socket, = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and stat.S_IMODE(socket.stat().st_mode) == 0o600
    child = children(server)["small"]
    with long_answer(server, "small") as stream:
        lines = stream.iter_lines()
        first = next(lines)
        server.signal(signal.SIGTERM)
        wait_until(lambda: complete(server, "small").status_code == 503, 10, "new ones are refused")
        assert text_of([first, *lines]) == expected
    assert server.wait_end() == 0
    assert not is_there(child) and not folder.exists()


def test_no_process_outlives_its_server(serve_isolated: Callable[..., Server]) -> None:
    server = serve_isolated()
    assert complete(server, "twin").status_code == 200
    pids = list(children(server).values())
    assert len(pids) == 2
    server.signal(signal.SIGKILL)
    server.wait_end()
    wait_until(lambda: not any(map(is_there, pids)), 10, "they have ended")


def test_a_process_that_dies_at_its_start_is_not_started_again_at_once(serve_isolated: Callable[..., Server], tmp_path: Path) -> None:
    server = serve_isolated()
    (tmp_path / "models.yaml").write_text(item("small", tmp_path / "twin.gguf"))  # which a process reads anew
    response = complete(server, "twin")
    assert response.status_code == 503 and "its process ended while it loaded (exit code 1)" in response.text
    for _ in range(3):
        response = complete(server, "twin")
        assert response.status_code == 503 and int(response.headers["Retry-After"]) > 20
    assert server.log.count("the model twin is not in the list any more") == 1
    assert complete(server, "small").status_code == 200
    assert manage(server, "unload", "small").status_code == 200
    wait_until(lambda: not children(server), 10, "the process has ended")


def test_without_a_list_there_is_nothing_to_isolate(program: Program) -> None:
    result = program.run("serve", program.model, "--isolate", "--port", 0)
    assert result.returncode == 1 and "models.isolate is for the models of models.list_file" in result.stderr


def test_a_load_that_nobody_waits_for_ends_its_process(serve_isolated: Callable[..., Server]) -> None:
    server = serve_isolated()
    with pytest.raises(requests.exceptions.Timeout):
        requests.post(server.url + "/v1/completions", json={"model": "twin", "prompt": "x"}, timeout=0.1)
    wait_until(lambda: state(server, "twin") in ("unloaded", "loaded") and ("twin" in children(server)) == (state(server, "twin") == "loaded"),
               10, "there is a process where there is a model")
