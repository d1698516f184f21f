"""`cllm run`: piped, one shot and as a chat in a terminal, with a model in process and against servers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from clients import Json, wait_until
from conftest import Program, Server
from toy_openai import END, ToyOpenAI, delta, frame, refuses, says, stream

PROMPT = ">>> "
STORY = "Tell me a very long story about a river, with many chapters."
AT_ONCE_S = 10.0
KEY = "sk-secret"


def environment(cache: Path, **more: str) -> dict[str, str]:
    """The caller's, without what would change the outcome, and with a cache folder of the test's own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CLLM_API_KEY", "LC_ALL", "LANG")}
    return {**kept, "XDG_CACHE_HOME": str(cache), "TERM": "xterm", "no_proxy": "*", **more}


class Chat:
    """The program in a terminal."""

    def __init__(self, program: Program, cache: Path, *arguments: object, columns: int = 200, **more: str) -> None:
        self.child = pexpect.spawn(str(program.path), ["run", *map(str, arguments)], cwd=str(program.cwd), timeout=60,
                                   encoding="utf-8", dimensions=(40, columns), env=environment(cache, **more))
        self.child.delaybeforesend = None

    def ready(self) -> Chat:
        self.child.expect_exact(PROMPT)
        return self

    def begin(self, line: str) -> None:
        """Types a line, and takes its echo away."""
        self.child.sendline(line)
        self.child.expect_exact("\r\n")

    def say(self, line: str) -> str:
        """Types a line and returns what is shown until the next prompt."""
        self.begin(line)
        return self.rest()

    def rest(self) -> str:
        self.child.expect_exact(PROMPT)
        return without_escapes(self.child.before)

    def interrupt(self) -> None:
        self.child.sendintr()

    def saved(self, file: Path) -> list[Json]:
        assert "messages are in" in self.say(f"/save {file}")
        return json.loads(file.read_text())["messages"]

    def end(self) -> int:
        """Ctrl-D, and the exit code."""
        self.child.sendeof()
        return self.code()

    def code(self) -> int:
        self.child.expect(pexpect.EOF)
        self.child.wait()
        return self.child.exitstatus if self.child.signalstatus is None else -self.child.signalstatus


def without_escapes(text: str) -> str:
    """What is left to read of what a line editor writes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)


@pytest.fixture
def terminal(program: Program, tmp_path: Path) -> Iterator[Callable[..., Chat]]:
    """terminal(*arguments) starts `cllm run` in a terminal."""
    chats: list[Chat] = []

    def start(*arguments: object, columns: int = 200, **more: str) -> Chat:
        chats.append(Chat(program, tmp_path / "cache", *arguments, columns=columns, **more))
        return chats[-1]

    yield start
    for chat in chats:
        chat.child.close(force=True)


@pytest.fixture(params=["in process", "server"])
def where(request: pytest.FixtureRequest, program: Program) -> list[object]:
    """The arguments for a model in process, and for one behind a server."""
    if request.param == "in process":
        return [program.model, "-c", 512]
    server: Server = request.getfixturevalue("server")
    return ["--server-url", server.url]


@pytest.fixture
def toy() -> Iterator[ToyOpenAI]:
    with ToyOpenAI() as server:
        yield server


def once(program: Program, cache: Path, *arguments: object, stdin: bytes | None = None, **more: str) -> subprocess.CompletedProcess:
    """Runs the program without a terminal."""
    given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run([program.path, "run", *map(str, arguments)], cwd=program.cwd, capture_output=True, timeout=120,
                          env=environment(cache, **more), **given)


def refused(program: Program, cache: Path, *arguments: object, **more: object) -> str:
    """Exit code 1, nothing on stdout, and the one line on stderr."""
    result = once(program, cache, *arguments, **more)
    assert result.returncode == 1 and result.stdout == b"", result
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 1 and lines[0].startswith("cllm: "), result.stderr
    return lines[0]


# Without a terminal.


def test_piped_text_goes_below_the_argument(program: Program, server: Server, where: list[object], tmp_path: Path) -> None:
    result = once(program, tmp_path, *where, "--temperature", 0, "--max-tokens", 24, "--prompt", "Summarise:",
                  stdin=b"The river is long.\n")
    body = {"messages": [{"role": "user", "content": "Summarise:\n\nThe river is long."}], "temperature": 0, "max_tokens": 24}
    expected = server.post("/v1/chat/completions", body).json()["choices"][0]["message"]["content"]
    assert result.returncode == 0 and result.stderr == b""
    assert result.stdout.decode().rstrip("\n") == expected.rstrip("\n")
    assert result.stdout.endswith(b"\n")


def test_model_and_prompt_as_arguments(program: Program, tmp_path: Path) -> None:
    result = once(program, tmp_path, program.model, STORY, "-c", 256, "--max-tokens", 8, "--temperature", 0, "--verbose")
    assert result.returncode == 0 and len(result.stdout) > 3
    assert re.fullmatch(r"prompt \d+ tokens, [\d.]+ tokens/s; answer 8 tokens, [\d.]+ tokens/s; [\d.]+ s\n", result.stderr.decode())


def test_the_system_text_changes_the_answer(program: Program, toy: ToyOpenAI, tmp_path: Path) -> None:
    toy.replies.append(says("one", "\ntwo"))
    result = once(program, tmp_path, "--server-url", toy.url, "m", "why", "--system", "Be brief.", "--top-k", 3, "--seed", 7)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"one\ntwo\n", b"")
    body = toy.questions[0]
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "why"}]
    assert (body["model"], body["top_k"], body["seed"], body["stream"]) == ("m", 3, 7, True)


def test_without_a_model_the_servers_first_one_answers(program: Program, toy: ToyOpenAI, tmp_path: Path) -> None:
    toy.replies.append(says("yes"))
    assert once(program, tmp_path, "--server-url", toy.url, "--prompt", "why").stdout == b"yes\n"
    assert toy.questions[0]["model"] == "toy-1"


def test_a_pipe_gets_the_bytes_of_the_model(program: Program, toy: ToyOpenAI, tmp_path: Path) -> None:
    toy.replies.append(says("\x1b[2J", "ü\n"))
    assert once(program, tmp_path, "--server-url", toy.url, stdin=b"why").stdout == "\x1b[2Jü\n".encode()
    long_line = "word " * 100
    toy.replies.append(says(long_line))
    assert once(program, tmp_path, "--server-url", toy.url, stdin=b"why").stdout.decode() == long_line + "\n"


def test_a_reader_that_has_enough_ends_it_quietly(program: Program, tmp_path: Path) -> None:
    child = subprocess.Popen([program.path, "run", program.model, STORY, "-c", "2048", "--temperature", "0"], cwd=program.cwd,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path))
    assert child.stdout.read(10)
    child.stdout.close()
    assert child.wait(60) == -signal.SIGPIPE
    assert child.stderr.read() == b""


def test_a_full_disk_is_an_error(program: Program, toy: ToyOpenAI, tmp_path: Path) -> None:
    toy.replies.append(says("yes"))
    with open("/dev/full", "wb") as full:
        result = subprocess.run([program.path, "run", "--server-url", toy.url, "--prompt", "why"], stdin=subprocess.DEVNULL,
                                stdout=full, stderr=subprocess.PIPE, timeout=60, env=environment(tmp_path))
    assert result.returncode == 1 and b"No space left" in result.stderr


def test_closed_standard_input_is_no_input(program: Program, toy: ToyOpenAI, tmp_path: Path) -> None:
    toy.replies.append(says("yes"))
    result = subprocess.run(["sh", "-c", f"exec {program.path} run --server-url {toy.url} --prompt why <&-"], capture_output=True,
                            timeout=60, env=environment(tmp_path))
    assert (result.returncode, result.stdout) == (0, b"yes\n"), result.stderr


@pytest.mark.parametrize(("arguments", "marks"), [
    (["none.gguf", "why"], ["none.gguf"]),
    (["MODEL"], ["nothing to answer", "PROMPT"]),
    (["MODEL", "why", "--temperature", "3"], ["temperature must be a number from 0 to 2, not 3"]),
    (["MODEL", "why", "--max-tokens", "0"], ["max_tokens"]),
    (["MODEL", "why", "--seed", "x"], ["seed", "x"]),
    (["MODEL", "why", "--prompt", "why"], ["--prompt", "PROMPT"]),
    (["MODEL", "why", "--temprature", "1"], ["--temprature", "--temperature"]),
    (["MODEL", "word " * 600, "-c", "128"], ["context", "-c 256"]),
    (["--server-url", "ftp://x", "m", "why"], ["--server-url", "ftp://x"]),
    (["--server-url", "http://127.0.0.1:9", "m", "why", "-c", "64"], ["-c", "--server-url"]),
    (["--server-url", "http://127.0.0.1:9", "why is that"], ["--prompt", "model"]),
    (["--server-url", "http://127.0.0.1:9", "m", "why", "--api-key", "a b"], ["API key"]),
    (["--server-url", "http://127.0.0.1:9", "m", "why"], ["http://127.0.0.1:9", "reached"]),
], ids=lambda value: " ".join(value)[:40])
def test_what_cannot_work_says_so(program: Program, tmp_path: Path, arguments: list[str], marks: list[str]) -> None:
    line = refused(program, tmp_path, *(program.model if argument == "MODEL" else argument for argument in arguments))
    for mark in marks:
        assert mark in line


def test_input_that_is_no_text(program: Program, tmp_path: Path) -> None:
    assert "UTF-8" in refused(program, tmp_path, program.model, "why", stdin=b"ab\xff")


# Servers that refuse, break or misbehave.


def test_a_key_by_option_or_environment(program: Program, tmp_path: Path) -> None:
    with ToyOpenAI(key=KEY) as toy:
        line = refused(program, tmp_path, "--server-url", toy.url, "--prompt", "why")
        assert "HTTP 401: that is not the key" in line and "--api-key" in line and "CLLM_API_KEY" in line
        assert "401" in refused(program, tmp_path, "--server-url", toy.url, "--prompt", "why", "--api-key", "wrong", CLLM_API_KEY=KEY)
        for arguments, more in ([["--api-key", KEY], {}], [[], {"CLLM_API_KEY": KEY}]):
            toy.replies.append(says("yes"))
            assert once(program, tmp_path, "--server-url", toy.url, "--prompt", "why", *arguments, **more).stdout == b"yes\n"


@pytest.mark.parametrize(("reply", "marks"), [
    (refuses(400, {"error": {"message": "bad\n\x1b[2Jfield"}}), ["HTTP 400: bad \\x1b[2Jfield"]),
    (refuses(503, {"success": False, "error": {"message": "loading"}}), ["HTTP 503: loading"]),
    (lambda handler: handler.send_body(502, b"<h1>Bad gateway</h1>"), ["HTTP 502: <h1>Bad gateway"]),
    (lambda handler: handler.send_body(302, b""), ["HTTP 302", "--server-url"]),
    (lambda handler: handler.send_body(200, b"<h1>Hello</h1>"), ["no chat completion", "<h1>Hello"]),
    (stream([frame({"error": {"message": "out of memory"}})]), ["out of memory"]),
    (stream([frame("nonsense")]), ["no chat completion", "nonsense"]),
    (stream([], ends=False), ["broken the connection"]),
    (stream([]), ["before the answer was complete"]),
], ids=["400", "503", "html 502", "302", "html 200", "error frame", "nonsense", "broken", "empty"])
def test_what_a_server_says_is_shown(program: Program, toy: ToyOpenAI, tmp_path: Path, reply: Callable, marks: list[str]) -> None:
    toy.replies.append(reply)
    line = refused(program, tmp_path, "--server-url", toy.url, "--prompt", "why")
    for mark in marks:
        assert mark in line


def test_a_server_that_is_gone_in_the_middle(toy: ToyOpenAI, terminal: Callable[..., Chat], tmp_path: Path) -> None:
    toy.replies += [says("one"), stream([delta("half")], ends=False), says("three")]
    chat = terminal("--server-url", toy.url).ready()
    chat.say("first")
    shown = chat.say("second")
    assert "half" in shown and "cllm: " in shown and "ask again" in shown
    assert "three" in chat.say("third")
    assert [message["content"] for message in toy.questions[-1]["messages"]] == ["first", "one", "third"]
    assert chat.end() == 0


def test_a_server_that_ends_altogether(serve: Callable[..., Server], terminal: Callable[..., Chat]) -> None:
    server = serve("-c", 2048, "-np", 1)
    chat = terminal("--server-url", server.url, "--temperature", 0).ready()
    chat.begin(STORY)
    chat.child.expect(r"\w+ \w+ \w+")
    server.stop()
    assert "cllm: " in chat.rest()
    assert "reached" in chat.say("Are you there?")
    assert chat.end() == 0


# In a terminal.


def test_a_chat_and_its_end(where: list[object], terminal: Callable[..., Chat], tmp_path: Path) -> None:
    chat = terminal(*where, "--temperature", 0, "--max-tokens", 16).ready()
    first = chat.say("Say hello.")
    assert len(first.strip()) > 3 and "cllm:" not in first
    chat.say("And again: Grüße!")
    messages = chat.saved(tmp_path / "chat.json")
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[2]["content"] == "And again: Grüße!"
    assert messages[1]["content"].split() == first.split("The answer was cut")[0].split()
    assert chat.end() == 0


def test_text_is_shown_as_it_comes(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    seen = threading.Event()

    def frames() -> Iterator[bytes]:
        yield delta("first")
        assert seen.wait(60)
        yield delta(" second") + END

    toy.replies.append(stream(frames()))
    chat = terminal("--server-url", toy.url).ready()
    chat.begin("Go.")
    chat.child.expect_exact("first")
    seen.set()
    assert " second" in chat.rest()


def lines_of(written: str) -> list[str]:
    """What a terminal that is wide enough shows, line by line."""
    lines = []
    for written_line in written.split("\n"):
        cells: list[str] = []
        at = 0
        for character in written_line:
            if character == "\b":
                at -= 1
            else:
                cells[at:at + 1] = [character]
                at += 1
        lines.append("".join(cells).rstrip())
    return lines


def test_lines_end_between_words(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    text = "The quick brown fox jumps over the lazy dog and lives happily ever after. 一二三四五六七八九十一二三四五。"
    in_lines = ["The quick brown fox jumps over", "the lazy dog and lives happily", "ever after. 一二三四五六七八九", "十一二三四五。"]
    code = "```\n" + "code stays as it is " * 3 + "\n```"
    toy.replies += [says(text), says(*text), says(code)]
    chat = terminal("--server-url", toy.url, columns=31, NO_COLOR="1").ready()
    for _ in range(2):
        assert lines_of(chat.say("Go."))[:4] == in_lines
    assert lines_of(chat.say("Go."))[:3] == [line.rstrip() for line in code.split("\n")]
    assert chat.end() == 0


def test_lines_follow_the_width_of_the_window(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    resized = threading.Event()

    def frames() -> Iterator[bytes]:
        yield delta("The quick brown fox jumps ")
        assert resized.wait(60)
        yield delta("over the lazy dog and lives happily ever after.") + END

    toy.replies.append(stream(frames()))
    chat = terminal("--server-url", toy.url, columns=20, NO_COLOR="1").ready()
    chat.begin("Go.")
    chat.child.expect_exact("jumps")
    assert lines_of(without_escapes(chat.child.before)) == ["The quick brown fox", ""]
    chat.child.setwinsize(40, 40)
    resized.set()
    assert lines_of(chat.rest())[:2] == [" over the lazy dog and lives", "happily ever after."]
    assert chat.end() == 0


def test_one_answer_on_a_terminal_is_wrapped_too(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    toy.replies.append(says("The quick brown fox jumps over the lazy dog."))
    chat = terminal("--server-url", toy.url, "--prompt", "Go.", columns=20)
    assert chat.code() == 0
    assert lines_of(without_escapes(chat.child.before)) == ["The quick brown fox", "jumps over the lazy", "dog.", ""]


def test_ctrl_c_stops_the_answer_and_not_the_program(where: list[object], terminal: Callable[..., Chat], server: Server,
                                                     tmp_path: Path) -> None:
    chat = terminal(*where, "--temperature", 0).ready()
    chat.begin(STORY)
    chat.child.expect(r"\w+ \w+ \w+ \w+")
    seen = without_escapes(chat.child.match[0])
    chat.interrupt()
    start = time.monotonic()
    shown = chat.rest()
    assert time.monotonic() - start < AT_ONCE_S
    assert "Stopped." in shown
    wait_until(server.is_idle, AT_ONCE_S, "the server to be idle")
    messages = chat.saved(tmp_path / "chat.json")
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert seen in messages[1]["content"] and len(messages[1]["content"]) < 1500
    chat.say("/set max_tokens 8")
    assert len(chat.say("And now?").strip()) > 3
    assert chat.end() == 0


def test_stopped_before_the_first_word(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    begun, over = threading.Event(), threading.Event()

    def silent(handler) -> None:
        begun.set()
        over.wait(60)

    toy.replies += [silent, says("yes")]
    chat = terminal("--server-url", toy.url).ready()
    chat.begin("one")
    assert begun.wait(60)
    chat.interrupt()
    assert "Stopped." in chat.rest()
    over.set()
    assert "yes" in chat.say("two")
    assert [message["content"] for message in toy.questions[-1]["messages"]] == ["two"]


def test_ctrl_c_at_the_prompt(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    toy.replies.append(says("yes"))
    chat = terminal("--server-url", toy.url).ready()
    chat.interrupt()
    assert "Ctrl-D or /bye ends the chat" in chat.rest()
    chat.child.send("half a line")
    chat.child.expect_exact("half a line")
    chat.interrupt()
    assert "Ctrl-D" not in chat.rest()
    chat.say("whole")
    assert toy.questions[0]["messages"] == [{"role": "user", "content": "whole"}]
    assert chat.end() == 0


def test_bye(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    chat = terminal("--server-url", toy.url).ready()
    chat.begin("/bye")
    assert chat.code() == 0


def test_clear_and_system(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    toy.replies += [says("1"), says("2"), says("3")]
    chat = terminal("--server-url", toy.url, "--system", "a").ready()
    chat.say("one")
    chat.say("/system b")
    chat.say("two")
    chat.say("/clear")
    chat.say("three")
    contents = [[message["content"] for message in question["messages"]] for question in toy.questions]
    assert contents == [["a", "one"], ["b", "one", "1", "two"], ["b", "three"]]


def test_a_seed_repeats_an_answer(where: list[object], terminal: Callable[..., Chat]) -> None:
    chat = terminal(*where, "--max-tokens", 24).ready()
    chat.say("/set temperature 1.5")
    answers = {}
    for seed in (7, 8):
        chat.say(f"/set seed {seed}")
        for _ in range(2):
            chat.say("/clear")
            answers.setdefault(seed, set()).add(chat.say("Invent a word."))
    assert len(answers[7]) == len(answers[8]) == 1
    assert answers[7] != answers[8]


def test_saved_and_loaded_in_another_chat(where: list[object], terminal: Callable[..., Chat], tmp_path: Path) -> None:
    first = terminal(*where, "--max-tokens", 8, "--temperature", 0, "--system", "Be brief.").ready()
    first.say("Say hello.")
    before = first.saved(tmp_path / "a.json")
    assert first.end() == 0
    second = terminal(*where, "--max-tokens", 8, "--temperature", 0).ready()
    assert "3 messages from" in second.say(f"/load {tmp_path / 'a.json'}")
    second.say("Once more.")
    after = second.saved(tmp_path / "b.json")
    assert after[:3] == before and len(after) == 5
    (tmp_path / "bad.json").write_text('{"cllm_conversation": 1, "messages": [{"role": "user"}]}')
    assert "messages[0].content is missing" in second.say(f"/load {tmp_path / 'bad.json'}")
    assert "no such file" in second.say("/load none.json")
    assert second.saved(tmp_path / "b.json") == after


def test_several_lines(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    toy.replies += [says("1"), says("2")]
    chat = terminal("--server-url", toy.url).ready()
    chat.child.sendline('"""one')
    chat.child.expect_exact("... ")
    chat.child.sendline("")
    chat.child.expect_exact("... ")
    chat.say('/two"""')
    chat.child.sendline("three\\")
    chat.child.expect_exact("... ")
    chat.say("four")
    assert [question["messages"][-1]["content"] for question in toy.questions] == ["one\n\n/two", "three\nfour"]


def test_history_is_kept_for_the_owner(toy: ToyOpenAI, terminal: Callable[..., Chat], tmp_path: Path) -> None:
    toy.replies += [says("1"), says("2"), says("3")]
    chat = terminal("--server-url", toy.url).ready()
    chat.say("the first question")
    chat.say("the second question, Grüße")
    assert chat.end() == 0
    file = tmp_path / "cache/cllm/history"
    assert file.read_text() == "the first question\nthe second question, Grüße\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = terminal("--server-url", toy.url).ready()
    again.say("\x1b[A")
    assert toy.questions[-1]["messages"][-1]["content"] == "the second question, Grüße"


def test_a_history_that_cannot_be_kept_is_no_end(toy: ToyOpenAI, terminal: Callable[..., Chat], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    toy.replies.append(says("yes"))
    chat = terminal("--server-url", toy.url).ready()
    assert "yes" in chat.say("one")
    assert chat.end() == 0


def test_letters_beyond_ascii_can_be_edited(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    toy.replies.append(says("yes"))
    chat = terminal("--server-url", toy.url, LC_ALL="C").ready()
    chat.say("Grüß\x7f\x7fün 世界\x7f")
    assert toy.questions[0]["messages"][0]["content"] == "Grün 世"


def test_the_terminal_is_safe_from_the_model(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    toy.replies.append(says("a\x1b", "]0;title\x07\x1b[2J\x9b31m\rb"))
    chat = terminal("--server-url", toy.url, NO_COLOR="1").ready()
    chat.begin("one")
    chat.child.expect_exact("b\r\n")
    raw = chat.child.before
    assert "\x1b]" not in raw and "\x1b[2J" not in raw and "\x07" not in raw and "\x9b" not in raw
    assert "a\\x1b]0;title\\x07\\x1b[2J\\x9b31m" in raw


def test_no_color(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    for more, colored in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        chat = terminal("--server-url", toy.url, **more).ready()
        assert ("\x1b[2m" in chat.child.before) is colored


@pytest.mark.parametrize("mode", ["in process", "server"])
def test_a_context_that_is_full(mode: str, program: Program, server: Server, terminal: Callable[..., Chat]) -> None:
    arguments = [program.model, "-c", 64] if mode == "in process" else ["--server-url", server.url]
    words = 100 if mode == "in process" else 600
    chat = terminal(*arguments, "--temperature", 0).ready()
    refusal = chat.say("word " * words)
    assert "context" in refusal and "/clear" in refusal
    if mode == "in process":
        cut = chat.say(STORY)
        assert "The answer was cut, the context is full: start with a longer context (-c 128), or /clear." in cut
    assert "context" not in chat.say("/clear")
    chat.say("/set max_tokens 4")
    assert len(chat.say("Hello?").strip()) > 1
    assert chat.end() == 0


def test_mistakes_are_explained_and_the_chat_goes_on(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    toy.replies.append(says("yes"))
    chat = terminal("--server-url", toy.url).ready()
    assert "the nearest is /clear" in chat.say("/claer")
    assert "the nearest is temperature" in chat.say("/set temprature 1")
    assert "from 0 to 2" in chat.say("/set temperature 5")
    assert "temperature" in chat.say("/set") and "/load FILE" in chat.say("/help")
    assert "yes" in chat.say("one")
    assert toy.questions[0].keys() == {"model", "messages", "stream", "stream_options"}


def test_one_shot_from_a_terminal(program: Program, terminal: Callable[..., Chat]) -> None:
    chat = terminal(program.model, "Say hello.", "-c", 256, "--max-tokens", 8, "--temperature", 0)
    assert chat.code() == 0
    assert PROMPT not in chat.child.before and len(chat.child.before.strip()) > 3


def test_ctrl_c_ends_one_shot_with_130(where: list[object], terminal: Callable[..., Chat], server: Server) -> None:
    chat = terminal(*where, "--prompt", STORY, "--temperature", 0)
    chat.child.expect(r"\w+ \w+ \w+")
    chat.interrupt()
    start = time.monotonic()
    assert chat.code() == 130
    assert time.monotonic() - start < AT_ONCE_S
    wait_until(server.is_idle, AT_ONCE_S, "the server to be idle")


def test_ctrl_c_while_it_reads_its_input(program: Program, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = subprocess.Popen([program.path, "run", program.model, "why"], stdin=theirs, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=environment(tmp_path))
        mask = f"/proc/{child.pid}/status"
        # From here on the signal waits to be taken instead of ending the process.
        wait_until(lambda: int(re.search(r"SigBlk:\s*(\w+)", Path(mask).read_text())[1], 16) & 1 << (signal.SIGINT - 1), 60,
                   "SIGINT to be blocked")
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
        assert child.stdout.read() == child.stderr.read() == b""


def test_the_terminal_is_in_order_after_a_signal(toy: ToyOpenAI, terminal: Callable[..., Chat]) -> None:
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)[3]  # of any new terminal: the program may have changed its own already
    os.close(ours)
    os.close(theirs)
    chat = terminal("--server-url", toy.url).ready()
    wait_until(lambda: not termios.tcgetattr(chat.child.child_fd)[3] & termios.ICANON, 10, "the line editor's mode")
    chat.child.kill(signal.SIGTERM)
    assert chat.code() == -signal.SIGTERM
    assert termios.tcgetattr(chat.child.child_fd)[3] == before
