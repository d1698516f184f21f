"""Hostile GGUF files: one for each rule that a file can break, and seeded random damage. See test_hostile_gguf.py."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gguf_writer import F32, Gguf, encode_string, tiny_llama

ALL_CASES = 300
I8, I32, F64 = (24, 1, 1), (26, 1, 4), (28, 1, 8)
HUGE = (1 << 63) - 1


@dataclass
class Case:
    name: str
    data: bytes
    mark: str | None = None  # what the error has to say; None where the file may serve as well
    must_serve: bool = False


Change = Callable[[Gguf], object]


def number(key: str, value: int, kind: str = "uint32") -> Change:
    return lambda model: model.set(f"llama.{key}", kind, value)


def text(key: str, value: str | bytes) -> Change:
    return lambda model: model.set(key, "string", value)


def raw(key: str | bytes, type_number: int, value: bytes) -> Change:
    return lambda model: model.set_raw(key, type_number, value)


def array(key: str, kind: str, values: list) -> Change:
    return lambda model: model.set_array(key, kind, values)


def tensor(which: str, /, **fields: object) -> Change:
    return lambda model: [setattr(model.tensor(which), key, value) for key, value in fields.items()]


def header(**fields: object) -> Change:
    return lambda model: [setattr(model, key, value) for key, value in fields.items()]


def aligned(value: int) -> Change:
    return lambda model: (model.set("general.alignment", "uint32", value), setattr(model, "alignment", value or 32))


def retyped(name: str, kind: tuple[int, int, int]) -> Change:
    """Another type for the same shape, with as much data as it takes."""
    def change(model: Gguf) -> None:
        target = model.tensor(name)
        elements = 1
        for length in target.shape:
            elements *= length
        target.type, target.data = kind, bytes(elements // kind[1] * kind[2])
    return change


def without(name: str) -> Change:
    return lambda model: model.tensors.remove(model.tensor(name))


NORM, EMBEDDING = "output_norm.weight", "token_embd.weight"
TEMPLATE = "tokenizer.chat_template"

# What our own reader has to find.
READER: dict[str, tuple[Change, str]] = {
    "magic": (header(magic=b"GGML"), "not a GGUF file"),
    "version 1": (header(version=1), "version 1"),
    "version 4": (header(version=4), "version 4"),
    "big endian": (header(version=3 << 24), "big-endian"),
    "too many entries": (header(claimed_entries=1 << 40), "number of metadata entries"),
    "too many tensors": (header(claimed_tensors=HUGE), "number of tensors"),
    "one entry more": (lambda m: setattr(m, "claimed_entries", len(m.entries) + 1), "damaged at byte"),
    "key twice": (lambda m: m.extra.append(("general.name", struct.pack("<I", 8) + encode_string("x"))), "occurs twice"),
    "empty key": (raw("", 4, b"1234"), "key is empty"),
    "key not UTF-8": (raw(b"a\xff", 4, b"1234"), "not UTF-8"),
    "key with an escape": (raw("a\x1b[2J", 4, b"1234"), "control character"),
    "long key": (raw("k" * 70000, 4, b"1234"), "70000 bytes"),
    "value type": (raw("k", 13, b"12345678"), "value type 13"),
    "value type -1": (raw("k", 0xFFFFFFFF, b"12345678"), "does not exist"),
    "element type": (raw("k", 9, struct.pack("<IQ", 77, 1) + b"12345678"), "element type 77"),
    "array of arrays": (raw("k", 9, struct.pack("<IQ", 9, 1) + b"12345678"), "arrays of arrays"),
    "long array": (raw("k", 9, struct.pack("<IQ", 4, 1 << 62)), "elements of type uint32"),
    "long array of strings": (raw("k", 9, struct.pack("<IQ", 8, 1 << 61)), "elements of type string"),
    "boolean 2": (raw("k", 7, b"\2"), "a boolean is 2"),
    "long string": (raw("k", 8, struct.pack("<Q", HUGE)), "the file ends inside"),
    "alignment 0": (aligned(0), "power of two"),
    "alignment 48": (aligned(48), "power of two"),
    "alignment 16": (aligned(16), "multiples of 32"),
    "alignment a string": (text("general.alignment", "32"), "has to be a uint32"),
    "tensor name twice": (tensor(NORM, name=EMBEDDING), "occurs twice"),
    "tensor name empty": (tensor(NORM, name=""), "name is empty"),
    "tensor name long": (tensor(NORM, name="n" * 64), "64 bytes"),
    "tensor name not UTF-8": (tensor(NORM, name=b"\xc3("), "not UTF-8"),
    "no dimension": (tensor(NORM, shape=[]), "0 dimensions"),
    "five dimensions": (tensor(NORM, shape=[32, 1, 1, 1, 1]), "5 dimensions"),
    "dimension 0": (tensor(NORM, shape=[32, 0]), "dimension 1 is 0"),
    "dimension -1": (tensor(NORM, shape=[-1]), "dimension 0 is -1"),
    "huge dimension": (tensor(NORM, shape=[HUGE]), "too large"),
    "huge product": (tensor(NORM, shape=[1 << 32, 1 << 32]), "too large"),
    "more than the file": (tensor(NORM, shape=[1 << 40]), "tensor"),
    "removed tensor type": (tensor(NORM, type=(4, 1, 4)), "tensor type 4"),
    "unknown tensor type": (tensor(NORM, type=(0x7FFFFFFF, 1, 4)), "does not exist"),
    "half a block": (tensor(EMBEDDING, shape=[33, 276]), "packs them by 32"),
    "offset not aligned": (tensor(NORM, offset=9409), "no multiple of 32"),
    "offset in another tensor": (tensor(NORM, offset=0), "inside the tensor before"),
    "offset beyond the end": (tensor(NORM, offset=1 << 40), "tensor"),
    "offset near 2^64": (tensor(NORM, offset=(1 << 64) - 32), "too large"),
}

# What our check of the metadata, or llama.cpp in its child, has to find.
MODEL: dict[str, tuple[Change, str | None]] = {
    "no architecture": (lambda m: m.drop("general.architecture"), "general.architecture"),
    "unknown architecture": (text("general.architecture", "llamb"), "llamb"),
    "no layers": (number("block_count", 0), "llama.block_count"),
    "513 layers": (number("block_count", 513), "llama.block_count"),
    "a layer without tensors": (number("block_count", 2), "blk.1."),
    "layers as a string": (text("llama.block_count", "1"), "llama.block_count"),
    "layers as uint64": (number("block_count", 1, "uint64"), "llama.block_count"),
    "no embedding": (number("embedding_length", 0), "llama.embedding_length"),
    "another embedding": (number("embedding_length", 64), "cannot load"),
    "no heads": (number("attention.head_count", 0), ""),
    "heads that do not divide": (number("attention.head_count", 3), ""),
    "a million heads": (number("attention.head_count", 1 << 20), ""),
    "too many heads": (number("attention.head_count", 1 << 31), "llama.attention.head_count"),
    "no KV heads": (number("attention.head_count_kv", 0), ""),
    "three KV heads": (number("attention.head_count_kv", 3), ""),
    "heads for other layers": (array("llama.attention.head_count", "uint32", [2, 2]), "2 values, the model has 1 layers"),
    "other rotation": (number("rope.dimension_count", 8), "n_rot"),
    "odd head size": (number("attention.key_length", 15), ""),
    "no context": (number("context_length", 0), "llama.context_length"),
    "long context": (number("context_length", 0x7FFFFFFF), None),
    "too long context": (number("context_length", 0xFFFFFFFF), "llama.context_length"),
    "no feed-forward": (number("feed_forward_length", 0), ""),
    "no norm epsilon": (lambda m: m.drop("llama.attention.layer_norm_rms_epsilon"), "layer_norm_rms_epsilon"),
    "norm epsilon NaN": (lambda m: m.set("llama.attention.layer_norm_rms_epsilon", "float32", float("nan")), "layer_norm_rms_epsilon"),
    "norm epsilon negative": (lambda m: m.set("llama.attention.layer_norm_rms_epsilon", "float32", -1.0), "layer_norm_rms_epsilon"),
    "rope base 0": (lambda m: m.set("llama.rope.freq_base", "float32", 0.0), None),
    "rope scaling": (text("llama.rope.scaling.type", "su"), "llama.rope.scaling.type"),
    "rope scaling 0": (lambda m: m.set("llama.rope.scaling.factor", "float32", 0.0), None),
    "part of a model": (lambda m: m.set("split.count", "uint16", 3).set("split.no", "uint16", 1), "part 2 of a model in 3 files"),
    "an adapter": (text("general.type", "adapter"), "LoRA adapter"),
    "an image part": (text("general.type", "mmproj"), "image part"),
    "experts without weights": (lambda m: m.set("llama.expert_count", "uint32", 4).set("llama.expert_used_count", "uint32", 2), ""),
    "experts without use": (number("expert_count", 4), "llama.expert_used_count"),
    "use without experts": (number("expert_used_count", 2), "llama.expert_used_count"),
    "too many experts": (lambda m: m.set("llama.expert_count", "uint32", 5000).set("llama.expert_used_count", "uint32", 2), "llama.expert_count"),
    "expert groups": (number("expert_group_count", 3), "GGML_ASSERT"),
    "no tokens": (lambda m: m.drop("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens"),
    "empty tokens": (array("tokenizer.ggml.tokens", "string", []), "tokenizer.ggml.tokens"),
    "few tokens": (array("tokenizer.ggml.tokens", "string", ["a", "b"]), ""),
    "tokens of numbers": (array("tokenizer.ggml.tokens", "int32", list(range(276))), "tokenizer.ggml.tokens"),
    "the same token twice": (array("tokenizer.ggml.tokens", "string", ["x"] * 276), "same text twice"),
    "tokens without bytes": (array("tokenizer.ggml.tokens", "string", [f"t{i}" for i in range(276)]), None),
    "tokens not UTF-8": (array("tokenizer.ggml.tokens", "string", [b"\xff\xfe" + bytes([i % 256, i // 256]) for i in range(276)]), None),
    "long tokens": (array("tokenizer.ggml.tokens", "string", [f"{i}" + "x" * 5000 for i in range(276)]), None),
    "few scores": (array("tokenizer.ggml.scores", "float32", [0.0] * 5), "tokenizer.ggml.scores"),
    "scores NaN": (array("tokenizer.ggml.scores", "float32", [float("nan")] * 276), None),
    "scores of strings": (array("tokenizer.ggml.scores", "string", ["x"] * 276), "tokenizer.ggml.scores"),
    "few token types": (array("tokenizer.ggml.token_type", "int32", [1] * 5), "tokenizer.ggml.token_type"),
    "strange token types": (array("tokenizer.ggml.token_type", "int32", [-7] * 276), None),
    "unknown tokenizer": (text("tokenizer.ggml.model", "lama"), "unknown tokenizer"),
    "no tokenizer": (text("tokenizer.ggml.model", "none"), "no vocabulary"),
    "tokenizer gpt2 without merges": (text("tokenizer.ggml.model", "gpt2"), "merges"),
    "tokenizer bert": (text("tokenizer.ggml.model", "bert"), None),
    "tokenizer rwkv": (text("tokenizer.ggml.model", "rwkv"), None),
    "tokenizer t5": (text("tokenizer.ggml.model", "t5"), None),
    "tokenizer plamo2": (text("tokenizer.ggml.model", "plamo2"), None),
    "merges without a space": (lambda m: m.set("tokenizer.ggml.model", "string", "gpt2").set("tokenizer.ggml.pre", "string", "default")
                               .set_array("tokenizer.ggml.merges", "string", ["x", "", "abc"]), None),
    "begin token out of range": (lambda m: m.set("tokenizer.ggml.bos_token_id", "uint32", 0xFFFFFFFF), None),
    "end token out of range": (lambda m: m.set("tokenizer.ggml.eos_token_id", "uint32", 5000), None),
    "template that does not end": (text(TEMPLATE, "{% for m in messages %}"), None),
    "template that is no UTF-8": (text(TEMPLATE, b"\xff{{ messages }}"), None),
    "template that refuses": (text(TEMPLATE, "{{ raise_exception('never') }}"), None),
    "template with much nesting": (text(TEMPLATE, "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}"), None),
    "template with many ifs": (text(TEMPLATE, "{% if true %}" * 20000 + "{% endif %}" * 20000), None),
    "template of much text": (text(TEMPLATE, "{% for i in range(40) %}{{ 'x' * 1000000000 }}{% endfor %}"), None),
    "weights of integers": (retyped(EMBEDDING, I8), "type I8"),
    "weights of doubles": (retyped("blk.0.attn_q.weight", F64), "type F64"),
    "norm of integers": (retyped(NORM, I32), "type I32"),
    "output of floats": (retyped(EMBEDDING, F32), None),
    "missing tensor": (without("blk.0.ffn_down.weight"), "blk.0.ffn_down.weight"),
    "missing embedding": (without(EMBEDDING), "token_embd"),
    "only metadata": (lambda m: m.tensors.clear(), "no weights"),
    "wrong shape": (tensor("blk.0.attn_q.weight", shape=[64, 16]), "attn_q"),
}


def named_cases() -> list[Case]:
    cases = []
    for name, (change, mark) in (READER | MODEL).items():
        model = tiny_llama()
        change(model)
        cases.append(Case(name, model.bytes(), mark))
    return cases


def random_cases() -> Iterator[Case]:
    """Without end: in turn a prefix, a flipped bit and an extreme number in the header, and flipped bits in the weights."""
    rng = random.Random(20240607)
    model = tiny_llama()
    right, header_size, data_start = model.bytes(), len(model.header()), model.data_start()
    while True:
        size = rng.randrange(header_size if rng.random() < 0.7 else len(right) - 64)
        yield Case(f"the first {size} bytes", right[:size], "")
        at, bit = rng.randrange(header_size), rng.randrange(8)
        yield Case(f"bit {bit} of byte {at}", right[:at] + bytes([right[at] ^ 1 << bit]) + right[at + 1:])
        at, value = rng.randrange(header_size - 8), rng.choice([0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
        yield Case(f"{value:#x} at byte {at}", right[:at] + struct.pack("<I", value) + right[at + 4:])
        damaged = bytearray(right)
        for _ in range(rng.choice([1, 10, 1000])):
            damaged[rng.randrange(data_start, len(right))] ^= 1 << rng.randrange(8)
        yield Case(f"damaged weights before {rng.randrange(1 << 30)}", bytes(damaged), must_serve=True)


def all_cases() -> list[Case]:
    cases = named_cases()
    for case in random_cases():
        if len(cases) >= ALL_CASES:
            return cases
        cases.append(case)
    return cases


SHORT_NAMES = {"key twice", "long array of strings", "huge product", "offset in another tensor", "alignment 16", "a layer without tensors",
               "no heads", "expert groups", "the same token twice", "template that does not end", "part of a model", "unknown architecture"}


def short_cases() -> list[Case]:
    """About 20: one of each kind."""
    randoms = random_cases()
    return [case for case in named_cases() if case.name in SHORT_NAMES] + [next(randoms) for _ in range(8)]


