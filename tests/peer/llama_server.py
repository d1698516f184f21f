#!/usr/bin/env python3
"""Stands where llama.cpp's tests expect llama-server: the same command line, served by cLLM with one small model.

An option that cLLM lacks ends the program with its name, as a wrong option ends llama-server. The environment's CLLM_PROGRAM and
CLLM_MODEL say what is served.
"""

from __future__ import annotations

import os
import sys

# Options with a value, and what cLLM calls them.
RENAMED = {
    "--port": "--port",
    "--host": "--host",
    "--temp": "--default-temperature",
    "--seed": "--seed",
    "--alias": "--alias",
    "--api-key": "--api-key",
    "--batch-size": "--batch-size",
    "--threads": "--threads",
    "--parallel": "--parallel",
    "--n-gpu-layers": "--gpu-layers",
    "-fa": "--flash-attn",
    "--chat-template": "--chat-template",
    "--chat-template-file": "--chat-template-file",
    "--cors-origins": "--cors-origins",
}
# What asks for nothing here: there is no page, no slot list and nothing to download, templates are always Jinja, rows always batched.
WITHOUT_EFFECT = {"--offline", "--no-slots", "--no-ui", "--jinja", "--no-jinja", "--cont-batching", "--kv-unified", "--slots", "--metrics"}
# The text models of those tests, in whose place ours is served.
TEXT_MODELS = {"ggml-org/test-model-stories260K"}


def translated(arguments: list[str]) -> list[str]:
    """The arguments of `cllm serve` that say the same. Raises ValueError where there are none."""
    options: list[str] = []
    context, slots, shared = 0, 1, "--kv-unified" in arguments
    words = iter(arguments)
    for word in words:
        if word in WITHOUT_EFFECT:
            continue
        if word == "--verbose":
            options += ["--log-level", "debug"]
        elif word == "--hf-repo":
            if (model := next(words)) not in TEXT_MODELS:
                raise ValueError(f"no model like {model}")
        elif word == "--ctx-size":
            context = int(next(words))
        elif word == "--n-predict":
            if (most := int(next(words))) > 0:
                options += ["--scheduler-default-max-tokens", str(most)]
        elif word == "--reasoning":
            if next(words) != "auto":  # which is how it is anyway
                raise ValueError("no option like --reasoning")
        elif word in RENAMED:
            value = next(words)
            slots = int(value) if word == "--parallel" else slots
            options += [RENAMED[word], value]
        else:
            raise ValueError(f"no option like {word}")
    if context:  # llama-server's slots share it out, unless it is one pool
        options += ["--ctx-size", str(context if shared else context // slots)]
    return options


def main() -> None:
    try:
        options = translated(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"cLLM has {error}")
    program = os.environ["CLLM_PROGRAM"]
    os.execv(program, [program, "serve", os.environ["CLLM_MODEL"], *options])


main()
