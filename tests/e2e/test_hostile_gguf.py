"""Hostile model files through the program: each is one clear error and exit code 1, or it serves. No crash, no hang.

The 300 cases run with `make hostile`, about 20 of them in every run.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from clients import wait_until
from conftest import Program, Server
from gguf_writer import tiny_llama
from hostile_gguf import ALL_CASES, Case, all_cases, short_cases

CASE_TIMEOUT_S = 120.0


def problem_with_exit(case: Case, code: int, log: str) -> str:
    errors = [line for line in log.splitlines() if line.startswith("cllm: ")]
    if code != 1:
        return f"exit code {code}"
    if len(errors) != 1 or "Sanitizer" in log:
        return "not one line of error"
    if case.must_serve:
        return "does not serve, though only weights are damaged"
    if case.mark and case.mark not in errors[0]:
        return f"the error does not say {case.mark!r}"
    return ""


def problem_with_server(case: Case, url: str, process: subprocess.Popen) -> str:
    if case.mark is not None:
        return "serves"
    answer = requests.post(f"{url}/generate", json={"prompt": "the tin", "max_tokens": 4}, timeout=CASE_TIMEOUT_S)
    chat = requests.post(f"{url}/v1/chat/completions", timeout=CASE_TIMEOUT_S,
                         json={"messages": [{"role": "user", "content": "tin"}], "max_tokens": 4})
    for response in (answer, chat):
        if response.status_code != 200 and "error" not in response.json():
            return f"answers with {response.status_code} {response.text}"
    if requests.get(f"{url}/health", timeout=CASE_TIMEOUT_S).status_code != 200:
        return "is not healthy after an answer"
    process.send_signal(signal.SIGTERM)
    code = process.wait(CASE_TIMEOUT_S)
    return f"exit code {code} after SIGTERM" if code != 0 else ""


def run_case(program: Program, folder: Path, case: Case, number: int) -> str:
    """What is wrong with the program's answer to the file; empty where it is right."""
    path, log_path = folder / f"{number}.gguf", folder / f"{number}.log"
    path.write_bytes(case.data)
    command = [str(program.path), "serve", str(path), "--host", "127.0.0.1", "--port", "0", "-c", "64", "-np", "1", "-t", "1"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    with log_path.open("wb") as log_file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log_file, stderr=log_file)

    def log() -> str:
        return log_path.read_text(errors="replace")

    try:
        wait_until(lambda: process.poll() is not None or " info serving on " in log(), CASE_TIMEOUT_S, "an end or a server")
        if process.poll() is not None:
            problem = problem_with_exit(case, process.returncode, log())
        else:
            port = re.search(r"serving on http://[^ ]*:(\d+) ", log())[1]
            problem = problem_with_server(case, f"http://127.0.0.1:{port}", process)
    except (AssertionError, requests.RequestException, subprocess.TimeoutExpired) as error:
        problem = f"{type(error).__name__}: {error} (exit code {process.poll()})"
    finally:
        process.kill()
        process.wait()
    path.unlink()
    return f"{case.name}: {problem}\n{log()[-2000:]}" if problem else ""


def check(program: Program, folder: Path, cases: list[Case]) -> None:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(lambda numbered: run_case(program, folder, numbered[1], numbered[0]), enumerate(cases))
        problems = [problem for problem in results if problem]
    assert not problems, f"{len(problems)} of {len(cases)} cases:\n" + "\n".join(problems)


def test_a_file_of_each_kind_of_damage(program: Program, tmp_path: Path) -> None:
    check(program, tmp_path, short_cases())


@pytest.mark.slow
def test_every_hostile_file(program: Program, tmp_path: Path) -> None:
    cases = all_cases()
    assert len(cases) == ALL_CASES
    check(program, tmp_path, cases)


def test_the_tiny_model_serves(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama().bytes())
    server = launch(path, "--host", "127.0.0.1", "--port", 0, "-c", 64).wait_ready()
    assert server.generate(prompt="the tin", max_tokens=5, ignore_eos=True)["generated_tokens"] == 5


def test_a_good_file_is_tried_once(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama().bytes())
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [str(program.path), "bench", "engine", str(path), "-c", "64", "--prompt-tokens", "4", "--generate-tokens", "2", "--streams", "1",
               "--repetitions", "1"]
    verdicts = tmp_path / "cache/cllm/verdicts"
    seen = []
    for _ in range(2):
        assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60).returncode == 0
        seen.append((verdicts.read_text(), verdicts.stat().st_mtime_ns))
    assert seen[0] == seen[1] and len(seen[0][0].splitlines()) == 1
    path.write_bytes(path.read_bytes() + b"more")
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60).returncode == 0
    assert len(verdicts.read_text().splitlines()) == 2


def test_a_model_that_is_shortened_while_it_is_served(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    path = tmp_path / "shrinking.gguf"
    shutil.copy(program.model, path)
    server = launch(path, "--host", "127.0.0.1", "--port", 0, "-c", 64, "-np", 1).wait_ready()
    os.truncate(path, 1 << 20)
    with pytest.raises(requests.RequestException):
        server.generate(prompt="Once upon a time", max_tokens=8)
    assert server.wait_end() == 1
    assert f"cllm: the model {path} cannot be read any more" in server.log


def test_a_model_that_is_replaced_by_renaming_is_served_on(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    path, other = tmp_path / "model.gguf", tmp_path / "new.gguf"
    shutil.copy(program.model, path)
    server = launch(path, "--host", "127.0.0.1", "--port", 0, "-c", 64, "-np", 1).wait_ready()
    before = server.generate(prompt="Once upon a time", max_tokens=8, temperature=0)["text"]
    other.write_bytes(b"something else")
    other.rename(path)
    assert server.generate(prompt="Once upon a time", max_tokens=8, temperature=0)["text"] == before
