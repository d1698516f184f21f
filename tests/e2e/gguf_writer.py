"""Writes GGUF files for tests: right ones, and wrong ones on request. No dependency but the standard library."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

FORMATS = {"uint8": "<B", "int8": "<b", "uint16": "<H", "int16": "<h", "uint32": "<I", "int32": "<i", "float32": "<f",
           "bool": "<B", "uint64": "<Q", "int64": "<q", "float64": "<d"}
NUMBERS = {"uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "uint32": 4, "int32": 5, "float32": 6, "bool": 7, "string": 8,
           "array": 9, "uint64": 10, "int64": 11, "float64": 12}
# Tensor types: number, elements of a block, bytes of a block.
F32, F16, Q8_0 = (0, 1, 4), (1, 1, 2), (8, 32, 34)


def encode_string(text: str | bytes) -> bytes:
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def encode(kind: str, value: object) -> bytes:
    return encode_string(value) if kind == "string" else struct.pack(FORMATS[kind], value)


@dataclass
class Tensor:
    name: str | bytes
    shape: list[int]  # the length of a row first
    type: tuple[int, int, int]
    data: bytes
    offset: int | None = None  # what the file says where it is not the truth


@dataclass
class Gguf:
    version: int = 3
    alignment: int = 32
    magic: bytes = b"GGUF"
    entries: dict[str | bytes, bytes] = field(default_factory=dict)  # key → type and value, encoded
    extra: list[tuple[str | bytes, bytes]] = field(default_factory=list)  # entries whose keys may repeat
    tensors: list[Tensor] = field(default_factory=list)
    claimed_tensors: int | None = None
    claimed_entries: int | None = None

    def set(self, key: str | bytes, kind: str, value: object) -> Gguf:
        return self.set_raw(key, NUMBERS[kind], encode(kind, value))

    def set_raw(self, key: str | bytes, type_number: int, value: bytes) -> Gguf:
        self.entries[key] = struct.pack("<I", type_number) + value
        return self

    def set_array(self, key: str | bytes, kind: str, values: list[object]) -> Gguf:
        return self.set_raw(key, NUMBERS["array"], struct.pack("<IQ", NUMBERS[kind], len(values))
                            + b"".join(encode(kind, value) for value in values))

    def drop(self, key: str) -> Gguf:
        del self.entries[key]
        return self

    def tensor(self, name: str) -> Tensor:
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def header(self) -> bytes:
        """Everything before the data, without the padding."""
        entries = [*self.entries.items(), *self.extra]
        tensors = len(self.tensors) if self.claimed_tensors is None else self.claimed_tensors
        count = len(entries) if self.claimed_entries is None else self.claimed_entries
        out = self.magic + struct.pack("<IQQ", self.version, tensors, count)
        out += b"".join(encode_string(key) + value for key, value in entries)
        end = 0
        for tensor in self.tensors:
            offset = end if tensor.offset is None else tensor.offset
            out += encode_string(tensor.name) + struct.pack("<I", len(tensor.shape))
            out += b"".join(struct.pack("<q", length) for length in tensor.shape)
            out += struct.pack("<IQ", tensor.type[0], offset)
            end += self._padded(len(tensor.data))
        return out

    def data_start(self) -> int:
        return self._padded(len(self.header()))

    def bytes(self) -> bytes:
        out = self.header()
        out += bytes(self._padded(len(out)) - len(out))
        for tensor in self.tensors:
            out += tensor.data + bytes(self._padded(len(tensor.data)) - len(tensor.data))
        return out

    def _padded(self, size: int) -> int:
        return -(-size // self.alignment) * self.alignment


def weights(rng: random.Random, shape: list[int], kind: tuple[int, int, int]) -> bytes:
    """Small random values; F32 ones are all 1, as norms are."""
    elements = 1
    for length in shape:
        elements *= length
    if kind == F32:
        return struct.pack(f"<{elements}f", *[1.0] * elements)
    if kind == F16:
        return struct.pack(f"<{elements}e", *[rng.uniform(-0.1, 0.1) for _ in range(elements)])
    block = lambda: struct.pack("<e", 0.002) + bytes(rng.randrange(256) for _ in range(32))  # noqa: E731
    return b"".join(block() for _ in range(elements // 32))


CHAT_TEMPLATE = ("{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}</s>{% endfor %}"
                 "{% if add_generation_prompt %}<|assistant|>{% endif %}")


def tiny_llama(embedding: int = 32, heads: int = 2, kv_heads: int = 1, feed_forward: int = 64, layers: int = 1) -> Gguf:
    """A model of the llama architecture with random weights and a SentencePiece vocabulary: some 30 KB. It talks nonsense."""
    rng = random.Random(1)
    letters = ["\u2581", *"etaoinshrdlu", "\u2581t", "he", "in", "\u2581th"]
    tokens = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)], *letters]
    model = Gguf()
    model.set("general.architecture", "string", "llama").set("general.name", "string", "Tiny")
    model.set("general.file_type", "uint32", 7).set("general.license", "string", "cc0-1.0")
    for key, value in {"block_count": layers, "context_length": 256, "embedding_length": embedding, "feed_forward_length": feed_forward,
                       "attention.head_count": heads, "attention.head_count_kv": kv_heads, "rope.dimension_count": embedding // heads,
                       "vocab_size": len(tokens)}.items():
        model.set(f"llama.{key}", "uint32", value)
    model.set("llama.attention.layer_norm_rms_epsilon", "float32", 1e-5)
    model.set("tokenizer.ggml.model", "string", "llama").set_array("tokenizer.ggml.tokens", "string", tokens)
    model.set_array("tokenizer.ggml.scores", "float32", [-float(i) for i in range(len(tokens))])
    model.set_array("tokenizer.ggml.token_type", "int32", [2, 3, 3, *[6] * 256, *[1] * len(letters)])
    model.set("tokenizer.ggml.bos_token_id", "uint32", 1).set("tokenizer.ggml.eos_token_id", "uint32", 2)
    model.set("tokenizer.chat_template", "string", CHAT_TEMPLATE)

    def add(name: str, shape: list[int], kind: tuple[int, int, int]) -> None:
        model.tensors.append(Tensor(name, shape, kind, weights(rng, shape, kind)))

    add("token_embd.weight", [embedding, len(tokens)], Q8_0)
    add("output_norm.weight", [embedding], F32)
    kv = embedding // heads * kv_heads
    for i in range(layers):
        add(f"blk.{i}.attn_norm.weight", [embedding], F32)
        for part, shape in {"attn_q": [embedding, embedding], "attn_k": [embedding, kv], "attn_v": [embedding, kv],
                            "attn_output": [embedding, embedding]}.items():
            add(f"blk.{i}.{part}.weight", shape, Q8_0)
        add(f"blk.{i}.ffn_norm.weight", [embedding], F32)
        for part, shape in {"ffn_gate": [embedding, feed_forward], "ffn_up": [embedding, feed_forward],
                            "ffn_down": [feed_forward, embedding]}.items():
            add(f"blk.{i}.{part}.weight", shape, Q8_0)
    return model


def gpt2_byte(byte: int) -> str:
    """How GPT-2 writes a byte in the text of a token."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return chr(byte if byte in kept else 256 + [b for b in range(256) if b not in kept].index(byte))


def tiny_bpe_llama(pre_tokenizer: str, marks: tuple[str, ...] = ()) -> Gguf:
    """tiny_llama with a BPE vocabulary of as many tokens: the bytes, control tokens, with `marks` from 259 on, and some pairs of letters."""
    model = tiny_llama()
    size = model.tensor("token_embd.weight").shape[1]
    control = ["<|begin|>", "<|im_start|>", "<|im_end|>", *marks]
    pairs = [a + b for a in "aeht" for b in "aeinrt"][: size - 256 - len(control)]
    tokens = [*map(gpt2_byte, range(256)), *control, *pairs]
    model.set("tokenizer.ggml.model", "string", "gpt2").set("tokenizer.ggml.pre", "string", pre_tokenizer)
    model.set_array("tokenizer.ggml.tokens", "string", tokens).drop("tokenizer.ggml.scores")
    model.set_array("tokenizer.ggml.token_type", "int32", [*[1] * 256, *[3] * len(control), *[1] * len(pairs)])
    model.set_array("tokenizer.ggml.merges", "string", [f"{pair[0]} {pair[1]}" for pair in pairs])
    model.set("tokenizer.ggml.bos_token_id", "uint32", 256).set("tokenizer.ggml.eos_token_id", "uint32", 258)
    return model
