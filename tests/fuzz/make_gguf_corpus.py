#!/usr/bin/env python3
"""Writes the seeds of the GGUF fuzz target to tests/fuzz/corpus/gguf: small files that use every kind of value and tensor."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from gguf_writer import F16, F32, FORMATS, Q8_0, Gguf, Tensor, tiny_llama  # noqa: E402


def every_value() -> Gguf:
    file = Gguf()
    for kind in FORMATS:
        file.set(f"one.{kind}", kind, 1)
        file.set_array(f"some.{kind}", kind, [0, 1, 1])
    file.set("text", "string", "ä").set_array("texts", "string", ["", "abc", "中"]).set_array("nothing", "uint32", [])
    return file


def every_shape() -> Gguf:
    file = Gguf(version=2, alignment=64).set("general.alignment", "uint32", 64)
    for shape, kind, size in (([3], F32, 12), ([32, 2], Q8_0, 68), ([2, 3, 4], F16, 48), ([1, 2, 1, 2], F32, 16)):
        file.tensors.append(Tensor(f"shape {shape}", shape, kind, bytes(size)))
    return file


def metadata_of_a_model() -> Gguf:
    """The vocabulary cut short, so that mutations hit what matters."""
    file = tiny_llama()
    for key in ("tokens", "scores", "token_type"):
        file.drop(f"tokenizer.ggml.{key}")
    file.set_array("tokenizer.ggml.tokens", "string", ["<unk>", "<s>", "</s>", "a"])
    for tensor in file.tensors:
        tensor.shape, tensor.data = [32], bytes(32 // tensor.type[1] * tensor.type[2])
    return file


for name, model in {"values": every_value(), "shapes": every_shape(), "model": metadata_of_a_model(), "empty": Gguf()}.items():
    (HERE / "corpus/gguf" / name).write_bytes(model.bytes())
