"""Chat prompts become the tokens that llama-server made of them, recorded by bench/compare_chat_tokens.py; and templates that recurse,
loop, or cannot be used harm nobody."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from clients import RawClient, wait_until
from conftest import Program, Server
from gguf_writer import tiny_llama

RECORDED = json.loads((Path(__file__).parent / "data/smollm2_chat_tokens.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RECORDED)
def test_prompts_have_llama_servers_tokens(server: Server, name: str) -> None:
    recorded = RECORDED[name]
    prompt = server.post("/apply-template", {"messages": recorded["messages"]}).json()["prompt"]
    assert prompt == recorded["prompt"]
    tokens = server.post("/tokenize", {"content": prompt, "add_special": True}).json()["tokens"]
    assert tokens == recorded["tokens"]
    answer = server.post("/v1/chat/completions", {"messages": recorded["messages"], "max_tokens": 1}).json()
    assert answer["usage"]["prompt_tokens"] == len(tokens)


PLAIN = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"
RECURSES = PLAIN + "{% macro f(x) %}{{ f(x) }}{% endmacro %}{% if messages | length > 6 %}{{ f(1) }}{% endif %}"
LOOPS = (PLAIN + "{% if messages | length > 6 %}{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}"
         "{% endfor %}{% endfor %}{% endif %}")
HOLD = [{"role": "user", "content": "tin"}] * 1000  # more messages may take more steps
SEVEN = [{"role": "user", "content": "tin"}] * 7


@pytest.fixture
def serve_template(launch: Callable[..., Server], tmp_path: Path) -> Callable[..., Server]:
    """serve_template(text, *options): the tiny model with that template, or with none."""
    def start(text: str | None, *options: object) -> Server:
        model = tiny_llama()
        model = model.drop("tokenizer.chat_template") if text is None else model.set("tokenizer.chat_template", "string", text)
        path = tmp_path / "tiny.gguf"
        path.write_bytes(model.bytes())
        return launch(path, "--host", "127.0.0.1", "--port", 0, "-c", 64, *options).wait_ready()
    return start


def chat(server: Server, messages: list, **fields: object):
    return server.post("/v1/chat/completions", {"messages": messages, "max_tokens": 2, **fields})


def assert_serves_without_chat(server: Server) -> None:
    assert server.post("/generate", {"prompt": "the", "max_tokens": 2}).status_code == 200
    assert server.post("/v1/completions", {"prompt": "the", "max_tokens": 2}).status_code == 200
    assert server.get("/health").status_code == 200


@pytest.mark.parametrize("template", [RECURSES, LOOPS], ids=["recursion", "loops"])
def test_a_rendering_over_its_bounds_is_a_400(serve_template: Callable[..., Server], template: str) -> None:
    server = serve_template(template)
    assert chat(server, SEVEN[:1]).status_code == 200
    for path in ("/v1/chat/completions", "/apply-template"):
        response = server.post(path, {"messages": SEVEN})
        assert response.status_code == 400, response.text
        assert "chat template" in response.text
        assert "more than" in response.text
    assert_serves_without_chat(server)


def test_a_deadline_ends_a_rendering(serve_template: Callable[..., Server]) -> None:
    server = serve_template(LOOPS, "--request-timeout", 0.2)
    assert chat(server, HOLD).status_code == 408


def test_others_are_not_held_up_and_who_leaves_ends_a_rendering(serve_template: Callable[..., Server]) -> None:
    server = serve_template(LOOPS)
    clients = [RawClient(server.port) for _ in range(4)]  # more than there are workers for chats
    for client in clients:
        client.post("/v1/chat/completions", {"messages": HOLD})
    wait_until(lambda: server.queue()["open"] == 4, 10, "all of them")
    assert_serves_without_chat(server)
    assert server.queue()["open"] > 0, "and meanwhile at least the last was rendered"
    for client in clients:
        client.close()
    server.wait_idle(10.0)


def test_the_end_of_the_grace_ends_a_rendering(serve_template: Callable[..., Server]) -> None:
    server = serve_template(LOOPS, "--shutdown-grace-s", 0.1)
    with RawClient(server.port) as client:
        client.post("/v1/chat/completions", {"messages": HOLD})
        while server.queue()["open"] == 0:
            pass
        server.signal(signal.SIGTERM)
        assert server.wait_end(10.0) == 0


@pytest.mark.parametrize("template", ["{% for message in messages %}", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
                                      "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"],
                         ids=["no end", "recursion", "loops"])
def test_a_template_that_cannot_be_used_blocks_chats_alone(program: Program, serve_template: Callable[..., Server], tmp_path: Path,
                                                           template: str) -> None:
    server = serve_template(template)
    assert "the chat template cannot be used" in server.log
    assert_serves_without_chat(server)
    response = chat(server, SEVEN[:1])
    assert response.status_code == 400
    assert "the chat template cannot be used" in response.json()["error"]["message"]
    assert "the chat template cannot be used" in program.run("show", tmp_path / "tiny.gguf").stdout


def test_a_template_without_a_parser_is_rendered(serve_template: Callable[..., Server]) -> None:
    server = serve_template("{{ messages | tojson }}")
    assert server.post("/apply-template", {"messages": SEVEN[:1]}).json()["prompt"] == '[{"role": "user", "content": "tin"}]'
    assert chat(server, SEVEN[:1]).status_code == 200
    assert server.log.count("plain content") == 1


def test_a_refusal_is_its_text_alone(serve_template: Callable[..., Server]) -> None:
    server = serve_template("{{ raise_exception('Roles must alternate!') }}")
    assert chat(server, SEVEN).json()["error"]["message"] == "Roles must alternate!"


def test_control_tokens_in_a_message_are_text(serve_template: Callable[..., Server]) -> None:
    server = serve_template("{{ messages[0].content }}{{ eos_token }}")
    as_text = server.post("/tokenize", {"content": "tin</s>", "add_special": True, "parse_special": False}).json()["tokens"]
    used = chat(server, [{"role": "user", "content": "tin</s>"}]).json()["usage"]["prompt_tokens"]
    assert used == len(as_text) + 1


def test_reserved_template_arguments_are_refused(server: Server) -> None:
    response = chat(server, SEVEN[:1], chat_template_kwargs={"messages": []})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "chat_template_kwargs"


def test_a_file_without_a_template_is_a_warning(serve_template: Callable[..., Server]) -> None:
    server = serve_template(None)
    assert "the file has no chat template: chats use ChatML" in server.log
    assert server.post("/apply-template", {"messages": SEVEN[:1]}).json()["prompt"].startswith("<|im_start|>user\ntin<|im_end|>")


def test_the_users_template_goes_before_the_files(program: Program, serve_template: Callable[..., Server], tmp_path: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text("mine:{{ messages[0].content }}")
    prompts = [serve_template(PLAIN, *options).post("/apply-template", {"messages": SEVEN[:1]}).json()["prompt"]
               for options in (("--chat-template", "llama2"), ("--chat-template", "{{ messages[0].content }}!"), ("--chat-template-file", path))]
    assert prompts == ["[INST] tin [/INST]", "tin!", "mine:tin"]
    for wrong in ("lama2", "{% if %}"):
        result = program.run("serve", tmp_path / "tiny.gguf", "--chat-template", wrong, "--port", 0)
        assert result.returncode == 1
        assert "template" in result.stderr
