"""A model of random weights that has another file's vocabulary and chat template: whatever it says is said by chance."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import BinaryIO

from gguf_writer import FORMATS, NUMBERS, Gguf, tiny_llama

EMBEDDING, CONTEXT = 32, 2048
KINDS = {number: kind for kind, number in NUMBERS.items()}


def take_string(file: BinaryIO) -> bytes:
    (size,) = struct.unpack("<Q", length := file.read(8))
    return length + file.read(size)


def take_value(file: BinaryIO, number: int) -> bytes:
    """The bytes of one value."""
    kind = KINDS[number]
    if kind == "string":
        return take_string(file)
    if kind != "array":
        return file.read(struct.calcsize(FORMATS[kind]))
    of, count = struct.unpack("<IQ", head := file.read(12))
    return head + b"".join(take_value(file, of) for _ in range(count))


def tokenizer_entries(path: Path) -> dict[str, tuple[int, bytes]]:
    entries = {}
    with path.open("rb") as file:
        _, _, _, count = struct.unpack("<4sIQQ", file.read(24))
        for _ in range(count):
            key = take_string(file)[8:].decode()
            (number,) = struct.unpack("<I", file.read(4))
            value = take_value(file, number)
            if key.startswith("tokenizer."):
                entries[key] = number, value
    return entries


def with_vocabulary_of(path: Path) -> Gguf:
    entries = tokenizer_entries(path)
    (size,) = struct.unpack("<Q", entries["tokenizer.ggml.tokens"][1][4:12])
    model = tiny_llama(EMBEDDING)
    for key in [key for key in model.entries if key.startswith("tokenizer.")]:
        model.drop(key)
    for key, (number, value) in entries.items():
        model.set_raw(key, number, value)
    model.set("llama.vocab_size", "uint32", size).set("llama.context_length", "uint32", CONTEXT)
    table = model.tensor("token_embd.weight")
    chance = random.Random(1)
    table.shape = [EMBEDDING, size]
    table.data = b"".join(struct.pack("<e", 0.002) + chance.randbytes(EMBEDDING) for _ in range(size))  # Q8_0, a block each
    return model
