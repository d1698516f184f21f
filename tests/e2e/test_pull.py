"""cllm pull against servers that break, lie, redirect and stall; what a person sees of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path

import pytest
from clients import wait_until
from conftest import Program
from gguf_writer import Gguf
from hub_fixtures import (BODY, END_TIMEOUT_S, PATH, SUM, Pull, check_failed, check_pulled, hub, models, part_size, parts, pull,
                          second, start)
from hub_server import File, Handler, HubServer, break_at, hold_at, plain, resolve, status, without_length

SMALL = Gguf().set("general.name", "string", "small").bytes()


# --- where models come from ---

def test_an_address(hub: HubServer, pull: Pull, models: Path) -> None:
    hub.add(PATH, BODY)
    result = pull(hub.url + PATH)
    file = check_pulled(result)
    assert file.is_relative_to(models / "url")
    assert SUM in result.stderr and "not checked" in result.stderr
    again = pull(hub.url + PATH)
    assert again.stdout == result.stdout and "there already" in again.stderr
    assert len(hub.requests) == 1


def test_a_repository(hub: HubServer, second: HubServer, pull: Pull, models: Path) -> None:
    hub.add_repo("o/r", {"m-Q8_0.gguf": SMALL, "m-Q4_K_M.gguf": BODY, "README.md": b"x"}, storage=second)
    file = check_pulled(pull("hf:o/r"))
    assert file == models / "hf/o/r/m-Q4_K_M.gguf"
    assert check_pulled_beside(pull("hf:o/r:q8_0")) == SMALL
    assert check_pulled_beside(pull("hf:o/r:m-Q8_0.gguf")) == SMALL


def check_pulled_beside(result: subprocess.CompletedProcess[str]) -> bytes:
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip()).read_bytes()


def test_what_a_repository_lacks_is_said_with_what_it_has(hub: HubServer, pull: Pull) -> None:
    hub.add_repo("o/r", {"m-Q8_0.gguf": SMALL, "big-Q4_0-00001-of-00002.gguf": SMALL, "big-Q4_0-00002-of-00002.gguf": SMALL})
    check_failed(pull("hf:o/r:Q5_K_M"), "hf:o/r", "Q5_K_M", "m-Q8_0.gguf")
    check_failed(pull("hf:o/r:Q4_0"), "split into several files", "m-Q8_0.gguf")
    check_failed(pull("hf:o/none"), "404", "hf:o/none")


def test_a_list_of_several_pages(hub: HubServer, pull: Pull) -> None:
    hub.add_repo("o/r", {"m-Q8_0.gguf": BODY})
    listed = hub.files["/api/models/o/r/tree/main"]
    hub.add("/page2", listed.body, etag=None)
    listed.body, listed.headers = b"[]", {"Link": f'<{hub.url}/page2?cursor=1>; rel="next"'}
    check_pulled(pull("hf:o/r"))
    hub.files["/page2"].headers = listed.headers
    check_failed(pull("hf:o/r:Q8_0"), "does not end")


def test_a_built_in_name(hub: HubServer, pull: Pull, models: Path) -> None:
    hub.add_repo("unsloth/Qwen3-0.6B-GGUF", {"Qwen3-0.6B-Q4_K_M.gguf": BODY})
    assert check_pulled(pull("qwen3-0.6b")) == models / "Qwen3-0.6B-Q4_K_M.gguf"


@pytest.mark.parametrize(("name", "marks"), [
    ("smolm2-135m", ["smolm2-135m", "nearest name is smollm2-135m"]),
    ("hf:o", ["hf:owner/repo"]),
    ("hf:o/../etc", ["hf:owner/repo"]),
    ("hf:o/r:../../x.gguf", ["not allowed"]),
    ("https://127.0.0.1/page.html", [".gguf"]),
    ("https://user:secret@127.0.0.1/x.gguf", ["password"]),
    ("ftp://127.0.0.1/x.gguf", ["no name of a model"]),
])
def test_wrong_references(hub: HubServer, pull: Pull, models: Path, name: str, marks: list[str]) -> None:
    result = pull(name)
    check_failed(result, *marks)
    assert len(result.stderr.splitlines()) == 1 and "secret" not in result.stderr
    assert hub.requests == [] and not models.exists()


def test_an_unreachable_server(hub: HubServer, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.close()
    check_failed(pull("hf:o/r", "--retries", 1), "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "mirror")
    check_failed(pull("hf:o/r"), "HF_ENDPOINT")


# --- transfers that go wrong ---

def test_a_transfer_that_breaks_is_gone_on_from(hub: HubServer, pull: Pull) -> None:
    file = hub.add(PATH, BODY)
    hub.fault(PATH, break_at(file, 100_000), break_at(file, 250_000))
    result = pull(hub.url + PATH)
    check_pulled(result)
    assert [seen.headers.get("range") for seen in hub.of(PATH)] == [None, "bytes=100000-", "bytes=250000-"]
    assert sum(seen.sent for seen in hub.of(PATH)) == len(BODY)
    assert result.stderr.count("trying again") == 2


def test_a_transfer_that_always_breaks_ends_and_stays(hub: HubServer, pull: Pull, models: Path) -> None:
    file = hub.add(PATH, BODY)
    hub.fault(PATH, *[break_at(file, 1000 * i) for i in range(1, 4)])
    check_failed(pull(hub.url + PATH, "--retries", 2), PATH)
    assert part_size(models) == 3000
    check_pulled(pull(hub.url + PATH))
    assert hub.of(PATH)[-1].headers["range"] == "bytes=3000-"


def test_a_server_without_ranges(hub: HubServer, pull: Pull) -> None:
    file = hub.add(PATH, BODY, ranges=False)
    hub.fault(PATH, break_at(file, 100_000))
    check_pulled(pull(hub.url + PATH))
    assert hub.of(PATH)[-1].sent == len(BODY)


def test_a_server_without_etag_starts_over(hub: HubServer, pull: Pull) -> None:
    file = hub.add(PATH, BODY, etag=None)
    hub.fault(PATH, break_at(file, 100_000))
    check_pulled(pull(hub.url + PATH))
    assert "range" not in hub.of(PATH)[-1].headers


def test_a_file_that_changes_between_two_tries(hub: HubServer, pull: Pull) -> None:
    old = File(b"GGUFold" + bytes(len(BODY)), etag='"old"')
    hub.add(PATH, BODY, etag='"new"')
    hub.fault(PATH, break_at(old, 100_000))
    check_pulled(pull(hub.url + PATH))
    assert hub.of(PATH)[-1].headers["if-range"] == '"old"'


def test_a_changed_file_behind_a_server_that_ignores_if_range(hub: HubServer, pull: Pull) -> None:
    old = File(b"GGUFold" + bytes(len(BODY)), etag='"old"')
    new = hub.add(PATH, BODY, etag='"new"')
    hub.fault(PATH, break_at(old, 100_000),
              lambda handler: handler.answer(206, {"ETag": '"new"', "Content-Range": f"bytes 100000-{len(BODY) - 1}/{len(BODY)}"},
                                             new.body[100_000:]))
    check_pulled(pull(hub.url + PATH))


def test_a_wrong_sum(hub: HubServer, pull: Pull, models: Path) -> None:
    hub.add(PATH, BODY)
    wrong = "ab" * 32
    check_failed(pull(hub.url + PATH, "--sha256", wrong), SUM, wrong, "not kept")
    assert parts(models) == [] and list(models.rglob("*.gguf")) == []
    check_failed(pull(hub.url + PATH, "--sha256", "12"), "64 hexadecimal digits")
    result = pull(hub.url + PATH, "--sha256", SUM.upper())
    check_pulled(result)
    assert "not checked" not in result.stderr
    check_failed(pull(hub.url + PATH, "--sha256", wrong), "remove it and pull again")


def test_a_storage_that_serves_something_else(hub: HubServer, second: HubServer, pull: Pull, models: Path) -> None:
    hub.add_repo("o/r", {"m.gguf": BODY}, storage=second)
    second.files[f"/storage/{SUM}"].body = BODY[:-1] + b"!"
    check_failed(pull("hf:o/r"), SUM)
    assert parts(models) == []


def test_a_part_that_was_damaged_is_fetched_anew(hub: HubServer, pull: Pull, models: Path) -> None:
    hub.add_repo("o/r", {"m.gguf": BODY})
    storage = f"/storage/{SUM}"
    hub.fault(storage, break_at(hub.files[storage], 50_000))
    pull("hf:o/r", "--retries", 0)
    [part] = parts(models)
    part.write_bytes(b"GGUF" + bytes(49_996))
    result = pull("hf:o/r")
    check_pulled(result)
    assert "starting over" in result.stderr


@pytest.mark.parametrize("length", [len(BODY) + 1000, len(BODY) - 1000])
def test_a_wrong_content_length(hub: HubServer, pull: Pull, models: Path, length: int) -> None:
    hub.add_repo("o/r", {"m.gguf": BODY})
    hub.fault(f"/storage/{SUM}", *[plain(BODY, Content_Length=str(length))] * 3)
    check_failed(pull("hf:o/r", "--retries", 2), f"{length} bytes", str(len(BODY)))
    hub.add(PATH, BODY)
    hub.fault(PATH, *[plain(BODY, Content_Length=str(length))] * 3)
    check_failed(pull(hub.url + PATH, "--retries", 2, "--sha256", SUM))
    assert list(models.rglob("*.gguf")) == []


def test_an_unknown_length(hub: HubServer, pull: Pull) -> None:
    hub.fault(PATH, without_length(BODY))
    result = pull(hub.url + PATH)
    check_pulled(result)
    assert "size unknown" in result.stderr


def test_a_stalled_transfer(hub: HubServer, pull: Pull) -> None:
    file = hub.add(PATH, BODY)
    release = threading.Event()
    hub.fault(PATH, hold_at(file, 100_000, release))
    result = pull(hub.url + PATH, "--stall-timeout", 1, "--min-rate", 1000)
    release.set()
    check_pulled(result)
    assert "too slow" in result.stderr
    assert hub.of(PATH)[-1].headers["range"] == "bytes=100000-"


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(hub: HubServer, pull: Pull, code: int) -> None:
    hub.add(PATH, BODY)
    hub.fault(PATH, status(code), status(code, Retry_After="0"))
    result = pull(hub.url + PATH)
    check_pulled(result)
    assert f"answered {code}" in result.stderr


def test_a_server_that_stays_busy(hub: HubServer, pull: Pull) -> None:
    hub.fault(PATH, *[status(503)] * 9)
    check_failed(pull(hub.url + PATH, "--retries", 3), "503")
    assert len(hub.requests) == 4
    hub.faults.clear()
    hub.fault(PATH, status(429, Retry_After="86400"))
    check_failed(pull(hub.url + PATH), "come back after 86400 s")


@pytest.mark.parametrize("code", [400, 404, 410])
def test_other_answers_are_final(hub: HubServer, pull: Pull, code: int) -> None:
    hub.fault(PATH, status(code, X_Error_Message="it is so"))
    check_failed(pull(hub.url + PATH), str(code), "it is so")
    assert len(hub.requests) == 1


def test_a_page_instead_of_a_model(hub: HubServer, pull: Pull, models: Path) -> None:
    hub.add(PATH, b"<!DOCTYPE html>" + bytes(100_000))
    check_failed(pull(hub.url + PATH), "no GGUF file", "<!DO")
    assert parts(models) == []


@pytest.mark.parametrize("body", [b"GGUFxxxx", b"GGUF", BODY[:-1], b"GGUF\3\0\0\0" + b"\xff" * 16,
                                  SMALL.replace(b"general", b"gener\x1bl")],
                         ids=["no header", "magic alone", "cut off", "hostile counts", "control character"])
def test_what_begins_as_a_model_and_is_none_gets_no_name(hub: HubServer, pull: Pull, models: Path, body: bytes) -> None:
    hub.add(PATH, body)
    hub.add_repo("o/r", {"m.gguf": body})
    for name in (hub.url + PATH, "hf:o/r"):
        check_failed(pull(name, "--sha256", hashlib.sha256(body).hexdigest()), ".gguf is", "is not kept")
    assert [path for path in models.rglob("*") if path.is_file()] == []


# --- gated models, redirects, tokens ---

def test_gated_models(hub: HubServer, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repo("o/r", {"m.gguf": BODY})
    hub.fault(resolve("o/r", "m.gguf"), status(401), status(403))
    check_failed(pull("hf:o/r"), "401", f"{hub.url}/o/r", "set HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    result = pull("hf:o/r")
    check_failed(result, "403", "gives no access")
    assert "hf_secret" not in result.stderr


def test_the_token_stays_at_its_host(hub: HubServer, second: HubServer, pull: Pull, monkeypatch: pytest.MonkeyPatch,
                                     models: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.add_repo("o/r", {"m.gguf": BODY}, storage=second)
    check_pulled(pull("hf:o/r"))
    assert [seen.headers.get("authorization") for seen in hub.requests] == ["Bearer hf_secret"] * 2
    assert [seen.headers.get("authorization") for seen in second.requests] == [None]
    for file in models.rglob("*"):
        if file.is_file():
            assert b"secret" not in file.read_bytes() and b"s3cret" not in file.read_bytes()


def test_the_token_does_not_come_back_through_another_host(hub: HubServer, second: HubServer, pull: Pull,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.add_repo("o/r", {"m.gguf": BODY})
    hub.redirects[resolve("o/r", "m.gguf")] = (f"{second.url}/hop", {})
    second.redirects["/hop"] = (f"{hub.url}/storage/{SUM}", {})
    check_pulled(pull("hf:o/r"))
    assert [seen.headers.get("authorization") for seen in hub.of(f"/storage/{SUM}")] == [None]


def test_addresses_elsewhere_get_no_token(hub: HubServer, second: HubServer, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    second.add(PATH, BODY)
    check_pulled(pull(second.url + PATH))
    assert "authorization" not in second.requests[0].headers


def test_relative_redirects_and_loops(hub: HubServer, pull: Pull) -> None:
    hub.add("/b.gguf", BODY)
    hub.redirects["/x/a.gguf"] = ("../b.gguf", {})
    check_pulled(pull(hub.url + "/x/a.gguf"))
    hub.redirects["/loop.gguf"] = ("/loop.gguf", {})
    check_failed(pull(hub.url + "/loop.gguf"), "redirects more than")
    assert len(hub.of("/loop.gguf")) < 20
    hub.redirects["/file.gguf"] = ("file:///etc/passwd", {})
    check_failed(pull(hub.url + "/file.gguf"), "/file.gguf redirects", "no http or https address")


def test_signatures_stay_out_of_messages(hub: HubServer, pull: Pull) -> None:
    hub.add_repo("o/r", {"m.gguf": BODY})
    hub.fault(f"/storage/{SUM}", *[status(500)] * 9)
    result = pull("hf:o/r", "--retries", 1)
    check_failed(result, "500")
    assert "s3cret" not in result.stderr


# --- disk ---

def test_too_little_disk_is_said_beforehand(hub: HubServer, pull: Pull, models: Path) -> None:
    hub.fault(PATH, plain(BODY, Content_Length=str(1 << 59)))
    check_failed(pull(hub.url + PATH, "--max-model-gb", "1e9"), "512.0 PiB", "free", "make room")
    assert part_size(models) == 0 and parts(models) == []


def test_an_announced_size_over_the_limit(hub: HubServer, pull: Pull, models: Path) -> None:
    hub.fault(PATH, plain(BODY, Content_Length=str(1 << 60)))
    check_failed(pull(hub.url + PATH), "1024.0 PiB", "hub.max_model_gb allows 500.0 GiB", "--max-model-gb")
    assert parts(models) == []


def test_an_endless_body_ends_at_the_limit(hub: HubServer, pull: Pull, models: Path, tmp_path: Path) -> None:
    ends: list[int] = []

    def endless(handler: Handler) -> None:
        handler.head(200, {"Transfer-Encoding": "chunked", "ETag": '"v1"'})
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(BODY), BODY))
        while True:
            handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            ends.append(0x10000)

    config = tmp_path / "limits.yaml"
    config.write_text("hub:\n  max_model_gb: 0.005\n")
    for options in (["--max-model-gb", 0.005], ["--config", config]):
        ends.clear()
        hub.fault(PATH, endless)
        check_failed(pull(hub.url + PATH, *options), "at least 5.", "hub.max_model_gb allows 5.1 MiB")
        assert parts(models) == []
        assert sum(ends) < 64 << 20, "the rest is buffers of sockets"
    check_failed(pull(hub.url + PATH, "--max-model-gb", 0), "0.001")


def test_a_disk_that_fills_up(program: Program, hub: HubServer, pull: Pull, models: Path) -> None:
    """A limit on the size of files does what a full disk does: a write fails on the way."""
    hub.add(PATH, BODY)
    limit = 200_000
    result = subprocess.run([str(program.path), "pull", hub.url + PATH], capture_output=True, text=True, timeout=END_TIMEOUT_S,
                            restore_signals=False,  # SIGXFSZ stays ignored, as Python has it
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    check_failed(result, "cannot write", ".part", "goes on from it")
    assert 0 < part_size(models) <= limit
    check_pulled(pull(hub.url + PATH))
    assert 0 < hub.of(PATH)[-1].sent < len(BODY)


def test_a_folder_that_cannot_be_made(hub: HubServer, pull: Pull, tmp_path: Path) -> None:
    hub.add(PATH, BODY)
    (tmp_path / "cache").write_text("a file where a folder should be")
    check_failed(pull(hub.url + PATH), "cannot make the folder", str(tmp_path / "cache"))


# --- two at once, interruptions ---

def test_two_pulls_at_once(program: Program, hub: HubServer, models: Path) -> None:
    file = hub.add(PATH, BODY)
    release = threading.Event()
    hub.fault(PATH, hold_at(file, 100_000, release))
    first = start(program, "pull", hub.url + PATH)
    wait_until(lambda: part_size(models) == 100_000, END_TIMEOUT_S, "the first half")
    other = start(program, "pull", hub.url + PATH)
    line = other.stderr.readline()
    assert "waiting for it" in line
    busy = program.run("rm", "-f", "model.gguf")
    check_failed(busy, "being pulled right now")
    release.set()
    outputs = [process.communicate(timeout=END_TIMEOUT_S) for process in (first, other)]
    assert first.returncode == other.returncode == 0, outputs
    assert outputs[0][0] == outputs[1][0]
    assert Path(outputs[0][0].strip()).read_bytes() == BODY
    assert len(hub.of(PATH)) == 1 and parts(models) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupt_and_go_on(program: Program, hub: HubServer, pull: Pull, models: Path, number: signal.Signals) -> None:
    file = hub.add(PATH, BODY)
    release = threading.Event()
    hub.fault(PATH, hold_at(file, 150_000, release))
    process = start(program, "pull", hub.url + PATH)
    wait_until(lambda: part_size(models) == 150_000, END_TIMEOUT_S, "the first part")
    process.send_signal(number)
    _, errors = process.communicate(timeout=END_TIMEOUT_S)
    release.set()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert errors.splitlines()[-1].startswith("cllm: interrupted") and "goes on from where it was" in errors
    listed = program.run("list").stdout
    assert "146.5 KiB of 390.6 KiB (unfinished)" in listed
    check_pulled(pull(hub.url + PATH))
    seen = hub.of(PATH)[-1]
    assert seen.headers["range"] == "bytes=150000-"
    assert seen.sent == len(BODY) - 150_000 < len(BODY)


def test_interrupt_while_waiting_for_another_pull(program: Program, hub: HubServer, models: Path) -> None:
    file = hub.add(PATH, BODY)
    release = threading.Event()
    hub.fault(PATH, hold_at(file, 100_000, release))
    first = start(program, "pull", hub.url + PATH)
    wait_until(lambda: part_size(models) == 100_000, END_TIMEOUT_S, "the first half")
    other = start(program, "pull", hub.url + PATH)
    assert "waiting for it" in other.stderr.readline()
    other.send_signal(signal.SIGINT)
    other.communicate(timeout=END_TIMEOUT_S)
    assert other.returncode == 130
    release.set()
    first.communicate(timeout=END_TIMEOUT_S)
    assert first.returncode == 0


def test_interrupt_while_waiting_for_the_next_try(program: Program, hub: HubServer) -> None:
    hub.fault(PATH, *[status(503)] * 9)
    process = start(program, "pull", hub.url + PATH, "--retry-delay", 30)
    assert "trying again in 30 s" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=END_TIMEOUT_S)
    assert process.returncode == 130 and len(hub.requests) == 1
    assert "begins anew" in errors, "nothing came that could be kept"


# --- what a person sees ---

def on_a_terminal(program: Program, columns: int, *arguments: object) -> tuple[int, str]:
    """Runs the program with its standard error on a terminal; exit code and what the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([str(program.path), *map(str, arguments)], stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not data:
            break
        seen += data
    os.close(ours)
    return process.wait(END_TIMEOUT_S), seen.decode()


@pytest.mark.parametrize("columns", [120, 80, 40, 12])
def test_a_bar_on_a_terminal(program: Program, hub: HubServer, columns: int) -> None:
    hub.add(PATH, BODY)
    code, seen = on_a_terminal(program, columns, "pull", hub.url + PATH, "--sha256", SUM)
    assert code == 0
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", seen).replace("\n", "\r").split("\r") if line]
    assert "100 %" in lines[-1]
    assert all(len(line) < columns for line in lines), lines
    assert ("[" in lines[-1]) == (columns >= 40) and ("390.6 KiB" in lines[-1]) == (columns >= 80)
    assert "\x1b[32m" in seen or columns < 40


def test_no_color(program: Program, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    hub.add(PATH, BODY)
    code, seen = on_a_terminal(program, 80, "pull", hub.url + PATH)
    assert code == 0 and "100 %" in seen and not re.search(r"\x1b\[[0-9;]*m", seen)


def test_plain_lines_and_quiet(hub: HubServer, pull: Pull) -> None:
    hub.add(PATH, BODY)
    hub.add("/quiet.gguf", BODY)
    result = pull(hub.url + PATH, "--sha256", SUM)
    assert result.stderr.splitlines()[0] == "fetching model.gguf (390.6 KiB)"
    assert "\r" not in result.stderr and "\x1b" not in result.stderr
    assert pull(hub.url + "/quiet.gguf", "--quiet").stderr == ""
    assert pull(hub.url + "/quiet.gguf", "-q").stderr == ""
