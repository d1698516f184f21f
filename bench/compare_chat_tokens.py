#!/usr/bin/env python3
"""Checks that chat prompts become the same tokens in cLLM and in llama-server, for any model.

    bench/compare_chat_tokens.py --cllm build/cllm --llama-server PATH --model FILE [--record FILE]

--record writes what llama-server gave, as the end-to-end tests read it (tests/e2e/data/).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import requests

from side_by_side import Server, running

CONVERSATIONS = {
    "user": [{"role": "user", "content": "Say hello."}],
    "system": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "你好，世界 🙂"}],
    "turns": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "And twice?"}],
}


def tokens_of(url: str, messages: list[dict[str, str]]) -> tuple[str, list[int], int]:
    """The prompt, its token ids, and how many prompt tokens a completion counts."""
    prompt = requests.post(url + "/apply-template", json={"messages": messages}, timeout=60).json()["prompt"]
    tokens = requests.post(url + "/tokenize", json={"content": prompt, "add_special": True, "parse_special": True},
                           timeout=60).json()["tokens"]
    answer = requests.post(url + "/v1/chat/completions", json={"messages": messages, "max_tokens": 1}, timeout=60).json()
    return prompt, tokens, answer["usage"]["prompt_tokens"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-server", required=True, metavar="PROGRAM")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--record", type=Path, metavar="FILE")
    args = parser.parse_args()
    ours = Server("cLLM", [args.cllm, "serve", args.model, "--host", "127.0.0.1"], "cllm")
    theirs = Server("llama-server", [args.llama_server, "-m", args.model, "--host", "127.0.0.1", "-c", "4096", "--jinja"], "openai")
    found: dict[str, dict[str, tuple[str, list[int], int]]] = {}
    for server in (ours, theirs):
        with running(server) as url:
            found[server.name] = {name: tokens_of(url, messages) for name, messages in CONVERSATIONS.items()}
    wrong = 0
    for name in CONVERSATIONS:
        mine, other = found[ours.name][name], found[theirs.name][name]
        same = mine == other and mine[2] == len(mine[1])
        wrong += not same
        print(f"{name}: {'same' if same else 'DIFFERENT'} ({len(mine[1])} tokens, {mine[2]} counted)")
        if not same:
            print(f"  cLLM         {mine}\n  llama-server {other}")
    if args.record:
        recorded = {name: {"messages": CONVERSATIONS[name], "prompt": found[theirs.name][name][0],
                           "tokens": found[theirs.name][name][1]} for name in CONVERSATIONS}
        args.record.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
