"""The program as a process: start, errors of the command line and the configuration, signals and exit codes."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import yaml
from clients import Json, wait_until
from conftest import Program, Server

PROMPT = "Once upon a time"
LONG = {"prompt": PROMPT, "ignore_eos": True}
AT_ONCE_S = 20.0  # less than the 30 s that running requests and idle connections may have
ISSUE_YAML = """
server:    {host: "0.0.0.0", port: 8080, num_threads: 8, min_threads: 4}
model:     {path: "/path/to/model.gguf", max_context_length: 2048, quantization: "q4_k_m"}
backend:
  type: auto          # auto | llama_cpp (an engine of our own follows)
  llama_cpp: {n_batch: 512, n_threads: 4, n_gpu_layers: 99, n_seq_max: 8}
scheduler: {max_batch_size: 32, batch_timeout_ms: 500, request_timeout: 60.0}
"""


def check_refused(program: Program, arguments: list[object], *marks: str) -> str:
    """Exit code 1 and one line on stderr that says what is wrong."""
    result = program.run("serve", *arguments)
    errors = [line for line in result.stderr.splitlines() if line.startswith("cllm: ")]
    assert result.returncode == 1, result.stderr
    assert len(errors) == 1 and result.stdout == "", result.stderr
    for mark in marks:
        assert mark in errors[0], errors[0]
    return result.stderr


def check_refused_at_once(program: Program, arguments: list[object], *marks: str) -> None:
    """As check_refused, and nothing else is on stderr."""
    assert len(check_refused(program, arguments, *marks).splitlines()) == 1


def test_missing_file(program: Program, tmp_path: Path) -> None:
    check_refused_at_once(program, [tmp_path / "none.gguf", "--port", 0], "none.gguf")


def test_directory(program: Program, tmp_path: Path) -> None:
    check_refused_at_once(program, [tmp_path, "--port", 0], str(tmp_path), "directory")


@pytest.mark.parametrize("content", [b"", b"GG", b"hello, this is no model at all" * 100])
def test_no_gguf(program: Program, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.gguf"
    path.write_bytes(content)
    check_refused_at_once(program, [path, "--port", 0], "text.gguf", "GGUF")


@pytest.mark.parametrize("size", [24, 4096, 1 << 20, 50 << 20])
def test_truncated_gguf(program: Program, tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.gguf"
    with program.model.open("rb") as source:
        path.write_bytes(source.read(size))
    check_refused(program, [path, "--port", 0], "cut.gguf")


def test_unreadable_file(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "loop.gguf"
    path.symlink_to(path)
    check_refused_at_once(program, [path, "--port", 0], "loop.gguf")


def test_port_in_use(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check_refused_at_once(program, [program.model, "--host", "127.0.0.1", "--port", port], str(port), "in use")


def test_host_that_is_not_ours(program: Program) -> None:
    check_refused_at_once(program, [program.model, "--host", "192.0.2.1", "--port", 0], "192.0.2.1")


@pytest.mark.parametrize(("arguments", "marks"), [
    (["--n-seq-mx", "4"], ["n-seq-mx"]),
    (["--port", "http"], ["port", "http"]),
    (["--port", "70000"], ["port", "70000"]),
    (["--n-batch", "0"], ["n-batch"]),
    (["--kv-type", "f8"], ["kv-type", "f16"]),
    (["--port"], ["port"]),
    (["one.gguf", "two.gguf"], ["two.gguf"]),
    (["--config", "none.yaml"], ["none.yaml"]),
], ids=str)
def test_wrong_command_line(program: Program, arguments: list[str], marks: list[str]) -> None:
    check_refused_at_once(program, arguments, *marks)


def test_the_version_is_a_command_and_a_flag(program: Program) -> None:
    version = program.run("version").stdout
    assert re.fullmatch(r"cllm \d+\.\d+\.\d+\n", version) and program.run("--version").stdout == version


def test_no_command_or_an_unknown_one(program: Program) -> None:
    nothing = program.run()
    assert nothing.returncode == 0 and nothing.stderr == "" and "serve" in nothing.stdout and len(nothing.stdout.splitlines()) > 10
    unknown = program.run("sreve")
    assert unknown.returncode == 1 and len(unknown.stderr.splitlines()) == 1 and "serve" in unknown.stderr, unknown.stderr


@pytest.mark.parametrize(("text", "marks"), [
    ("server:\n  prot: 80\n", [":2", "prot", "port"]),
    ("backend:\n  llama_cpp:\n    n_bach: 4\n", [":3", "n_bach", "n_batch"]),
    ("scheduller: {}\n", [":1", "scheduller", "scheduler"]),
    ("server:\n\n  port: many\n", [":3", "port", "many"]),
    ("server: {port: 70000}\n", [":1", "port", "70000"]),
    ("model: {path: [a, b]}\n", [":1", "path"]),
    ("backend: {llama_cpp: {use_mmap: 3}}\n", [":1", "use_mmap"]),
    ("server: 3\n", [":1", "server"]),
    ("server: {port: 80\n", [":"]),
    ("- a\n", [":1"]),
    ("a\x01: b\n", [":1"]),
], ids=repr)
def test_wrong_configuration(program: Program, tmp_path: Path, text: str, marks: list[str]) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    check_refused_at_once(program, ["--config", path], "wrong.yaml", *marks)


def test_version_and_help(program: Program) -> None:
    assert re.fullmatch(r"cllm \d+\.\d+\.\d+\n", program.run("version").stdout)
    for arguments in (["--help"], ["serve", "--help"], ["bench", "--help"], ["bench", "engine", "--help"], ["version", "--help"]):
        result = program.run(*arguments)
        assert result.returncode == 0 and "Usage" in result.stdout and result.stderr == ""


@pytest.mark.parametrize("group", [[], ["bench"], ["config"]], ids=["cllm", "bench", "config"])
def test_without_a_command_there_is_help(program: Program, group: list[str]) -> None:
    result = program.run(*group)
    assert (result.returncode, result.stdout, result.stderr) == (0, program.run(*group, "--help").stdout, "")
    assert "Usage" in result.stdout


def test_an_unknown_command_gets_the_nearest(program: Program) -> None:
    for arguments, nearest in ((["sevre"], "serve"), (["bench", "engin"], "engine"), (["confg", "check"], "config")):
        result = program.run(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert "unknown command" in result.stderr and f"the nearest known command is {nearest}\n" in result.stderr


def printed(program: Program, *arguments: object, cwd: Path | None = None) -> tuple[dict, str]:
    result = program.run("serve", "--print-config", *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return yaml.safe_load(result.stdout), result.stdout


def origin(text: str, key: str) -> str:
    """What --print-config says where the value of `key` came from."""
    return re.search(rf"^ *{key}: .*?# from (.*)$", text, re.MULTILINE)[1]


def test_print_config_command_line_beats_yaml_beats_default(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("server: {port: 8111, num_threads: 3}\nbackend:\n  llama_cpp: {n_seq_max: 5, n_batch: 99}\n")
    values, text = printed(program, "--config", path, "-np", 7, "--host", "127.0.0.1")
    assert values["server"] == {"host": "127.0.0.1", "port": 8111, "num_threads": 3, "min_threads": 1, "shutdown_delay_s": 0.0, "shutdown_grace_s": 30.0,
                                "api_keys": [], "api_key_file": "", "admin_api_keys": [], "tls_certificate": "", "tls_key": ""}
    assert values["backend"]["llama_cpp"]["n_seq_max"] == 7 and values["backend"]["llama_cpp"]["n_batch"] == 99
    assert "my.yaml:1" in origin(text, "port") and "my.yaml:3" in origin(text, "n_batch")
    assert origin(text, "min_threads") == "default"
    for key in ("host", "n_seq_max"):
        assert "yaml" not in origin(text, key) and origin(text, key) != "default"


@pytest.mark.parametrize("name", ["config.yaml", "config/config.yaml"])
def test_a_configuration_in_the_working_folder_is_found(program: Program, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("server: {port: 8222}\n")
    assert printed(program, cwd=tmp_path)[0]["server"]["port"] == 8222


def test_printed_configurations_can_be_read_back(program: Program, tmp_path: Path) -> None:
    for option in ("--print-config", "--print-config-example"):
        path = tmp_path / "out.yaml"
        path.write_text(program.run("serve", option).stdout)
        assert printed(program, "--config", path)[0] == printed(program)[0]


def test_the_issues_configuration_works(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    path = tmp_path / "issue.yaml"
    path.write_text(ISSUE_YAML.replace("/path/to/model.gguf", str(program.model)))
    server = launch("--config", path, "--port", 0).wait_ready()
    assert server.generate(prompt=PROMPT, max_tokens=2)["generated_tokens"] <= 2
    assert server.queue()["max_running"] == 8
    warnings = [line for line in server.log.splitlines() if " warning " in line]
    quantization = [line for line in warnings if "quantization" in line]
    assert len(quantization) == 1 and "q4_k_m" in quantization[0].lower() and "Q4_1" in quantization[0]
    gpu = [line for line in warnings if "n_gpu_layers" in line]
    on_gpu = " layers are on " in server.log
    assert on_gpu or (len(gpu) == 1 and "99" in gpu[0] and "CPU" in gpu[0])


def test_threads_beyond_the_cores_are_cut_with_a_warning(serve: Callable[..., Server]) -> None:
    server = serve("-t", 1024, "-c", 64, "-np", 1, "--quantization", "Q4_1")
    warnings = [line for line in server.log.splitlines() if " warning " in line]
    assert len(warnings) == 1 and "n_threads" in warnings[0] and "1024" in warnings[0]
    assert server.generate(prompt=PROMPT, max_tokens=2)["generated_tokens"] <= 2


def test_little_memory_for_the_cache_means_fewer_sequences(serve: Callable[..., Server]) -> None:
    server = serve("-c", 2048, "--kv-cache-max-memory-mb", 100, "--quantization", "q4_1")
    health = server.health()
    assert 1 <= health["queue"]["max_running"] < 8
    assert health["kv"]["capacity_bytes"] <= 100 << 20
    assert health["kv"]["capacity_tokens"] == 2048 * health["queue"]["max_running"]
    line = next(line for line in server.log.splitlines() if "KV cache" in line)
    assert f"{health['queue']['max_running']} of 8 sequences" in line and "2048" in line


def test_too_little_memory_for_one_sequence(program: Program) -> None:
    check_refused(program, [program.model, "--port", 0, "--kv-cache-max-memory-mb", 10], "kv_cache_max_memory_mb", "10")


def test_max_batch_size_bounds_the_sequences_of_a_step(serve: Callable[..., Server]) -> None:
    assert serve("--max-batch-size", 3, "-c", 64).queue()["max_running"] == 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_health_is_503_until_the_model_is_loaded(program: Program, launch: Callable[..., Server]) -> None:
    port = free_port()
    server = launch(program.model, "--host", "127.0.0.1", "--port", port)
    seen = []

    def healthy() -> bool:
        assert server.process.poll() is None
        try:
            response = requests.get(f"http://127.0.0.1:{port}/health", timeout=10)
            seen.append((response.status_code, response.json()))
        except requests.ConnectionError:
            return False
        if response.status_code == 503:
            other = requests.post(f"http://127.0.0.1:{port}/generate", json={**LONG, "max_tokens": 1}, timeout=10)
            assert other.status_code in (200, 503)
        return response.status_code == 200

    wait_until(healthy, 60, "/health 200")
    assert seen[-1][1] == {"data": {"model_loaded": True, "status": "healthy"}, "success": True}
    # Loading takes seconds with cold files; where it is over at once there is nothing to see.
    for status, body in seen[:-1]:
        assert status == 503 and body["data"] == {"model_loaded": False, "status": "loading"}


def test_a_signal_while_loading_ends_the_program(program: Program, launch: Callable[..., Server]) -> None:
    server = launch(program.model, "--host", "127.0.0.1", "--port", 0)
    wait_until(lambda: "loaded" in server.log or server.process.poll() is not None, 60, "the first log line")
    server.signal(signal.SIGTERM)
    assert server.wait_end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_lets_running_streams_finish_and_refuses_new_ones(serve: Callable[..., Server], number: int) -> None:
    def refusal() -> Json | None:
        response = server.post("/generate", {"prompt": PROMPT, "max_tokens": 1})
        return response.json() if response.status_code == 503 else None

    server = serve("--shutdown-grace-s", 120)
    with server.open_stream(**LONG, max_tokens=2000) as holder, server.open_stream(**LONG, max_tokens=100) as stream:
        frames = iter(stream)
        first = next(frames)
        server.signal(number)
        assert wait_until(refusal, 10, "a refusal")["error"]["code"] == "unavailable"
        holder.close()  # without it the server could be gone before it is asked
        rest = list(frames)
        assert stream.ended_well
    assert first["done"] is False and rest[-1]["done"] is True and rest[-1]["generated_tokens"] == 100
    assert server.wait_end() == 0


def test_probes_say_that_the_server_drains_while_a_stream_goes_on(serve: Callable[..., Server]) -> None:
    server = serve("--shutdown-grace-s", 120)
    assert {server.get(path).status_code for path in ("/health", "/readyz", "/livez")} == {200}
    with server.open_stream(**LONG, max_tokens=2000) as stream:
        frames = iter(stream)
        next(frames)
        server.signal(signal.SIGTERM)
        wait_until(lambda: server.post("/generate", {"prompt": PROMPT}).status_code == 503, 10, "a refusal")
        for path in ("/health", "/v1/health", "/readyz"):
            response = server.get(path)
            assert response.status_code == 503 and int(response.headers["retry-after"]) >= 1
            assert response.json() == {"data": {"model_loaded": True, "status": "draining"}, "success": False}
        detailed = server.get("/health?level=detailed")
        assert detailed.status_code == 503
        assert detailed.json()["data"]["status"] == "draining" and detailed.json()["data"]["queue"]["running"] == 1
        assert server.get("/livez").status_code == 200
        assert next(frames)["done"] is False, "the stream goes on"
    assert server.wait_end() == 0


def test_with_a_delay_requests_are_accepted_while_readyz_says_no(serve: Callable[..., Server]) -> None:
    server = serve("-c", 64, "-np", 1, "--shutdown-delay-s", 600)
    server.signal(signal.SIGTERM)
    wait_until(lambda: server.get("/readyz").status_code == 503, 10, "/readyz 503")
    assert server.get("/health").status_code == 200
    assert server.generate(prompt=PROMPT, max_tokens=2)["generated_tokens"] <= 2
    server.signal(signal.SIGTERM)  # ends the delay
    assert server.wait_end(AT_ONCE_S) == 0


def test_retry_after_of_a_queue_that_has_never_moved(serve: Callable[..., Server]) -> None:
    """Nobody has waited yet, so only what runs can tell when a place comes free. Half of the measured time allows for noise."""
    server = serve("-c", 1024, "-np", 1, "--max-queue-size", 1)
    with ThreadPoolExecutor() as pool, server.open_stream(**LONG, max_tokens=900) as running:
        frames = iter(running)
        for _ in range(20):  # the engine's speed is known
            next(frames)
        pool.submit(server.generate, **LONG, max_tokens=1)
        wait_until(lambda: server.queue()["open"] == 2, 10, "a request that waits")
        refusal = server.post("/generate", {"prompt": PROMPT})
        assert refusal.status_code == 429
        refused_at = time.monotonic()
        list(frames)
        waited = time.monotonic() - refused_at
    assert int(refusal.headers["retry-after"]) >= waited / 2


def test_a_whole_answer_finishes_as_well(serve: Callable[..., Server]) -> None:
    server = serve("-c", 256)
    with server.open_stream("/generate", **LONG, max_tokens=1, stream=True) as warm:
        list(warm)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(server.generate, **LONG, max_tokens=60)
        wait_until(lambda: server.queue()["accepted"] == 2, 10, "the request to be accepted")
        server.signal(signal.SIGTERM)
        assert answer.result()["generated_tokens"] == 60
    assert server.wait_end() == 0


def check_cut(frames: list[dict]) -> None:
    last = frames[-1]
    assert last["done"] is True and set(last) == {"id", "error", "done"}
    assert last["error"]["code"] == "unavailable" and last["error"]["message"]


def test_a_second_signal_ends_quickly(serve: Callable[..., Server]) -> None:
    server = serve("-c", 2048, "-np", 1)
    with server.open_stream(**LONG, max_tokens=1900) as stream:
        frames = iter(stream)
        next(frames)
        server.signal(signal.SIGTERM)
        wait_until(lambda: "shutting down" in server.log, 10, "'shutting down' in the log")
        server.signal(signal.SIGTERM)
        check_cut(list(frames))
        assert stream.ended_well
    assert server.wait_end(AT_ONCE_S) == 0


def test_the_grace_cuts_with_an_error_frame(serve: Callable[..., Server]) -> None:
    server = serve("-c", 2048, "-np", 1, "--shutdown-grace-s", 0.2)
    with server.open_stream(**LONG, max_tokens=1900) as stream:
        frames = iter(stream)
        next(frames)
        server.signal(signal.SIGTERM)
        check_cut(list(frames))
        assert stream.ended_well
    assert server.wait_end(AT_ONCE_S) == 0
    assert "did not finish" in server.log


def test_idle_the_program_ends_at_once_and_leaves_nothing(serve: Callable[..., Server]) -> None:
    server = serve("-c", 64, "-np", 1)
    server.signal(signal.SIGTERM)
    assert server.wait_end(AT_ONCE_S) == 0
    assert server.log.count("error") == 0


def test_a_connection_that_idles_does_not_hold_the_end_up(serve: Callable[..., Server]) -> None:
    server = serve("-c", 64, "-np", 1)
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        idle.sendall(b"POST /generate HTTP/1.1\r\nContent-Le")
        server.signal(signal.SIGTERM)
        assert server.wait_end(AT_ONCE_S) == 0


def test_a_model_is_named_by_option_or_configuration(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    copy = tmp_path / "my model-1.gguf"
    shutil.copy(program.model, copy)
    server = launch("-m", copy, "--host", "127.0.0.1", "--port", 0, "-c", 64, "-np", 1).wait_ready()
    assert server.get("/v1/models").json()["data"][0]["id"] == "my model-1"
