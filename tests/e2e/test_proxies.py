"""Behind a real nginx with its default proxy_pass (HTTP/1.0 and Connection: close to us), and behind HAProxy."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from clients import post_bytes, wait_until
from conftest import Program, Server

TOKENS = 120
LONG = {"prompt": "Once upon a time", "max_tokens": TOKENS, "ignore_eos": True, "temperature": 0}
SHORT = {"prompt": "Hello", "max_tokens": 2}
START_TIMEOUT_S = 20.0
CHECK_INTERVAL_MS = 100
SHUTDOWN_DELAY_S = 2.0  # several checks

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{ports[0]}; }}
  }}
}}
"""
# Without http-no-delay HAProxy gathers chunks for up to 200 ms.
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option redispatch
  option http-no-delay
frontend all
  bind 127.0.0.1:{port}
  default_backend replicas
backend replicas
  option httpchk GET /readyz
  default-server check inter {interval} fall 1 rise 1
{servers}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Proxy:
    name: str
    folder: Path
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self, *ports: int) -> int:
        """The port of the proxy, which hands everything to `ports`."""
        program = shutil.which(self.name) or shutil.which(self.name, path="/usr/sbin")
        if program is None:
            pytest.skip(f"{self.name} is not installed; scripts/bootstrap --test installs it")
        port = free_port()
        config = self.folder / f"{self.name}.conf"
        if self.name == "nginx":
            text = NGINX.format(folder=self.folder, port=port, ports=ports, user="user root;" if os.geteuid() == 0 else "")
            command = [program, "-c", config, "-p", self.folder]
        else:
            servers = "\n".join(f"  server s{index} 127.0.0.1:{each}" for index, each in enumerate(ports))
            text = HAPROXY.format(port=port, servers=servers, interval=CHECK_INTERVAL_MS)
            command = [program, "-db", "-f", config]
        config.write_text(text)
        self.processes.append(subprocess.Popen(command))
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), START_TIMEOUT_S, f"an answer through {self.name}")
        return port

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait(START_TIMEOUT_S)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code == 200
    except requests.RequestException:
        return False


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    the_proxy = Proxy(request.param, tmp_path)
    yield the_proxy
    the_proxy.stop()


@dataclass
class Reads:
    """How a stream came in at the client's socket."""

    count: int = 0
    events: int = 0
    longest_gap_s: float = 0.0
    head: str = ""


def read_stream(port: int, path: str, body: dict) -> Reads:
    reads = Reads()
    data = b""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(post_bytes(path, body, "Connection: close"))
        last = None
        while part := client.recv(65536):
            now = time.monotonic()
            if last is not None:
                reads.longest_gap_s = max(reads.longest_gap_s, now - last)
            last = now
            reads.count += 1
            data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    reads.head = head.decode("latin-1").lower()
    reads.events = rest.count(b"data: ")
    return reads


def test_tokens_come_one_by_one(server: Server, proxy: Proxy) -> None:
    reads = read_stream(proxy.start(server.port), "/generate_stream", LONG)
    print(f"{proxy.name}: {reads.events} events in {reads.count} reads, longest gap {reads.longest_gap_s * 1e3:.1f} ms")
    assert " 200 " in reads.head and "text/event-stream" in reads.head
    assert reads.events > TOKENS / 2
    assert reads.count > reads.events / 2, "events were held back"


def test_chat_streams_and_whole_answers_pass(server: Server, proxy: Proxy) -> None:
    url = f"http://127.0.0.1:{proxy.start(server.port)}"
    messages = [{"role": "user", "content": "Hello"}]
    with requests.post(url + "/v1/chat/completions", json={"messages": messages, "max_tokens": 8, "stream": True}, timeout=60) as stream:
        assert stream.status_code == 200 and stream.content.endswith(b"data: [DONE]\n\n")
    assert requests.post(url + "/generate", json=SHORT, timeout=60).json()["success"] is True
    refused = requests.post(url + "/v1/completions", json={"prompt": 1}, headers={"X-Request-Id": "through"}, timeout=60)
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "prompt" and refused.headers["x-request-id"] == "through"
    assert requests.head(url + "/health", timeout=10).status_code == 200
    assert requests.options(url + "/generate", timeout=10).status_code == 204


@pytest.mark.parametrize("size", [10, 20_000, 500_000])
def test_bodies_of_any_size_pass(server: Server, proxy: Proxy, size: int) -> None:
    url = f"http://127.0.0.1:{proxy.start(server.port)}"
    body = json.dumps({"content": "word " * (size // 5)})
    through = requests.post(url + "/tokenize", data=body, headers={"Content-Type": "application/json"}, timeout=60)
    assert through.status_code == 200 and through.json() == server.post("/tokenize", json.loads(body)).json()


@dataclass
class Load:
    """Clients that ask again and again."""

    url: str
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    ends: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        while not self.ends.is_set():
            try:
                response = requests.post(self.url + "/generate", json=SHORT, timeout=60)
                failure = "" if response.status_code == 200 else f"{response.status_code}: {response.text}"
            except requests.RequestException as error:
                failure = repr(error)
            with self.lock:
                if failure:
                    self.failures.append(failure)
                else:
                    self.answered += 1


def test_no_request_fails_while_two_replicas_are_restarted_one_after_the_other(
        program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    def replica(port: int) -> Server:
        return launch(program.model, "--host", "127.0.0.1", "--port", port, "-c", 128, "-np", 2, "-t", 1, "--shutdown-delay-s",
                      SHUTDOWN_DELAY_S).wait_ready()

    balancer = Proxy("haproxy", tmp_path)
    ports = [free_port(), free_port()]
    replicas = [replica(port) for port in ports]
    try:
        load = Load(f"http://127.0.0.1:{balancer.start(*ports)}")
        threads = [threading.Thread(target=load.run) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for index, port in enumerate(ports):
                replicas[index].signal(signal.SIGTERM)
                assert replicas[index].wait_end() == 0
                replicas[index] = replica(port)
                wait_until(lambda: replicas[index].queue()["accepted"] > 0, START_TIMEOUT_S, "a request for the new replica")
        finally:
            load.ends.set()
            for thread in threads:
                thread.join()
        print(f"{load.answered} requests answered")
        assert load.failures == [] and load.answered > 10
    finally:
        balancer.stop()
