#!/usr/bin/env python3
"""Writes data/minilm_reference.f16: what all-MiniLM-L6-v2 gives for minilm.sentences(), computed here, plainly, in 32-bit floats.

    python tests/e2e/minilm_reference.py

An implementation of its own: WordPiece as BERT defines it and the model's layers one after the other, one text at a time.
"""

from __future__ import annotations

import math
import tempfile
import unicodedata
from pathlib import Path

import minilm
import numpy as np

DATA = Path(__file__).parent / "data/minilm_reference.f16"
ERF = np.vectorize(math.erf, otypes=[np.float64])


def is_punctuation(char: str) -> bool:
    code = ord(char)
    ascii_marks = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_marks or unicodedata.category(char).startswith("P")


def is_ideograph(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF), (0x20000, 0x2CEAF)))


def words(text: str) -> list[str]:
    kept = ""
    for char in unicodedata.normalize("NFD", text.lower()):
        category = unicodedata.category(char)
        if category == "Mn" or (category.startswith("C") and char not in "\t\n\r"):
            continue
        kept += f" {char} " if is_punctuation(char) or is_ideograph(char) else char
    return kept.split()


def pieces(word: str, ids: dict[str, int]) -> list[int]:
    found, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start and ("##" if start else "") + word[start:end] not in ids:
            end -= 1
        if end == start:
            return [ids["[UNK]"]]
        found.append(ids[("##" if start else "") + word[start:end]])
        start = end
    return found


def tokens(text: str, ids: dict[str, int]) -> list[int]:
    inner = [piece for word in words(text) for piece in pieces(word, ids)]
    return [ids["[CLS]"], *inner, ids["[SEP]"]]


class Bert:
    def __init__(self, weights: dict[str, np.ndarray], heads: int = minilm.HEADS) -> None:
        self.weights, self.heads = weights, heads

    def linear(self, name: str, rows: np.ndarray) -> np.ndarray:
        return rows @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, rows: np.ndarray) -> np.ndarray:
        mean, variance = rows.mean(-1, keepdims=True), rows.var(-1, keepdims=True)
        return (rows - mean) / np.sqrt(variance + 1e-12) * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attention(self, name: str, rows: np.ndarray) -> np.ndarray:
        split = lambda part: self.linear(f"{name}.{part}", rows).reshape(len(rows), self.heads, -1).transpose(1, 0, 2)  # noqa: E731
        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = shares / shares.sum(-1, keepdims=True) @ value
        return mixed.transpose(1, 0, 2).reshape(len(rows), -1)

    def layer(self, number: int, rows: np.ndarray) -> np.ndarray:
        name = f"encoder.layer.{number}"
        attended = self.linear(f"{name}.attention.output.dense", self.attention(f"{name}.attention.self", rows))
        rows = self.norm(f"{name}.attention.output.LayerNorm", attended + rows)
        inner = self.linear(f"{name}.intermediate.dense", rows)
        inner = inner * 0.5 * (1 + ERF(inner / math.sqrt(2))).astype(np.float32)
        return self.norm(f"{name}.output.LayerNorm", self.linear(f"{name}.output.dense", inner) + rows)

    def rows(self, ids: list[int]) -> np.ndarray:
        table = lambda part, rows: self.weights[f"embeddings.{part}_embeddings.weight"][rows]  # noqa: E731
        rows = table("word", ids) + table("position", range(len(ids))) + table("token_type", [0] * len(ids))
        rows = self.norm("embeddings.LayerNorm", rows)
        for number in range(minilm.layers_of(self.weights)):
            rows = self.layer(number, rows)
        return rows

    def embedding(self, ids: list[int]) -> np.ndarray:
        mean = self.rows(ids).mean(0)
        return mean / np.linalg.norm(mean)

    def score(self, ids: list[int]) -> float:
        return float(self.linear("classifier.out_proj", np.tanh(self.linear("classifier.dense", self.rows(ids)[:1])))[0, 0])


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        data, vocabulary = minilm.package_files(Path(work))
    ids = {word: number for number, word in enumerate(vocabulary)}
    bert = Bert(minilm.read_safetensors(data))
    vectors = np.stack([bert.embedding(tokens(text, ids)) for text in minilm.sentences()])
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_bytes(vectors.astype(np.float16).tobytes())
    print(f"{len(vectors)} vectors of {vectors.shape[1]} numbers")


if __name__ == "__main__":
    main()
