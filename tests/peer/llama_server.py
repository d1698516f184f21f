#!/usr/bin/env python3
"""Stands where llama.cpp's tests expect llama-server: the same command line, served by cLLM with one small model.

An option that cLLM lacks ends the program with its name, as a wrong option ends llama-server. The environment's CLLM_PROGRAM,
CLLM_MODEL and CLLM_EMBEDDING_MODEL say what is served.
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
    "--pooling": "--pooling",
}
# What asks for nothing here: there is no page, no slot list and nothing to download, templates are always Jinja, rows always batched.
WITHOUT_EFFECT = {"--embedding", "--offline", "--no-slots", "--no-ui", "--jinja", "--no-jinja", "--cont-batching", "--kv-unified"}
# The same with a value: there is no second size of batches.
VALUES_WITHOUT_EFFECT = {"--ubatch-size"}
# The models of those tests in whose place ours are served, and what of the environment names them.
MODELS = {"ggml-org/test-model-stories260K": "CLLM_MODEL", "ggml-org/models bert-bge-small/ggml-model-f16.gguf": "CLLM_EMBEDDING_MODEL"}


def model_of(arguments: list[str]) -> str:
    values = dict(zip(arguments, arguments[1:]))
    wanted = " ".join(values[option] for option in ("--hf-repo", "--hf-file") if option in values)
    if wanted and wanted not in MODELS:
        raise ValueError(f"no model like {wanted}")
    return os.environ[MODELS.get(wanted, "CLLM_MODEL")]


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
        elif word in VALUES_WITHOUT_EFFECT or word in ("--hf-repo", "--hf-file"):
            next(words)
        elif word == "--ctx-size":
            context = int(next(words))
        elif word == "--n-predict":
            if (most := int(next(words))) > 0:
                options += ["--scheduler-default-max-tokens", str(most)]
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
        model = model_of(sys.argv[1:])
        options = translated(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"cLLM has {error}")
    program = os.environ["CLLM_PROGRAM"]
    os.execv(program, [program, "serve", model, *options])


main()
